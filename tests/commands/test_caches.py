"""Sized inputs, warm caches and cache probes from the command line to the last table, against the simulator."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import runner
from runner.errors import CompareError
from tests.support.command import compare, read_lines, read_rows, succeed, write_yaml

CACHING, UNTOLD = "sim/caching", "sim/caching-untold"
EXACT = "sim/exact?ttft_ms=5&gap_ms=1&tokens=3"
NOVEL: dict[str, Any] = {"id": "novel", "input": {"tokens": "2k"}, "prompt": "Who is this about?"}
PLAIN = {"id": "plain", "prompt": "What is 17 + 25?"}


def write_suite(folder: Path, *cases: object, **defaults: Any) -> None:
    """Write a suite with short replies."""
    write_yaml(folder / "s.yaml", {"defaults": {"max_tokens": 3} | defaults, "cases": list(cases)})


def records(folder: Path, *, warmup: bool = False) -> list[Mapping[str, Any]]:
    """Return the records of a run that count, or its warm-ups."""
    return [line for line in read_lines(folder, "record") if line.get("warmup", False) is warmup]


# Sized inputs


def test_sized_inputs_have_the_requested_size(tmp_path: Path) -> None:
    """A probe of each target measures its characters per token; sizes are within a few percent, and reported."""
    sized = {"id": "novel", "input": {"tokens": ["2k", "20k"]}, "prompt": "Who?"}
    write_suite(tmp_path, sized, PLAIN)
    printed = succeed(tmp_path, "run", "s.yaml", "-m", EXACT, "-m", "sim/quick", "-o", "out", "-o", "out.json")
    found = {(each["case"], each["model"]): each["input_tokens"] for each in records(tmp_path / "out")}
    for (case, _), tokens in found.items():
        assert tokens == pytest.approx({"novel-2k": 2_000, "novel-20k": 20_000}.get(case, tokens), rel=0.1)
    assert len(found) == 6
    probes = records(tmp_path / "out", warmup=True)
    assert [probe["case"] for probe in probes] == ["novel-20k"] * 2
    assert {probe["target"] for probe in read_lines(tmp_path / "out", "input_probe")} == {EXACT, "sim/quick"}
    assert "2 warm-up requests" in printed
    reached = f"{found['novel-20k', 'quick']:,}"
    markdown = (tmp_path / "out" / "results.md").read_text(encoding="utf-8")
    assert f"sim/quick {reached} (n 1)" in markdown
    assert "20,000 input tokens wanted of Alice's Adventures in Wonderland; reached: " in " ".join(printed.split())
    rows = read_rows(tmp_path / "out")
    assert rows[-1]["prompt"].startswith(("[Alice", "What is"))
    document = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert {(each["wanted"], each["n"]) for each in document["inputs"]} == {(2_000, 1), (20_000, 1)}


def test_a_resumed_run_reuses_the_probe_of_sized_inputs(tmp_path: Path) -> None:
    """The journal holds the probe's result, so that no probe is sent again, and the sizes stay the same."""
    write_suite(tmp_path, NOVEL, PLAIN, repeat=2)
    succeed(tmp_path, "run", "s.yaml", "-m", EXACT, "-o", "out", "--concurrency", "1", "--order", "as-written")
    journal = tmp_path / "out" / "journal.jsonl"
    lines = journal.read_text(encoding="utf-8").splitlines(keepends=True)
    probe = next(json.loads(line) for line in lines if '"input_probe"' in line)
    kept = [
        line.replace(f'"tokens":{probe["tokens"]}', '"tokens":4000') for line in lines if '"kind":"end"' not in line
    ]
    ends = [at for at, line in enumerate(kept) if '"kind":"record"' in line]
    journal.write_text("".join(kept[: ends[3]]), encoding="utf-8")
    succeed(tmp_path, "run", "--resume", "out")
    novels = [each["input_tokens"] for each in records(tmp_path / "out") if each["case"] == "novel"]
    assert novels[0] == pytest.approx(2_000, rel=0.1)
    assert novels[1] == pytest.approx(1_000, rel=0.1)
    assert len(records(tmp_path / "out", warmup=True)) == 1


def test_a_replay_of_sized_inputs_includes_the_probe(tmp_path: Path) -> None:
    """The probe is replayed too, so that texts are cut at the same place."""
    write_suite(tmp_path, {**NOVEL, "prompt": None, "turns": ["Who?", "Why?"]}, cache="bust")
    succeed(tmp_path, "run", "s.yaml", "-m", EXACT, "--record", "-o", "out")
    succeed(tmp_path, "run", "s.yaml", "--replay", "out", "--fast", "-o", "again")
    (before, after) = ([each["input_tokens"] for each in records(tmp_path / name)] for name in ("out", "again"))
    assert before == after


