"""How one provider's one model is named: `provider/model`, the provider ending at the first slash."""

from dataclasses import dataclass

from runner.errors import BrokenPlugin, UnknownTarget, did_you_mean
from runner.providers.registry import Registry


@dataclass(frozen=True, slots=True)
class TargetName:
    """A provider's id and a model's name as the provider knows it."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


def parse_target(text: str, registry: Registry) -> TargetName:
    """Read `provider/model`; the provider may be an alias, the model may be any name, slashes included."""
    name, slash, model = text.strip().partition("/")
    if not slash or not model.strip():
        raise UnknownTarget(f"{text!r} names no target. Write provider/model, as in deepseek/deepseek-flash.")
    return TargetName(resolve_provider(name, registry), model.strip())


def resolve_provider(name: str, registry: Registry) -> str:
    """Return the provider a name or alias means; raise with the nearest known name otherwise."""
    provider = registry.resolve(name)
    if provider is None and name in registry.faults:
        raise BrokenPlugin(registry.faults[name])
    if provider is None:
        near = did_you_mean(name.lower(), registry.names)
        hint = f"Did you mean {near}?" if near else "`compare providers` lists the known ones."
        raise UnknownTarget(f"No provider is called {name!r}. {hint} A row in compare.yaml adds one.")
    return provider


def default_targets(provider: str, registry: Registry) -> tuple[TargetName, ...]:
    """Return what a provider is asked when no model is named."""
    return tuple(TargetName(provider, model) for model in registry.rows[provider].models)
