"""Pages in two languages: translations are complete and have the same values, and a page can be switched."""

import ast
import json.decoder
import json.scanner
import re
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from html import unescape
from pathlib import Path
from shutil import copytree
from string import Formatter

import pytest

from runner.analysis.capacity import LoadVerdict
from runner.analysis.diff import diff_within
from runner.analysis.diff_measures import MEASURES
from runner.analysis.diff_verdict import Verdict
from runner.analysis.reply_diff import ReplySimilarity
from runner.checks.check_finding import CheckVerdict
from runner.core.events import Outcome
from runner.core.failure_kinds import FAILURE_KINDS, OUTCOME_HINTS, hint_for
from runner.outputs.charts.chart_data import TOTAL, TTFT
from runner.outputs.charts.ecdf import SHARE
from runner.outputs.charts.layouts import CONTEXT_SENTENCE
from runner.outputs.charts.phases import ANSWER, CONNECT, FIRST, THINKING
from runner.outputs.charts.run_charts import draw_page_charts
from runner.outputs.charts.scatter import PROMPT_SIZES, REPLY_SIZES
from runner.outputs.charts.sweep import CONCURRENCY
from runner.outputs.charts.text_over_time import CHARACTERS
from runner.outputs.charts.waterfall import KEY as WAITING_KEY
from runner.outputs.report.render_html import write_diff, write_report
from runner.outputs.report.reply import language_of_text
from runner.outputs.report.run_facts import RELEASES
from runner.outputs.text.diff_cells import BETWEEN_TARGETS
from runner.outputs.text.diff_sentences import CAPTION, HISTORY_CAPTION
from runner.outputs.text.labels import FLAGS, OUTCOMES
from runner.outputs.text.speed_under_load import OLD_SWEEP_CAPTION, OPEN_LOOP_CAPTION, SWEEP_CAPTION
from runner.outputs.text.translation import (
    BilingualText,
    Catalogue,
    _,
    in_language,
    join,
    language_of,
    other_of,
    plural,
    translate,
)
from tests.conftest import RunCli
from tests.support.crafted_runs import BASE, NEW, answered, failed, jittered, run_of, write_run
from tests.support.report_pages import Shape

OUTPUTS = Path(__file__).parents[2] / "runner" / "outputs"
IN_TEMPLATE = re.compile(r'(?<!\w)_\("((?:[^"\\]|\\.)*)"|plural\([^"]*"([^"]*)", "([^"]*)"')

OF_OTHER_VERSIONS = {
    "{n} of at most {most} requests are asked",
    "“{one}”, “{other}”",
    "Illegal trailing comma before end of object",
    "Illegal trailing comma before end of array",
}
"""Sentences of earlier versions' journals and of later Pythons; and a list of quotes, which is joined."""

MAX_PIECES = 3
"""A part of a template may come from so many places: `clocks differ` is a word of one line behind one of another."""


def texts_of_code() -> Iterator[str]:
    """Yield every text that the code writes in the page's language; the first form of a plural."""
    for path in OUTPUTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"_", "plural"}:
                first = [each for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)][
                    :1
                ]
                yield from (str(each.value) for each in first)
    for path in OUTPUTS.rglob("*.j2"):
        for found in IN_TEMPLATE.finditer(path.read_text(encoding="utf-8")):
            yield found[1] or found[2]
    yield from (OUTCOMES[outcome] for outcome in Outcome)
    yield from FLAGS.values()
    yield from (measure.label for measure in MEASURES)
    yield from (word.value for words in (Verdict, ReplySimilarity, CheckVerdict, LoadVerdict) for word in words)
    yield from (word for words in BETWEEN_TARGETS.values() for word in words)
    yield from RELEASES.values()
    yield from (
        CONNECT,
        FIRST,
        THINKING,
        ANSWER,
        CAPTION,
        SWEEP_CAPTION,
        OLD_SWEEP_CAPTION,
        OPEN_LOOP_CAPTION,
        "failing more",
        "failing less",
        "passing less",
        "passing more",
        HISTORY_CAPTION,
    )
    yield from (name for size in (*PROMPT_SIZES, *REPLY_SIZES) for name in (size.of, size.unit))
    yield from (quantity.name for quantity in (CHARACTERS, SHARE, CONCURRENCY))
    yield from (name for name, _ in WAITING_KEY)
    yield from (
        CONTEXT_SENTENCE,
        "requests",
        "targets",
        "figures",
        "pass rate",
        "cost per 1,000 requests",
    )
    yield from (each.remark for each in (*PROMPT_SIZES, *REPLY_SIZES))
    yield from (each.title for each in (TTFT, TOTAL))
    yield from (chart.title for chart in draw_page_charts([Shape(2, 13, 12).run]))