def test_a_size_without_usage_is_flagged_as_an_estimate(tmp_path: Path) -> None:
    """The flag is in the row, and the summary has a note."""
    write_suite(tmp_path, NOVEL, PLAIN)
    printed = succeed(tmp_path, "run", "s.yaml", "-m", "sim/fault-no-usage?ttft_ms=5&gap_ms=1&tokens=3", "-o", "out")
    flags = {row["case"]: row["flags"] for row in read_rows(tmp_path / "out") if "warmup" not in row["flags"]}
    assert "estimated_input" in flags["novel"]
    assert "estimated_input" not in flags["plain"]
    assert "the text's size is an estimate" in printed
    assert "not reported (n 1)" in printed


def test_a_plan_shows_the_estimate_and_the_bound(tmp_path: Path) -> None:
    """The plan also shows the highest cost of the probe; nothing is sent."""
    write_suite(tmp_path, NOVEL, repeat=10)
    asked = ("plan", "s.yaml", "-m", "openai/gpt-5-mini")
    assert "11 requests" in succeed(tmp_path, *asked)
    assert "about 20,000 input tokens in all (an estimate, no bound), 0.005 USD" in succeed(tmp_path, *asked)
    (target,) = json.loads(succeed(tmp_path, *asked, "--json"))["targets"]
    assert target["sized_input_tokens"] == 20_000
    assert target["input_tokens"] > 20_000
    assert float(target["cost"]["amount"]) > float(target["sized_input_cost"]["amount"])


def test_a_secret_in_a_text_is_not_sent(tmp_path: Path) -> None:
    """A key in an input text is refused, because a provider would receive it."""
    (tmp_path / "book.txt").write_text("The word is sk-0123456789abcdef.", encoding="utf-8")
    write_suite(tmp_path, {"id": "a", "input": {"tokens": 50, "text": "book.txt"}})
    done = compare(tmp_path, "run", "s.yaml", "-m", EXACT, variables={"MY_API_KEY": "sk-0123456789abcdef"})
    assert done.returncode == 2
    assert "holds the value of MY_API_KEY" in done.stderr


# Warm caches


def test_cache_warm_sends_each_prefix_before_the_measured_rows(tmp_path: Path) -> None:
    """It is sent once per target and prefix; all measured rows are cached with `warm`, and none with `bust`."""
    cases = (NOVEL, {**NOVEL, "id": "same"}, {**NOVEL, "id": "other", "input": {"tokens": "3k"}})
    write_suite(tmp_path, *cases, cache="warm", repeat=2)
    succeed(tmp_path, "run", "s.yaml", "-m", CACHING, "-o", "out")
    assert len(records(tmp_path / "out", warmup=True)) == 1 + 2
    assert len(records(tmp_path / "out")) == 6
    assert all(each["cached_tokens"] >= 1_024 for each in records(tmp_path / "out"))
    write_suite(tmp_path, *cases, cache="bust", repeat=2)
    succeed(tmp_path, "run", "s.yaml", "-m", CACHING, "-o", "bust")
    assert len(records(tmp_path / "bust", warmup=True)) == 1
    assert {each["cached_tokens"] for each in records(tmp_path / "bust")} == {0}


@pytest.mark.parametrize("api", ["responses", "messages"])
def test_cached_tokens_are_read_in_every_dialect(tmp_path: Path, api: str) -> None:
    """Member names of usage differ; Messages counts cached tokens beside the input tokens."""
    write_suite(tmp_path, NOVEL, cache="warm", api=api)
    succeed(tmp_path, "run", "s.yaml", "-m", CACHING, "-o", "out")
    (row,) = records(tmp_path / "out")
    assert row["cached_tokens"] >= 1_024
    assert row["input_tokens"] == pytest.approx(2_000, rel=0.1)


def test_repeats_without_cached_token_counts_are_a_finding(tmp_path: Path) -> None:
    """The finding is only on the target whose usage never reports cached tokens."""
    write_suite(tmp_path, NOVEL, repeat=2)
    printed = succeed(tmp_path, "run", "s.yaml", "-m", CACHING, "-m", UNTOLD, "-o", "out")
    assert f"a cache that it does not report; repeats: {UNTOLD} (n 1)" in " ".join(printed.split())


