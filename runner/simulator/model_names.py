"""Parser of model names.

Names are such as `quick`, `sim/quick`, `sim/exact?ttft_ms=200&gap_ms=20&tokens=100`, `sim/fault-html?hold_ms=5`. Every
model can answer under several vendors' names: `sim/steady?served_by=a,b`; see `vendors.py`.
`sim/caching?cache_ms=500` removes prefixes of prompts from its cache after that time.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from runner.core.target_name import SIMULATOR
from runner.errors import did_you_mean
from runner.simulator.http_request import RequestError
from runner.simulator.persona import EXACT, MS, PERSONAS, Delay, Length, Persona
from runner.simulator.vendors import NAME_OPTIONS, AnswererRotation, parse_answerers

if TYPE_CHECKING:
    from runner.simulator.faults import InjectedFault

MODEL_PREFIX = f"{SIMULATOR}/"
FAULT_PREFIX = "fault-"
MAX_DELAY_MS = 3_600_000
MAX_TOKENS = 100_000
MAX_TIMES = 1_000
MAX_SIGMA = 2.0

DECIMAL_NUMBER = re.compile(r"[0-9]{1,7}(?:\.[0-9]{1,6})?")
WHOLE_NUMBER = re.compile(r"[0-9]{1,7}")

PACE_OPTIONS = ("ttft_ms", "gap_ms", "tokens", "thinking", "chunk", "jitter")
CACHE_OPTIONS = ("cache_ms",)
FAULT_OPTIONS = ("hold_ms", "times")


@dataclass(frozen=True, slots=True)
class Model:
    """A simulated model: the persona that answers, and the fault that is injected."""

    name: str
    persona: Persona
    fault: "InjectedFault | None" = None
    hold_ns: int | None = None
    times: int | None = None
    answerers: AnswererRotation = field(default_factory=AnswererRotation)


def model_ids() -> Mapping[str, str]:
    """Return the id of every model with a one-line description."""
    from runner.simulator.faults import FAULTS  # noqa: PLC0415 -- brings all that answers

    return {
        **{MODEL_PREFIX + persona.name: persona.manner for persona in (*PERSONAS.values(), EXACT)},
        **{MODEL_PREFIX + FAULT_PREFIX + fault.name: fault.description for fault in FAULTS.values()},
    }


@lru_cache(maxsize=512)
def parse_model(name: str) -> Model:
    """Parse the name of a model.

    Raises:
        RequestError: 404 for an unknown model, 400 for an invalid option.

    """
    stem, mark, query = name.removeprefix(MODEL_PREFIX).partition("?")
    persona = PERSONAS.get(stem)
    fault = _find_fault(stem.removeprefix(FAULT_PREFIX)) if stem.startswith(FAULT_PREFIX) else None
    if persona is not None:
        known = NAME_OPTIONS + (CACHE_OPTIONS if persona.caching else ())
    elif stem == EXACT.name or fault is not None:
        known = PACE_OPTIONS + NAME_OPTIONS + (FAULT_OPTIONS if fault else ())
    else:
        raise _unknown_model(name)
    options = _split_options(query, known) if mark else {}
    return Model(
        name=MODEL_PREFIX + name.removeprefix(MODEL_PREFIX),
        persona=_pace(options) if persona is None else _with_lifetime(persona, options),
        fault=fault,
        hold_ns=_delay_ns(options["hold_ms"], "hold_ms") if "hold_ms" in options else None,
        times=_whole(options["times"], "times", 0, MAX_TIMES) if "times" in options else None,
        answerers=parse_answerers(options),
    )


def _find_fault(name: str) -> "InjectedFault | None":
    from runner.simulator.faults import FAULTS  # noqa: PLC0415 -- as above

    return FAULTS.get(name)


def _unknown_model(name: str) -> RequestError:
    known = list(model_ids())
    hint = did_you_mean(
        MODEL_PREFIX + name.removeprefix(MODEL_PREFIX), known, "`compare providers --models sim` lists all."
    )
    return RequestError(404, f"The model '{name}' does not exist. {hint}", code="model_not_found", param="model")


def _refuse_option(sentence: str) -> RequestError:
    return RequestError(400, f"{sentence}.", code="invalid_model_option", param="model")


def _split_options(query: str, known: tuple[str, ...]) -> Mapping[str, str]:
    options: dict[str, str] = {}
    for pair in query.split("&"):
        key, equals, value = pair.partition("=")
        if not equals or key not in known:
            raise _refuse_option(f"The model's option '{pair}' is not one of {', '.join(f'{key}=' for key in known)}")
        if key in options:
            raise _refuse_option(f"The model's option '{key}' is given twice")
        options[key] = value
    return options


def _pace(options: Mapping[str, str]) -> Persona:
    """Return the persona `exact` with the numbers in a model's name."""
    default = EXACT.length or Length(tokens=1)
    thinking = _whole(options.get("thinking", "0"), "thinking", 0, MAX_TOKENS)
    jitter = _sigma(options.get("jitter", "0"))
    return replace(
        EXACT,
        first=_delay(options, "ttft_ms", EXACT.first, jitter),
        gap=_delay(options, "gap_ms", EXACT.gap, jitter),
        chunk_tokens=_whole(options.get("chunk", "1"), "chunk", 1, MAX_TOKENS),
        thinks=thinking > 0,
        length=Length(
            tokens=_whole(options.get("tokens", str(default.tokens)), "tokens", 1, MAX_TOKENS),
            thinking_tokens=thinking or None,
        ),
    )


def _with_lifetime(persona: Persona, options: Mapping[str, str]) -> Persona:
    """Return a persona whose cache entries live as long as the model's name says."""
    if persona.caching is None or "cache_ms" not in options:
        return persona
    lifetime_ns = _delay_ns(options["cache_ms"], "cache_ms")
    return replace(persona, caching=replace(persona.caching, lifetime_ns=lifetime_ns))


def _delay(options: Mapping[str, str], key: str, default: Delay, sigma: float) -> Delay:
    return Delay(_delay_ns(options[key], key) if key in options else default.median_ns, sigma)


def _sigma(text: str) -> float:
    if DECIMAL_NUMBER.fullmatch(text) is None or float(text) > MAX_SIGMA:
        raise _refuse_option(f"The model's option 'jitter={text}' is not a number from 0 to {MAX_SIGMA:g}")
    return float(text)


def _delay_ns(text: str, key: str) -> int:
    if DECIMAL_NUMBER.fullmatch(text) is None or float(text) > MAX_DELAY_MS:
        raise _refuse_option(f"The model's option '{key}={text}' is not a number of milliseconds up to {MAX_DELAY_MS}")
    return round(float(text) * MS)


def _whole(text: str, key: str, least: int, most: int) -> int:
    if WHOLE_NUMBER.fullmatch(text) is None or not least <= int(text) <= most:
        raise _refuse_option(f"The model's option '{key}={text}' is not a whole number from {least} to {most}")
    return int(text)
