"""The Chinese page in a real browser: no English sentences, Chinese punctuation, and the language switch."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from runner.analysis.diff import diff_runs, diff_within
from runner.analysis.run_results import Run
from runner.checks.apply_checks import CHECKS as ALL_CHECKS
from runner.core.events import Outcome
from runner.core.failure_kinds import FAILURE_KINDS
from runner.core.record import Record
from runner.outputs.report.render_html import write_diff, write_report
from runner.outputs.text.labels import FLAGS
from runner.storage import journal
from tests.support.crafted_runs import BASE, NEW, answered, failed, jittered, run_of
from tests.support.report_pages import Shape
from tests.support.rich_pages import write_rich_pages

pytest.importorskip("playwright", reason="installed by .ci/run")

from playwright.sync_api import Page

from tests.support.report_browser import PageOpener

pytestmark = pytest.mark.browser

SAMPLES = Path(__file__).parents[1] / "samples" / "runs"
TEXTS = (Path(__file__).parents[1] / "support" / "visible_texts.js").read_text(encoding="utf-8")

CODE_WORDS = frozenset(
    {*FAILURE_KINDS, *FLAGS, *ALL_CHECKS}
    | {
        "TTFT",
        "token",
        "tokens",
        "JSON",
        "CSV",
        "JavaScript",
        "Markdown",
        "Schema",
        "HTTP",
        "HTTPS",
        "TLS",
        "TCP",
        "UTF",
    }
    | {
        "DNS",
        "NO",
        "SDK",
        "Ray",
        "Holm",
        "Granite",
        "CNY",
        "English",
        "ms",
        "min",
        "max",
        "chat",
        "completion",
        "nginx",
    }
    | {"compare", "python", "openai", "aiohttp", "pandas", "diff", "calibrate", "Linux", "yaml", "csv", "journal"}
    | {
        "https",
        "worker",
        "stop",
        "blocks",
        "lead",
        "rate",
        "arrivals",
        "poisson",
        "levels",
        "list",
        "eu",
        "dddddddddddd",
        "Bradley",
        "Terry",
        "Krippendorff",
        "alpha",
        "thinking",
        "off",
        "high",
    }
)
"""Words that are the same in Chinese technical texts, and values of options and of the runs here."""

NAMES = re.compile(
    r"proxy_buffering off|X-Accel-Buffering: no|`[^`]*`|“[^”]*”|--[\w-]+|[\w.-]+/[\w./:#?=&-]+|https?://\S*|\b[\w-]*\d[\w.-]*\b|\b\w+[._]\w+\b|\b[A-Z_]{4,}\b"
    r"|\S*…\S*"
)
"""Code, quotes, options, targets and paths, numbered names, columns and flags, variables, names cut to fit."""

HAN = r"[\u4e00-\u9fff]"
WRONG_PUNCTUATION = re.compile(
    rf"{HAN} ?[,;:!?()]|[,;:!?(] ?{HAN}|{HAN}\.|{HAN} +{HAN}| [，。；：！？（）、]|[，。；：！？（）、] "
)

RUNS = frozenset({"base", "oldest", "rated", "replayed", "probed"})
"""Runs whose names have no number."""


def of_sample(name: str) -> Run:
    """Return a sample run."""
    return Run.of_journal(journal.read(SAMPLES / name))


def with_every_failure() -> Run:
    """Return a run with a failure of every kind, and every outcome."""
    records = [
        replace(failed(BASE, "one", at), error_type=kind, error="No route")
        for at, kind in enumerate(FAILURE_KINDS, start=1)
    ]
    records += [
        replace(failed(BASE, "two", at), outcome=outcome, error_type=None)
        for at, outcome in enumerate(set(Outcome) - {Outcome.OK, Outcome.LENGTH}, start=1)
    ]
    return run_of([*records, answered(BASE, "one", 90)])


def with_every_flag() -> Run:
    """Return a run with a reply of each flag, and one that was cut."""
    flagged: list[Record] = [
        replace(answered(BASE, "one", at), noted=(flag,)) for at, flag in enumerate(FLAGS, start=1) if flag != "warmup"
    ]
    return run_of([*flagged, replace(answered(BASE, "two"), outcome=Outcome.LENGTH)])


CHECKS = {
    "equals": ["Paris", "Lyon"],
    "starts_with": "Oh",
    "contains": ["moon", "sun"],
    "not_contains": ["Hello", "world"],
    "regex": "^[0-9]+$",
    "json": True,
    "length": {"min": 100},
    "language": "zh",
    "finish_reason": "length",
    "max_ttft_s": 0.001,
    "max_total_s": 0.001,
    "max_cost": 1,
    "min_output_tps": 10**6,
    "no_refusal": True,
    "unheard_of": True,
}


def with_every_check() -> Run:
    """Return a run whose replies pass no check, and of which some checks are undecided."""
    checks = {case: {"checks": CHECKS, "pass": "all", "turns": 1, "line": 3} for case in ("one", "two")}
    declined = answered(BASE, "two", reply="I'm sorry, but I can't help with that. 不行")
    return run_of([answered(BASE, "one"), replace(declined, finish_reason=None)], checks=checks)


SWITCHED: dict[str, Callable[[], Run]] = {
    "checks": with_every_check,
    "flags": with_every_flag,
    "large": lambda: Shape(6, 40, 10, down=2).run,
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write the Chinese pages of runs of every kind."""
    base, new = Shape(3, 6, 12, down=1), Shape(3, 6, 12, down=1, seed=5, run_id="20260103-030405")
    two = run_of([*jittered(BASE, 12), *jittered(NEW, 12, slower=2)])
    few = run_of([*jittered(BASE, 2), *jittered(NEW, 2, slower=2)])
    samples = ("complete", "kept", "oldest", "partial", "rated", "replayed", "resumed", "swept", "vantages")
    made = {
        **{name: write_report([of_sample(name)], language="zh") for name in samples},
        "several": write_report([base.run, new.run], language="zh"),
        "baseline": write_report([new.run], diff_runs(base.run, new.run), language="zh"),
        "large": write_report([Shape(6, 40, 10, down=2).run], language="zh"),
        "within": write_diff(diff_within(two, BASE, NEW), "zh"),
        **{f"english-{name}": write_report([make()], language="en") for name, make in SWITCHED.items()},
        "english-within": write_diff(diff_within(two, BASE, NEW), "en"),
        "few": write_diff(diff_within(few, BASE, NEW), "zh"),
        "failures": write_report([with_every_failure()], language="zh"),
        "flags": write_report([with_every_flag()], language="zh"),
        "checks": write_report([with_every_check()], language="zh"),
    }
    folder = tmp_path_factory.mktemp("chinese")
    for name, html in made.items():
        (folder / f"{name}.html").write_text(html, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in made} | write_rich_pages(folder)