# Cache probes


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a cache probe in `out`, of a cache that expires before the last pause ends."""
    folder = tmp_path_factory.mktemp("probed")
    write_suite(folder, NOVEL)
    targets = ("-m", "sim/caching?cache_ms=4000", "-m", UNTOLD)
    done = succeed(
        folder,
        *("run", "s.yaml", *targets, "--cache-probe", "--cache-waits", "100ms,4100ms", "--repeat", "6", "--seed", "1"),
        *("-o", "out", "-o", "out.json"),
    )
    (folder / "printed").write_text(done, encoding="utf-8")
    return folder


def test_a_cache_probe_tabulates_what_a_cache_saves(probed: Path) -> None:
    """New prefixes are never cached; repeated ones are cached until they expire. Ratios have n."""
    table = runner.caches(probed / "out")
    told, untold = table.loc["sim/caching?cache_ms=4000"], table.loc[UNTOLD]
    assert told["cached_tokens"].tolist()[0] == 0
    assert told["cached_tokens"].tolist()[1] >= 1_024
    assert told["cached_tokens"].tolist()[3] == 0
    assert untold["cached_tokens"].isna().all()
    assert table["pairs"].tolist() == [0, 6, 6, 6] * 2
    assert (table["idled_p50_s"].dropna() >= table["idle_s"].dropna()).all()
    printed = (probed / "printed").read_text(encoding="utf-8")
    assert "Prompt caches" in printed
    assert "again after 0.1 s" in printed
    assert "## Prompt caches" in (probed / "out" / "results.md").read_text(encoding="utf-8")
    assert '<h2 id="caches-1">' in (probed / "out" / "report.html").read_text(encoding="utf-8")
    document = json.loads((probed / "out.json").read_text(encoding="utf-8"))
    assert [stage["idle_s"] for stage in document["caches"]] == [None, 0, 0.1, 4.1] * 2
    assert {stage["pairs"] for stage in document["caches"]} == {0, 6}


def test_an_interrupted_series_begins_again(tmp_path: Path) -> None:
    """It gets a new prefix, because no series may span an interruption; complete series are kept."""
    write_suite(tmp_path, NOVEL)
    probe = ("--cache-probe", "--cache-waits", "10ms", "--repeat", "3", "--concurrency", "1")
    succeed(tmp_path, "run", "s.yaml", "-m", CACHING, *probe, "-o", "out")
    journal = tmp_path / "out" / "journal.jsonl"
    lines = journal.read_text(encoding="utf-8").splitlines(keepends=True)
    counted = [at for at, line in enumerate(lines) if '"kind":"record"' in line and '"warmup":true' not in line]
    journal.write_text("".join(lines[: counted[4] + 1]), encoding="utf-8")
    by_repeat = [each["repeat"] for each in records(tmp_path / "out")]
    unfinished = {repeat for repeat in by_repeat if by_repeat.count(repeat) < 3}
    assert unfinished
    done = compare(tmp_path, "run", "--resume", "out")
    assert done.returncode == 0, done.stderr
    assert len(runner.load(tmp_path / "out").query("flags.isna() or not flags.str.contains('warmup')")) == 9
    assert set(runner.caches(tmp_path / "out")["pairs"]) == {0, 3}
    (resumed,) = read_lines(tmp_path / "out", "resume")
    assert len(resumed["redone"]) == sum(by_repeat.count(repeat) for repeat in unfinished)
    assert runner.caches(tmp_path / "out")["cached_tokens"].tolist()[0] == 0


def test_a_probe_is_not_resumed_with_other_pauses(probed: Path) -> None:
    """The rows of other pauses would not count."""
    done = compare(probed, "run", "s.yaml", "--resume", "out", "--cache-probe", "--cache-waits", "5m")
    assert done.returncode == 2
    assert "had other pauses between its repetitions" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cache-waits", "5m"], "--cache-waits sets how long a cache probe waits; add --cache-probe"),
        (["--cache-probe", "--rate", "2"], "--cache-probe repeats requests after fixed times"),
        (["--cache-probe", "--sweep", "1,2"], "leave out --rate, --sweep"),
        (["--cache-probe", "--duration", "5m"], "give --repeat N"),
        (["--cache-probe", "--cache-waits", "5"], "'5' has no unit; write 5s, 5m, 5h or 5d"),
        (["--cache-probe", "--cache-waits", "soon"], "'soon' is not a duration"),
    ],
)
def test_options_that_contradict_a_cache_probe_are_refused(tmp_path: Path, arguments: list[str], message: str) -> None:
    """The error comes before anything is sent."""
    write_suite(tmp_path, PLAIN)
    done = compare(tmp_path, "run", "s.yaml", "-m", EXACT, *arguments)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())


def test_python_probes_caches_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The options have the same names, in seconds; a table of another run is refused."""
    monkeypatch.chdir(tmp_path)
    table = runner.run(
        prompts=[{"id": "novel", "input": {"tokens": "2k"}}],
        defaults={"max_tokens": 3},
        targets=CACHING,
        cache_probe=True,
        cache_waits=[0.05],
        repeat=2,
    )
    found = runner.caches(table)
    assert found["idle_s"].tolist()[1:] == [0, 0.05]
    assert found["n"].tolist() == [2, 2, 2]
    plain = runner.run(prompts=["Hello"], targets=EXACT)
    with pytest.raises(CompareError, match="was no cache probe"):
        runner.caches(plain)
    with pytest.raises(CompareError, match="cache_waits"):
        runner.run(prompts=["Hello"], targets=EXACT, cache_probe=True, cache_waits=["soon"])  # type: ignore[list-item]
    with pytest.raises(CompareError, match="add cache_probe"):
        runner.run(prompts=["Hello"], targets=EXACT, cache_waits=[5])


def test_a_prefix_too_short_for_most_caches_is_noted(tmp_path: Path) -> None:
    """One note states that most providers would not cache it; another one gives the pauses."""
    write_suite(tmp_path, PLAIN)
    printed = succeed(tmp_path, "plan", "s.yaml", "-m", EXACT, "--cache-probe")
    assert "most providers cache no beginning below 1,024 tokens" in printed
    assert "plain (about 4 tokens)" in printed
    assert "after pauses, 6 min in all" in printed
