"""Parse target names: `provider/model`, where the provider ends at the first slash."""

from runner.core.target_name import TargetName
from runner.errors import BrokenPlugin, UnknownTarget, did_you_mean
from runner.providers.registry import Registry


def parse_target(text: str, registry: Registry) -> TargetName:
    """Parse `provider/model`; the provider may be an alias, the model any name, slashes included.

    Raises:
        UnknownTarget: the form is wrong, or there is no such provider.
        BrokenPlugin: the plug-in that brings the provider cannot be used.

    """
    name, slash, model = text.strip().partition("/")
    if not slash or not model.strip():
        raise UnknownTarget(f"{text!r} names no target. Write provider/model, as in deepseek/deepseek-flash.")
    return TargetName(resolve_provider(name, registry), model.strip())


def resolve_provider(name: str, registry: Registry) -> str:
    """Return the id of the provider with this name or alias.

    Raises:
        UnknownTarget: there is none; the message names the nearest known one.
        BrokenPlugin: the plug-in that brings the provider cannot be used.

    """
    provider = registry.resolve(name)
    if provider is None and name in registry.plugin_errors:
        raise BrokenPlugin(registry.plugin_errors[name])
    if provider is None:
        near = did_you_mean(name.lower(), registry.names)
        hint = f"Did you mean {near}?" if near else "`compare providers` lists the known ones."
        raise UnknownTarget(f"No provider is called {name!r}. {hint} A row in compare.yaml adds one.")
    return provider


def default_targets(provider: str, registry: Registry) -> tuple[TargetName, ...]:
    """Return a provider's default models as targets."""
    return tuple(TargetName(provider, model) for model in registry.rows[provider].models)