def entries() -> Mapping[str, str]:
    """Return the Chinese catalogue as text -> translation; NUL separates plural forms."""
    return Catalogue((OUTPUTS / "locale" / "zh.mo").read_bytes()).entries


def translations() -> dict[str, str]:
    """Return the Chinese catalogue as text -> translation, with the first form of plural texts."""
    first_forms = ((key.partition("\0")[0], text.partition("\0")[0]) for key, text in entries().items())
    return {key: text for key, text in first_forms if key}


def shape(template: str) -> str:
    """Return a template whose placeholders have no names."""
    return "".join(text + ("{}" if name is not None else "") for text, name, *_ in Formatter().parse(template))


def texts_of_calls(tree: ast.AST, functions: set[str] | None) -> Iterator[str]:
    """Yield the shapes of the texts passed to these functions, or of all texts of a module."""
    for node in ast.walk(tree):
        if functions is None:
            yield from filter(None, [shape_of(node)])
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in functions:
            yield from filter(None, map(shape_of, node.args))


def shape_of(node: ast.AST) -> str | None:
    """Return the shape of a text or an f-string; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(map(shape_of_part, node.values))
    return None


def shape_of_part(part: ast.expr) -> str:
    """Return the shape of a part of an f-string; a number with its noun has the plural form."""
    if isinstance(part, ast.Constant):
        return part.value if isinstance(part.value, str) else ""
    match part:
        case ast.FormattedValue(value=ast.Call(func=ast.Name(id="counted"), args=[_, ast.Constant(value=str(noun))])):
            return f"{{}} {noun}s"
    return "{}"


def sentences() -> dict[str, str]:
    """Return template -> translation of the sentences that other rooms write."""
    return {key.removeprefix("sentence\x04"): text for key, text in entries().items() if "sentence\x04" in key}


def test_every_reason_of_a_check_is_translated() -> None:
    """A changed reason needs a changed translation."""
    known = {shape(each) for each in sentences()}
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (OUTPUTS.parent / "checks").glob("*.py")]
    written = {text for tree in trees for text in texts_of_calls(tree, {"failed", "undecided"})}
    assert len(written) > 20
    assert {text for text in written if text not in known} == {
        "{}: {}"
    }  # reasons from functions of a suite are not translated


def test_every_hint_is_translated() -> None:
    """The error, the hint and the clause that contains them are translated."""
    known = sentences()
    hints = [*FAILURE_KINDS.values(), *OUTCOME_HINTS.values()]
    assert [text for hint in hints for text in (hint.what, hint.help) if text not in known] == []
    for kind in FAILURE_KINDS:
        with in_language("zh"):
            hint = translate(hint_for("acme", "connection", kind, attempts=3) or "")
        assert not re.search(r" at acme|given up|[a-z]: ", hint), hint


def count_pieces(part: str, written: str) -> int:
    """Return the number of pieces, of whole words, in which the part occurs; MAX_PIECES + 1 if not all of it does."""
    words, pieces = part.split(" ") if part else [], 0
    while words:
        longest = next((n for n in range(len(words), 0, -1) if " ".join(words[:n]) in written), 0)
        if not longest:
            return MAX_PIECES + 1
        words, pieces = words[longest:], pieces + 1
    return pieces


def test_a_sentence_of_another_room_is_still_written_there() -> None:
    """A translation is reported if a part of its template is no longer in any module."""
    rooms = [path for path in OUTPUTS.parent.rglob("*.py") if OUTPUTS not in path.parents]
    modules = [*rooms, Path(json.decoder.__file__), Path(str(json.scanner.__file__))]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in modules]
    written = "\n".join(text for tree in trees for text in texts_of_calls(tree, None))
    unwritten = {
        template
        for template in sentences()
        for part, *_ in Formatter().parse(template)
        if count_pieces(part.strip(" ;:,."), written) > MAX_PIECES and template not in OF_OTHER_VERSIONS
    }
    assert unwritten == set()


def test_every_text_is_translated() -> None:
    """Every text of the code is in the catalogue; a changed text needs a changed translation."""
    known = translations()
    assert sorted({text for text in texts_of_code() if text not in known}) == []


def test_a_translation_has_the_values_of_its_text() -> None:
    """Text and translation have the same placeholders, in any order; a plural may omit its number."""

    def names(text: str) -> set[str]:
        return {name for _, name, _, _ in Formatter().parse(text) if name}

    wrong = {
        text: found
        for text, found in translations().items()
        if names(text) - names(found) or names(found) - {*names(text), "n"}
    }
    assert wrong == {}


def test_the_compiled_catalogue_is_that_of_the_source() -> None:
    """Every translation of `zh.po` is in `zh.mo`: run `pybabel compile` after an edit."""
    source = (OUTPUTS / "locale" / "zh.po").read_text(encoding="utf-8")
    written = {
        "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', block))
        for block in re.findall(r'^msgstr(?:\[0\])? ((?:".*"\n?)+)', source, re.MULTILINE)
    }
    compiled = {text.replace('"', '\\"') for text in translations().values()}
    assert compiled <= written


def test_a_composed_text_keeps_both_languages() -> None:
    """This covers values, sums and joined texts; untranslated text is unchanged."""
    with in_language("en"):
        claim = _(
            "{target} answered first: {lead}",
            target="a/b",
            lead=_("{ratio} faster than {target}", ratio="2x", target="c/d"),
        )
        both = join("; ", [claim, plural(3, "one round", "{n} rounds")]) + "!"
    assert both == "a/b answered first: 2x faster than c/d; 3 rounds!"
    assert both.other == "a/b 最先作答：速度为 c/d 的 2x; 3 轮!"
    with in_language("zh"):
        assert (_("Summary"), _("Summary").other) == ("汇总", "Summary")
    assert isinstance(_("Summary"), BilingualText)
    assert other_of("plain") == "plain"


def test_a_chinese_page_has_its_language_and_a_button_to_switch() -> None:
    """Its `lang` and headings are Chinese."""
    run = run_of([*jittered(BASE, 12), *jittered(NEW, 12, slower=2)])
    page = unescape(write_report([run], language="zh"))
    assert '<html lang="zh-CN">' in page
    assert f"{BASE} 最先作答：速度为 {NEW} 的" in page.replace("<wbr>", "").replace("</bdi>", "").replace(
        '<bdi class="breakable">', ""
    )
    assert 'data-other="Summary">汇总<' in page
    assert 'aria-label="显示内容" data-other-aria-label="What to show"' in page
    assert 'data-other="汇总">Summary<' in unescape(write_report([run]))


def test_the_command_writes_a_page_in_a_language(tmp_path: Path, run_cli: RunCli) -> None:
    """`--lang zh` writes reports and comparisons in Chinese; the error for another language lists both."""
    folder = write_run(tmp_path / "mine", [*jittered(BASE, 2), *jittered(NEW, 2)])
    assert run_cli("report", folder, "--lang", "zh").returncode == 0
    assert '<html lang="zh-CN">' in (folder / "report.html").read_text(encoding="utf-8")
    page = tmp_path / "d.html"
    assert run_cli("diff", folder, "--between", BASE, NEW, "-o", page, "--lang", "zh").returncode == 0
    assert '<html lang="zh-CN">' in page.read_text(encoding="utf-8")
    refused = run_cli("report", folder, "--lang", "fr")
    assert refused.returncode == 2
    assert "'en', 'zh'" in refused.stderr


def test_the_option_wins_over_the_locale_and_the_locale_over_english(tmp_path: Path, run_cli: RunCli) -> None:
    """The option is `--lang`; Markdown and JSON are not translated."""
    folder = write_run(tmp_path / "mine", [*jittered(BASE, 2), *jittered(NEW, 2)])
    between = ("diff", folder, "--between", BASE, NEW)

    def written(*arguments: object, **locale: str) -> str:
        done = run_cli(*arguments, env=locale)
        assert done.returncode == 0, done.stderr
        output = max(
            folder / "report.html", tmp_path / "d.html", key=lambda each: each.exists() and each.stat().st_mtime
        )
        return str(re.findall(r'<html lang="([^"]*)"', output.read_text(encoding="utf-8"))[0])

    assert written("report", folder) == "en"
    assert written("report", folder, LANG="zh_CN.UTF-8") == "zh-CN"
    assert written("report", folder, "--lang", "en", LANG="zh_CN.UTF-8") == "en"
    output = tmp_path / "d.html"
    assert written(*between, "-o", output, LANG="zh_CN.UTF-8") == "zh-CN"
    assert written(*between, "-o", output, "--lang", "en", LANG="zh_CN.UTF-8") == "en"
    markdown = tmp_path / "d.md"
    assert run_cli(*between, "-o", markdown, env={"LANG": "zh_CN.UTF-8"}).returncode == 0
    assert "in this run" in markdown.read_text(encoding="utf-8").lower() or "undecided" in markdown.read_text("utf-8")


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh-Hans"}, "zh"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LC_MESSAGES": "zh_CN.UTF-8", "LANG": "en_US.UTF-8"}, "zh"),
        ({"LC_ALL": "en_GB.UTF-8", "LC_MESSAGES": "zh_CN", "LANG": "zh_CN"}, "en"),
        ({"LC_ALL": "", "LANG": "zh_CN"}, "zh"),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "de:zh_CN:en"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LANGUAGE": "en"}, "en"),
        ({"LANG": "C.UTF-8", "LANGUAGE": "zh"}, "en"),
        ({"LANGUAGE": "zh"}, "en"),
    ],
)
def test_the_language_of_a_locale(environ: dict[str, str], language: str) -> None:
    """As in gettext: LANGUAGE, unless the locale is C, then LC_ALL, LC_MESSAGES, LANG."""
    assert language_of(environ) == language


def test_a_third_language_needs_only_a_catalogue(tmp_path: Path) -> None:
    """A catalogue beside `zh.mo` is offered, written and switched from; untranslated text is English."""
    copytree(OUTPUTS.parent, tmp_path / "runner", ignore=lambda _, names: {"__pycache__"} & {*names})
    (tmp_path / "runner" / "outputs" / "locale" / "de.mo").write_bytes(
        compiled(
            {"": "Content-Type: text/plain; charset=UTF-8\n", "en": "de", "English": "Deutsch", "Summary": "Übersicht"}
        )
    )
    folder = write_run(tmp_path / "mine", [*jittered(BASE, 2)])
    command = [sys.executable, "-m", "runner", "report", str(folder)]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={"LANG": "de_AT.UTF-8", "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    page = unescape((folder / "report.html").read_text(encoding="utf-8"))
    assert '<html lang="de">' in page
    assert 'data-other="Summary">Übersicht<' in page
    assert 'data-here="Deutsch"' in page
    assert ">Charts<" in page


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_entries_of_a_catalogue_are_those_that_gettext_finds(order: str) -> None:
    """This covers both byte orders, empty and long texts, and texts with a context."""
    texts = {"": "Content-Type: text/plain; charset=UTF-8\n", "a": "甲", "b" * 300: "", "sentence\x04c {n}": "丙 {n}"}
    read = Catalogue(compiled(texts, order))
    assert read.entries == texts
    assert {text: read.gettext(text) for text in texts if text} == {text: each for text, each in texts.items() if text}
    assert read.translate("c 5") == "丙 5"


def compiled(texts: dict[str, str], order: str = "<") -> bytes:
    """Return a catalogue in gettext's binary form: a table of originals, one of translations, then the texts."""
    pairs = [(original.encode(), text.encode()) for original, text in sorted(texts.items())]
    at, tables, data = 28 + 16 * len(pairs), [b"", b""], b""
    for column in (0, 1):
        for pair in pairs:
            tables[column] += struct.pack(f"{order}II", len(pair[column]), at + len(data))
            data += pair[column] + b"\0"
    return (
        struct.pack(f"{order}7I", 0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, 0)
        + tables[0]
        + tables[1]
        + data
    )


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("今天天气很好，we agree。", "zh"),
        ("日语里的“の”是助词，表示所属关系。", "zh"),
        ("これは日本語の文章です", "ja"),
        ("한국어 문장입니다", "ko"),
        ("An English sentence about 北京", ""),
        ("Ein deutscher Satz", ""),
        ("", ""),
    ],
)
def test_the_language_of_a_reply_is_told_by_its_letters(text: str, language: str) -> None:
    """Text in letters of many languages gets `lang=""`, HTML's value for an unknown language."""
    assert language_of_text(text) == language


