"""Write plain data as readable YAML that `parse` returns unchanged."""

import yaml

from runner.document.document_tree import Json
from runner.document.yaml_parser import reads_as_text


def write(data: Json) -> str:
    """Return data as YAML, with keys in their order, multi-line texts as blocks, and no folded lines."""
    text: str = yaml.dump(
        data, Dumper=_Dumper, allow_unicode=True, sort_keys=False, default_flow_style=False, width=float("inf")
    )
    return text


class _Dumper(yaml.SafeDumper):
    """Indents lists below their key, and writes no aliases."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 -- PyYAML's own
        """Indent the items of a list below its key."""
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, _data: object) -> bool:
        """Write a repeated value out each time."""
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, _style(text))


def _style(text: str) -> str | None:
    """Return the quoting style of a text; None leaves the choice to PyYAML."""
    if text.isprintable():
        return None if reads_as_text(text) else '"'
    is_block = text.replace("\n", "").isprintable() and not text.startswith((" ", "\n"))
    return "|" if is_block else '"'


_Dumper.add_representer(str, _represent_text)
