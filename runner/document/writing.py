"""Plain data becomes YAML text that people like to read, and that this package reads back as the very same data."""

import yaml

from runner.document.composition import reads_as_text
from runner.document.nodes import Json


def write(data: Json) -> str:
    """Return data as YAML: keys in their order, texts of several lines as they are written, nothing folded."""
    text: str = yaml.dump(
        data, Dumper=_Dumper, allow_unicode=True, sort_keys=False, default_flow_style=False, width=float("inf")
    )
    return text


class _Dumper(yaml.SafeDumper):
    """Writes lists indented below their key, and each value in its place rather than once with a name."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 -- PyYAML's own
        """Indent the items of a list below its key."""
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, _data: object) -> bool:
        """Write a value as often as it stands there."""
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, _style(text))


def _style(text: str) -> str | None:
    """Choose how a text is quoted: None leaves it to PyYAML, which knows when it must be."""
    if text.isprintable():
        return None if reads_as_text(text) else '"'
    is_block = text.replace("\n", "").isprintable() and not text.startswith((" ", "\n"))
    return "|" if is_block else '"'


_Dumper.add_representer(str, _represent_text)