def test_a_reply_has_its_own_lang_in_a_chinese_page() -> None:
    """English and Chinese replies, prompts and errors are each marked with their own language."""
    run = run_of(
        [answered(BASE, "one", reply="Hello world"), answered(NEW, "one", reply="你好，世界"), failed(BASE, "two")]
    )
    chinese, english = (write_report([run], language=language) for language in ("zh", "en"))
    for page in (chinese, english):
        assert '<div class="rendered" dir="auto" lang=""><p>Hello world' in page
        assert '<div class="rendered" dir="auto" lang="zh"><p>你好' in page
        assert re.search(r'<div class="prompt text" dir="auto" lang="">', page)


def test_blanks_do_not_stand_between_wide_characters() -> None:
    """Spaces around a value are dropped beside Chinese; spaces inside values are kept."""
    with in_language("zh"):
        assert _("{ratio} faster than {target}", ratio="2 倍", target="甲 乙") == "速度为甲 乙的 2 倍"
        assert _("{ratio} faster than {target}", ratio="2x", target="a/b") == "速度为 a/b 的 2x"


def test_a_comparison_in_chinese_writes_shares_as_the_rest_of_the_page() -> None:
    """There is no space before a percent sign, and points follow each figure once."""
    records = [*jittered(BASE, 12), *jittered(NEW, 12)]
    checks = {case: {"checks": {"contains": "Hello"}, "pass": "all", "turns": 1, "line": 3} for case in ("one", "two")}
    page = write_diff(diff_within(run_of(records, checks=checks), BASE, NEW), "zh")
    assert ">0.0%<" in page
    assert "失败率 5 个百分点、慢请求 2 个百分点、通过率 5 个百分点" in page


def test_a_comparison_switches_language() -> None:
    """The page has the button, and each text in both languages."""
    page = write_diff(diff_within(run_of([*jittered(BASE, 12), *jittered(NEW, 12, slower=2)]), BASE, NEW), "zh")
    assert 'id="language" data-language="en"' in page
    assert 'data-other="slower">较慢<' in page
