"""Runs, recordings and snapshots written by earlier versions load, resume, replay, rederive and diff."""

import csv
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import runner
from runner.analysis.run_results import Run
from runner.core.cluster_node import Node
from runner.core.load_profile import LoadProfile
from runner.core.suite import Case, Parameters, Suite, SuiteTarget
from runner.core.until_ci import UntilCi
from runner.outputs import WRITERS
from runner.planning.plan import Plan
from runner.planning.request import Request, Target
from runner.providers.registry import builtin
from runner.storage import journal
from runner.suite.load import load as load_suite
from runner.suite.suite_targets import vary_targets
from tests.support.command import compare, read_lines, read_rows

RUNS = Path(__file__).parents[1] / "samples" / "runs"
NAMES = sorted(path.parent.name for path in RUNS.glob("*/journal.jsonl") if path.parent.suffix != ".snapshot")
SUITE_OF = {name: f"{name}.yaml" for name in ("complete", "partial", "kept", "swept", "varied")} | {
    "oldest": "complete.yaml",
    "rated": "swept.yaml",
    "replayed": "complete.yaml",
    "resumed": "partial.yaml",
}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Return a copy of the folder with all runs and their suites."""
    return Path(shutil.copytree(RUNS, tmp_path / "runs"))


def suite_of(name: str) -> Suite:
    """Return the suite that a run was made from."""
    suite, _ = load_suite(RUNS / SUITE_OF[name], builtin().names)
    return suite


def replies_of(run: Path) -> Counter[tuple[str, str | None]]:
    """Count a run's requests by their key and reply, warm-ups apart."""
    return Counter((record.identity.key, record.reply) for record in journal.read(run).records if not record.warmup)


def recorded_keys(name: str) -> Counter[str]:
    """Count the keys in a run's journal, warm-ups apart."""
    return Counter(record.identity.key for record in journal.read(RUNS / name).records if not record.warmup)


def test_every_old_run_has_a_suite_or_needs_none() -> None:
    """The other tests cover every folder of old runs."""
    assert sorted([*SUITE_OF, "vantages"]) == NAMES


# Reading