PAGES = (
    *("complete", "kept", "oldest", "partial", "rated", "replayed", "resumed", "swept", "vantages"),
    *("several", "baseline", "large", "within", "few", "failures", "flags", "checks", "rich", "probed"),
)


def texts_of(page: Page) -> list[str]:
    """Return every text of ours on a page, visible, read aloud or in a tooltip, without replies, prompts and names."""
    found: list[str] = page.evaluate(TEXTS)
    return found


def english_words(text: str, names: frozenset[str]) -> list[str]:
    """Return the words of a text that are English, and neither names nor code."""
    return [word for word in re.findall(r"[A-Za-z]{2,}", NAMES.sub(" ", text)) if word not in CODE_WORDS | RUNS | names]


NAMES_OF_USERS = """() =>
    [...document.querySelectorAll(".breakable, .label, h1")]
        .flatMap(each => each.textContent.match(/[A-Za-z]{2,}/g) ?? [])
"""


def names_in(page: Page) -> frozenset[str]:
    """Return the words of the names that a user gave: targets, cases, suites, checks."""
    return frozenset(page.evaluate(NAMES_OF_USERS))


@pytest.mark.parametrize("name", PAGES)
def test_a_chinese_page_has_no_english_sentence(open_page: PageOpener, pages: dict[str, Path], name: str) -> None:
    """Every visible text, tooltip and text for screen readers is Chinese, apart from names and code."""
    page = open_page(pages[name])
    names = names_in(page)
    english = {text: words for text in texts_of(page) if (words := english_words(text, names))}
    assert english == {}


@pytest.mark.parametrize("name", [*SWITCHED, "within", "rich", "probed"])
def test_an_english_page_that_is_switched_is_the_chinese_one(
    open_page: PageOpener, pages: dict[str, Path], name: str
) -> None:
    """The switch leaves no English text: the page equals one that was written in Chinese."""
    switched, chinese = open_page(pages[f"english-{name}"], "#lang=zh-CN"), open_page(pages[name])
    assert set(texts_of(switched)) ^ set(texts_of(chinese)) == set()


@pytest.mark.parametrize("name", PAGES)
def test_a_chinese_page_has_chinese_punctuation(open_page: PageOpener, pages: dict[str, Path], name: str) -> None:
    """Marks beside Chinese characters are full-width, and have no space beside them."""
    wrong = [text for text in texts_of(open_page(pages[name])) if WRONG_PUNCTUATION.search(text)]
    assert wrong == []
