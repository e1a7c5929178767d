"""The fields that say where a piece of a reply comes from: the model that wrote it, and the sender's own clock."""

from collections.abc import Mapping

from runner.wire.surrogates import replace_halves


def model_of(holder: Mapping[str, object]) -> str | None:
    """Return the model's name in a chunk, an event or a whole reply; None if it has none."""
    model = holder.get("model")
    return replace_halves(model)[0] if isinstance(model, str) and model else None


def origin_ns_of(holder: Mapping[str, object]) -> int | None:
    """Return when a chunk or an event was sent, by the sender's own clock in ns; None if it does not say."""
    sent_ns = holder.get("sent_ns")
    return sent_ns if type(sent_ns) is int and abs(sent_ns) < 2**63 else None
