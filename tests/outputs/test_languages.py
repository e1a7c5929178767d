"""The report in two languages: every text has its translation, with the same values, and a page can be switched."""

import ast
import re
from collections.abc import Iterator
from gettext import GNUTranslations
from html import unescape
from pathlib import Path
from string import Formatter

from runner.core.events import Outcome
from runner.outputs.charts import TOTAL, TTFT, draw_page_charts
from runner.outputs.charts.chart import LOGARITHMIC
from runner.outputs.charts.panel_layout import CONTEXT_SENTENCE
from runner.outputs.charts.scatter import PROMPT_SIZES, REPLY_SIZES
from runner.outputs.charts.variants import TITLE as VARIANTS_TITLE
from runner.outputs.report.render_html import write_report
from runner.outputs.text.labels import OUTCOMES
from runner.outputs.text.language import BilingualText, _, in_language, join, other_of, plural
from tests.conftest import RunCli
from tests.support.crafted_runs import BASE, NEW, jittered, run_of, write_run
from tests.support.report_pages import Shape

OUTPUTS = Path(__file__).parents[2] / "runner" / "outputs"
IN_TEMPLATE = re.compile(r'(?<!\w)_\("((?:[^"\\]|\\.)*)"|plural\([^"]*"([^"]*)", "([^"]*)"')


def texts_of_code() -> Iterator[str]:
    """Yield every text that the code writes in the page's language; of a plural, its first form."""
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
    yield from (
        CONTEXT_SENTENCE,
        VARIANTS_TITLE,
        LOGARITHMIC,
        "requests",
        "targets",
        "figures",
        "checks passed",
        "cost per 1,000 requests",
    )
    yield from (each.remark for each in (*PROMPT_SIZES, *REPLY_SIZES))
    yield from (each.title for each in (TTFT, TOTAL))
    yield from (chart.title for chart in draw_page_charts([Shape(2, 13, 12).run]))


def catalogue() -> GNUTranslations:
    """Return the Chinese catalogue."""
    with (OUTPUTS / "locale" / "zh.mo").open("rb") as file:
        return GNUTranslations(file)


def translations() -> dict[str, str]:
    """Return the texts of the catalogue with their translations; of a plural, its first form."""
    entries = catalogue()._catalog  # type: ignore[attr-defined]
    return {key[0] if isinstance(key, tuple) else key: text for key, text in entries.items() if key}


def test_every_text_is_translated() -> None:
    """Each text of the code is in the catalogue; a text that was changed needs its translation changed."""
    known = translations()
    assert sorted({text for text in texts_of_code() if text not in known}) == []


def test_a_translation_has_the_values_of_its_text() -> None:
    """Placeholders are the same in both, in any order; a plural may leave out its number."""

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


def test_a_text_knows_itself_in_both_languages() -> None:
    """Values, sums and joined texts keep both; what was not translated is itself."""
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


def test_a_page_in_chinese_says_so() -> None:
    """Its `lang` is Chinese, its headings are, and English is a press of a button away."""
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
    """`--lang zh` writes the page in Chinese; another language is refused with the two that there are."""
    folder = write_run(tmp_path / "mine", [*jittered(BASE, 2)])
    assert run_cli("report", folder, "--lang", "zh").returncode == 0
    assert '<html lang="zh-CN">' in (folder / "report.html").read_text(encoding="utf-8")
    refused = run_cli("report", folder, "--lang", "fr")
    assert refused.returncode == 2
    assert "'en', 'zh'" in refused.stderr