@pytest.mark.parametrize("name", NAMES)
def test_an_old_run_loads_with_the_rows_it_had(name: str) -> None:
    """`runner.load` returns each row of the table that was written with the run."""
    frame, rows = runner.load(RUNS / name), read_rows(RUNS / name)
    assert len(frame) == len(rows)
    assert frame.attrs["run_id"] == rows[0]["run_id"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("suffix", sorted(WRITERS))
def test_an_old_run_makes_every_output(name: str, suffix: str) -> None:
    """No format needs a member that an old journal lacks."""
    assert WRITERS[suffix](Run.of_journal(journal.read(RUNS / name)))


@pytest.mark.parametrize("name", NAMES)
def test_an_old_run_keeps_its_figures(name: str) -> None:
    """Every cell of the table that was written with the run is written again, under the same column."""
    text = WRITERS[".csv"](Run.of_journal(journal.read(RUNS / name)))
    assert isinstance(text, str)
    old, new = read_rows(RUNS / name), list(csv.DictReader(text.splitlines(keepends=True)))
    assert [{column: row[column] for column in old[0]} for row in new] == old


def test_the_options_in_an_old_header_are_read() -> None:
    """Load profile, stop rules and vantages are read under the names by which they were stored."""
    rated, swept, vantages = (journal.read(RUNS / name).header for name in ("rated", "swept", "vantages"))
    assert rated.load == {"lead": 3, "rate": 40.0, "arrivals": "poisson", "max_requests": 5}
    assert (rated.budgets, rated.until_ci, rated.late_bound_s, rated.case_patterns) == (("5 USD",), 0.5, 0.02, ("c*",))
    assert swept.load == {"max_requests": 3, "levels": [1, 2]}
    assert LoadProfile.from_plain(rated.load) == LoadProfile(lead=3, rate=40, arrivals="poisson", max_requests=5)
    assert LoadProfile.from_plain(swept.load) == LoadProfile(max_requests=3, levels=(1, 2))
    assert vantages.vantages == {"north": "eu", "south": None}
    assert journal.read(RUNS / "replayed").header.replay_of == "complete"
    assert journal.read(RUNS / "oldest").header.vantages == {}


def test_old_checks_of_the_suites_own_are_read() -> None:
    """The result of a suite's function is in the `check` line of its record; the function is not called again."""
    results = (record.custom_checks for record in journal.read(RUNS / "complete").records)
    assert [result for result in results if result is not None] == [{"own_checks:is_short": None}] * 12


@pytest.mark.parametrize(
    ("base", "new"), [("complete", "oldest"), ("oldest", "replayed"), ("partial", "resumed"), ("kept.snapshot", "kept")]
)
def test_old_runs_diff(base: str, new: str) -> None:
    """Two old runs of one suite are compared, replies and times."""
    done = compare(RUNS, "diff", base, new)
    assert done.returncode == 0, done.stderr
    assert "replies: " in done.stdout or base.endswith(".snapshot")


def test_the_variants_of_an_old_run_are_told_apart_and_compared() -> None:
    """Their settings are in the header, their names in every row, and any two are paired by round."""
    header = journal.read(RUNS / "varied").header
    fast, deep = (f"sim/thinker#{name}+temperature=0" for name in ("fast", "deep"))
    assert header.vary == {"temperature": [0.0, 1.0]}
    assert header.variants[deep] == {"thinking": "high", "max_tokens": 400, "temperature": 0.0}
    assert Counter(runner.load(RUNS / "varied")["variant"]) == {
        f"{name}+temperature={value}": 6 for name in ("fast", "deep", "terse") for value in (0, 1)
    }
    done = compare(RUNS, "diff", "varied", "--between", fast, deep)
    assert done.returncode == 0, done.stderr
    assert "in pairs of one round" in done.stdout


# Resumed and replayed


def test_an_old_partial_run_resumes(runs: Path) -> None:
    """Resuming sends only the requests that are missing or were interrupted."""
    before = journal.read(runs / "partial")
    cancelled = {record.identity.key for record in before.records if record.outcome == "cancelled"}
    completed = {record.identity.key for record in before.records} - cancelled
    done = compare(runs, "run", "--resume", "partial", "-q")
    assert done.returncode == 3, done.stderr
    assert "no longer in the plan" not in done.stderr
    after = journal.read(runs / "partial")
    asked = Counter(line["key"] for line in read_lines(runs / "partial", "record"))
    assert after.end is not None
    assert len(list(after.records)) == after.header.planned_requests == 32
    assert {key for key, times in asked.items() if times > 1} == cancelled
    assert completed < asked.keys()
    (line,) = read_lines(runs / "partial", "resume")
    assert (set(line["redone"]), line["dropped"]) == (cancelled, [])
    assert line["changes"].keys() <= {"platform", "versions", "release", "caches"}
    assert (before.header.release, after.header.release) == (None, "mixed")


@pytest.mark.parametrize("name", ["complete", "resumed", "varied"])
def test_an_old_finished_run_is_resumed_without_a_request(runs: Path, name: str) -> None:
    """Every request of its own suite is known by its key."""
    asked = len(read_lines(runs / name, "record"))
    done = compare(runs, "run", "--resume", name, "-q")
    assert done.returncode in (0, 1, 3), done.stderr
    assert len(read_lines(runs / name, "record")) == asked
    assert replies_of(runs / name) == replies_of(RUNS / name)


@pytest.mark.parametrize(("name", "code"), [("complete", 1), ("oldest", 1), ("varied", 0)])
def test_an_old_recording_replays(runs: Path, name: str, code: int) -> None:
    """Each request is answered from the recording, with the reply of the run."""
    header = journal.read(runs / name).header
    cases = [word for pattern in header.case_patterns for word in ("-k", pattern)]
    repeat = ("--repeat", str(header.repeat))
    done = compare(runs, "run", SUITE_OF[name], "--replay", name, "--fast", *cases, *repeat, "-o", "again", "-q")
    assert done.returncode == code, done.stderr
    assert replies_of(runs / "again") == replies_of(RUNS / name)


READ_SINCE = frozenset({"served_by", "system_fingerprint", "service_tier"})
"""Members of a record that those versions did not read from the bytes."""


@pytest.mark.parametrize("name", ["complete", "oldest", "partial", "varied"])
def test_an_old_recording_rederives_to_the_same_records(runs: Path, name: str) -> None:
    """The records that are decoded from the recorded bytes equal those of the journal."""
    done = compare(runs, "rederive", name, "-o", "again")
    assert done.returncode == 0, done.stderr
    for kind in ("record", "attempt"):
        again, before = read_lines(runs / "again", kind), read_lines(runs / name, kind)
        known = [
            {member: value for member, value in line.items() if member in old or member not in READ_SINCE}
            for line, old in zip(again, before, strict=True)
        ]
        assert known == before


def test_an_old_snapshot_still_matches(runs: Path) -> None:
    """Both its own run and a new one agree with it, and no file changes."""
    targets = ("-m", "sim/quick", "-m", "sim/exact?ttft_ms=30&gap_ms=2&tokens=4")
    for source in (("--from", "kept"), targets):
        done = compare(runs, "snapshot", "kept.yaml", *source, "-q")
        assert done.returncode == 0, done.stdout + done.stderr
    assert _texts_below(runs / "kept.snapshot") == _texts_below(RUNS / "kept.snapshot")


def _texts_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# Keys and digests


def targets_of(row: SuiteTarget) -> Iterator[Target]:
    """Yield the targets of a row of a suite, in all its variants."""
    for model in row.models:
        for variant in row.variants:
            yield Target(row.provider, model, variant.parameters, variant=variant.name, settings=variant.settings)
        if not row.variants:
            yield Target(row.provider, model, row.parameters)


def plan_of(name: str) -> Plan:
    """Return the plan of an old run, rebuilt from its suite and header."""
    header = journal.read(RUNS / name).header
    suite = vary_targets(suite_of(name), header.vary)
    listed = {target.name: target for row in suite.targets for target in targets_of(row)}
    assert header.seed is not None
    return Plan(
        cases=tuple(case for case in suite.cases if case.id in header.cases),
        targets=tuple(
            listed.get(target, Target(*target.partition("/")[::2], suite.parameters)) for target in header.targets
        ),
        repeat=header.repeat,
        levels=max(1, len(header.load.get("levels", ()))),
        seed=header.seed,
    )


def keys_of(plan: Plan) -> Iterator[str]:
    """Yield the key of every request of a plan."""
    names = {target.name for target in plan.targets}
    for level in range(plan.levels):
        for opening in plan.openings_at(level, names):
            yield opening.key
            yield from (request.key for request in opening.later_turns())


@pytest.mark.parametrize("name", ["complete", "kept", "oldest", "replayed", "resumed", "varied"])
def test_request_keys_are_those_of_old_runs(name: str) -> None:
    """If the key of a request changed with the code, an old run could not be resumed."""
    assert Counter(keys_of(plan_of(name))) == recorded_keys(name)


@pytest.mark.parametrize("name", sorted(SUITE_OF))
def test_suite_digests_are_those_of_old_runs(name: str) -> None:
    """If a digest changed with the code, every old run would count as made from another suite."""
    assert suite_of(name).digest == journal.read(RUNS / name).header.digest


def test_request_keys_of_vantages_are_those_of_old_runs() -> None:
    """The key of a vantage names its node."""
    case, target = Case("hello", ("Hello!", "Again!")), Target("acme", "m-1", Parameters(temperature=0.5))
    plan = Plan((case,), (target,), repeat=2, seed=9, vantages=(Node("north", "eu"), Node("south", None)))
    assert Counter(keys_of(plan)) == recorded_keys("vantages")


def test_the_key_of_a_request_without_parameters_is_fixed() -> None:
    """The key's content and its order are part of the format."""
    request = Request(Target("p", "m", Parameters()), Case("one", ("Hello?",)), repeat=1, block=1)
    assert request.key == "8fdc85e8ee9ef0b5"


@dataclass(frozen=True, slots=True)
class LaterParameters(Parameters):
    """Parameters with a field that a later version might add."""

    skills: Mapping[str, str] = field(default_factory=dict)


def test_a_new_parameter_is_in_the_key_only_if_it_is_set() -> None:
    """A new field at its default leaves every key unchanged; another value distinguishes requests."""
    case = Case("one", ("Hello?",))
    now, unset, used = (
        Request(Target("p", "m", parameters), case, repeat=1, block=1).key
        for parameters in (Parameters(seed=3), LaterParameters(seed=3), LaterParameters(seed=3, skills={"a": "b"}))
    )
    assert unset == now
    assert used != now


def test_a_run_of_a_newer_version_with_another_precision_loads(runs: Path) -> None:
    """A name in `until_ci` that this version does not know is ignored, and the header is not damaged."""
    path = runs / "rated" / "journal.jsonl"
    text = path.read_text(encoding="utf-8")
    assert text.count('"until_ci":0.5') == 1
    path.write_text(text.replace('"until_ci":0.5', '"until_ci":{"ttft":0.5,"goodput":0.1}'), encoding="utf-8")
    read = journal.read(runs / "rated")
    assert not read.damage.lines
    assert UntilCi.from_plain(read.header.until_ci) == UntilCi(ttft=0.5)
