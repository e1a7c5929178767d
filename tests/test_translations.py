"""Chinese documents match the English ones: headings, blocks, tables, commands and links."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.support.documents import FENCE, INLINE, LINK, TWINS, name_of, prose_of

TABLE_ROW = re.compile(r"^\|(?P<cells>.*)\|$", re.MULTILINE)
CODE = re.compile(r"`([^`\n]+)`")


def english_path(document: Path, link: str) -> Path:
    """Return the file that a link leads to, or its English version."""
    path = Path(os.path.normpath(document.parent / link)) if link else document
    return TWINS.get(path, path)


def tables_of(document: Path) -> list[tuple[int, tuple[str, ...]]]:
    """Return, for each row of a document's tables, the number of its cells and the code in it."""
    rows = [found["cells"] for found in TABLE_ROW.finditer(prose_of(document))]
    return [(row.count("|"), tuple(sorted(CODE.findall(row)))) for row in rows]


def outline_of(document: Path) -> Mapping[str, object]:
    """Return the features that a document and its translation must share."""
    text, prose = document.read_text(encoding="utf-8"), prose_of(document)
    return {
        "levels of headings": [len(found[0]) for found in re.finditer(r"^#+(?= )", prose, re.MULTILINE)],
        "blocks": [found[0] for found in FENCE.finditer(text)],
        "indented blocks": re.findall(r"(?<=\n)(?: {4}\S.*\n)+", prose),
        "tables": tables_of(document),
        "commands": sorted({found[1] for found in INLINE.finditer(prose)}),
        "links": sorted({english_path(document, found["path"]) for found in LINK.finditer(prose)}),
    }


@pytest.mark.parametrize("chinese", TWINS, ids=name_of)
def test_a_chinese_document_matches_the_english_one(chinese: Path) -> None:
    """Both have the same headings, blocks, tables, commands and links, and each links to the other."""
    english = TWINS[chinese]
    expected, found = outline_of(english), outline_of(chinese)

    assert {part: found[part] for part in found} == expected
    assert english in {english_path(chinese, link["path"]) for link in LINK.finditer(prose_of(chinese))}
    assert chinese in {
        Path(os.path.normpath(english.parent / link["path"])) for link in LINK.finditer(prose_of(english))
    }


def test_the_pages_that_beginners_need_are_translated() -> None:
    """These are tutorial, suite, providers, metrics, report, CI and troubleshooting."""
    needed = {"tutorial", "suite", "providers", "metrics", "report", "ci", "troubleshooting"}
    assert needed <= {page.stem for page in TWINS}


@pytest.mark.parametrize("chinese", TWINS, ids=name_of)
def test_emphasis_in_chinese_text_is_rendered(chinese: Path) -> None:
    """No literal star is left: one between Chinese punctuation and a character would not end emphasis."""
    inline = [each for each in MarkdownIt().enable("table").parse(prose_of(chinese)) if each.type == "inline"]
    texts = [child.content for each in inline for child in each.children or () if child.type == "text"]
    assert [text for text in texts if "*" in text] == []
