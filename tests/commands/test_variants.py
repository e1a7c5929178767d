"""Variants from the suite to the last table: runs, patterns, plans, replay, resume, snapshot, diff and gate."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import runner
from runner.errors import CompareError
from tests.support.command import compare, read_lines, read_rows, succeed, write_yaml

EXACT = "exact?ttft_ms=10&gap_ms=1&tokens=4&thinking=8"
SUITE = {
    "name": "varied",
    "targets": [
        {
            "provider": "sim",
            "models": [EXACT],
            "variants": {
                "off": {"thinking": "off"},
                "low": {"thinking": "low"},
                "high": {"thinking": "high", "prefix": "Please: "},
            },
        },
        "sim/quick",
    ],
    "cases": [{"id": "talk", "turns": ["My name is Ada.", "What is my name?"]}, {"id": "sum", "prompt": "17 + 25?"}],
}
THINKING = {"off": 0, "low": 4, "high": 24}
"""Variant -> the tokens of its reasoning: half and three times what the model's name says."""

Run = Callable[..., str]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the suite, and a recorded run of it in `out`."""
    folder = tmp_path_factory.mktemp("variants")
    write_yaml(folder / "s.yaml", SUITE)
    succeed(folder, "run", "s.yaml", "--repeat", "2", "--seed", "1", "--record", "-o", "out")
    return folder


def name(variant: str) -> str:
    """Return the name of a variant's target."""
    return f"sim/{EXACT}#{variant}"


def gist(folder: Path, *more: str) -> list[tuple[str, ...]]:
    """Return the columns of all rows that hold no time, sorted."""
    columns = ("case", "turn", "repeat", "model", "variant", "outcome", "prompt", "reasoning_tokens", "reply", *more)
    return sorted(tuple(row[column] for column in columns) for row in read_rows(folder))


def test_every_variant_gets_all_requests_with_its_parameters(recorded: Path) -> None:
    """Each has its rows and reasoning; prompts in results have no prefix; a target without variants has none."""
    rows = read_rows(recorded / "out")
    assert Counter((row["model"], row["variant"]) for row in rows) == {
        **{(EXACT, variant): 6 for variant in THINKING},
        ("quick", ""): 6,
    }
    exact = [row for row in rows if row["model"] == EXACT]
    assert {(row["variant"], int(row["reasoning_tokens"])) for row in exact} == set(THINKING.items())
    assert {row["prompt"] for row in rows} == {"My name is Ada.", "What is my name?", "17 + 25?"}
    sizes = {row["variant"]: int(row["input_tokens"]) for row in exact if row["case"] == "sum"}
    assert sizes["high"] > sizes["off"] == sizes["low"], "the prefix was sent"
    (header,) = read_lines(recorded / "out", "header")
    assert header["targets"] == [*map(name, THINKING), "sim/quick"]
    assert header["variants"][name("high")] == {"thinking": "high", "prefix": "Please: "}


def test_variants_are_interleaved_and_paired(recorded: Path) -> None:
    """Every round has each question once per variant, in random order, and rows of a round are pairs."""
    lines = read_lines(recorded / "out", "record")
    first = [line for line in lines if line["turn"] == 1]
    assert Counter((line["block"], line["case"], line.get("variant")) for line in first) == {
        (block, case, variant): 1 for block in (1, 2) for case in ("talk", "sum") for variant in (*THINKING, None)
    }
    orders = {
        tuple(
            line.get("variant")
            for line in sorted(first, key=lambda line: line["marks"]["sent"])
            if line["block"] == block
        )
        for block in (1, 2)
    }
    assert len(orders) == 2, "the same order twice is no shuffle"
    assert len({line["key"] for line in lines}) == len(lines)


@pytest.mark.parametrize(
    ("patterns", "targets"),
    [
        (["sim/*#off"], [name("off")]),
        (["*#o*", "quick"], [name("off"), "sim/quick"]),
        ([f"sim/{EXACT}"], [*map(name, THINKING)]),
        ([name("low")], [name("low")]),
    ],
)
def test_patterns_choose_variants(recorded: Path, patterns: list[str], targets: list[str]) -> None:
    """`compare plan` has a row for each selected target."""
    options = [part for pattern in patterns for part in ("-m", pattern)]
    plan = json.loads(succeed(recorded, "plan", "s.yaml", *options, "--json"))
    assert [each["target"] for each in plan["targets"]] == targets


def test_a_plan_explains_the_factors_and_each_variant(recorded: Path) -> None:
    """The first sentence has the factors, and each variant a sentence with its parameters."""
    shown = succeed(recorded, "plan", "s.yaml", "-m", "sim/quick", "-m", "sim/steady", "--vary", "thinking=off,high",
                    "--vary", 'system="Be brief, please.",Be kind.')  # fmt: skip
    assert "of 8 targets (2 models × 2 thinking × 2 system)" in shown
    assert 'Variant thinking=off+system=1: thinking: off, system: "Be brief, please.".' in shown
    assert 'Variant thinking=high+system=2: thinking: high, system: "Be kind.".' in shown
    assert shown.count("Variant ") == 4, "a variant of two models is described once"
    shown = succeed(recorded, "plan", "s.yaml", "-m", f"sim/{EXACT}", "--vary", "temperature=0,1")
    assert "of 6 targets (1 model × 3 variants × 2 temperature)" in shown
    assert "of 4 targets (2 models, each in its variants)" in succeed(recorded, "plan", "s.yaml")
    plan = json.loads(succeed(recorded, "plan", "s.yaml", "-m", "*#off", "--json"))
    assert [(each["variant"], each["settings"]) for each in plan["targets"]] == [("off", {"thinking": "off"})]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--vary", "thinking"], "write thinking=off,low,high"),
        (["--vary", "thinkin=off"], "no target has this parameter. Did you mean `thinking`?"),
        (["--vary", "thinking=much"], "--vary:1:1"),
        (["--vary", "seed=1", "--vary", "seed=2"], "seed is given twice"),
    ],
)
def test_wrong_options_of_variants_are_refused(recorded: Path, options: list[str], message: str) -> None:
    """The exit code is 2, with cause and remedy; nothing is sent."""
    done = compare(recorded, "run", "s.yaml", *options, "-o", "never")
    assert (done.returncode, message in done.stderr) == (2, True), done.stderr
    assert not (recorded / "never").exists()


def test_a_variant_of_a_known_model_is_not_blamed_for_another_name(recorded: Path) -> None:
    """Only the mistyped name is in the error, whether it is given by -m or by --ab."""
    done = compare(recorded, "run", "s.yaml", "-m", "sim/quick#off", "-m", "nosuch/x", "-o", "never")
    assert done.returncode == 2
    assert "does not exist" not in done.stderr
    done = compare(recorded, "run", "s.yaml", "--ab", "sim/qick", "nosuch/x", "-o", "never")
    assert "Did you mean `sim/quick`?" in done.stderr


# Replay and resume


def test_a_replay_tells_the_variants_of_a_model_apart(recorded: Path, tmp_path: Path) -> None:
    """Two variants with the same prompts each get their own replies."""
    succeed(recorded, "run", "s.yaml", "--replay", "out", "--fast", "--repeat", "2", "-o", str(tmp_path / "again"))
    assert gist(tmp_path / "again") == gist(recorded / "out")
    options = ("--replay", "out", "--fast", "-m", "sim/*#high", "-o", str(tmp_path / "high"))
    succeed(recorded, "run", "s.yaml", *options)
    assert {row["reasoning_tokens"] for row in read_rows(tmp_path / "high")} == {"24"}


def test_a_replay_of_a_removed_variant_is_refused(recorded: Path, tmp_path: Path) -> None:
    """It would be replayed as another model; nothing is written."""
    write_yaml(tmp_path / "s.yaml", {**SUITE, "targets": [f"sim/{EXACT}"]})
    done = compare(tmp_path, "run", "s.yaml", "--replay", str(recorded / "out"), "-o", "again")
    assert done.returncode == 2
    assert f"{name('off')}, {name('low')}, {name('high')}: asked as a variant before" in done.stderr
    assert not (tmp_path / "again").exists()


def test_ad_hoc_variants_are_replayed_and_resumed_without_naming_them_again(tmp_path: Path) -> None:
    """The run holds its `--vary` options."""
    write_yaml(tmp_path / "s.yaml", {"name": "s", "cases": [{"id": "one", "prompt": "Hello?"}]})
    target = "sim/exact?ttft_ms=1&gap_ms=1&tokens=2&thinking=8"
    succeed(tmp_path, "run", "s.yaml", "-m", target, "--vary", "thinking=off,high", "--record", "-o", "out")
    names = [f"{target}#thinking={how}" for how in ("off", "high")]
    assert read_lines(tmp_path / "out", "header")[0]["targets"] == names
    succeed(tmp_path, "run", "s.yaml", "--replay", "out", "--fast", "-o", "again")
    assert gist(tmp_path / "again") == gist(tmp_path / "out")
    for folder in ("out", "again"):
        options = ("--replay", "out", "--fast") if folder == "again" else ()
        succeed(tmp_path, "run", "--resume", folder, *options, "--repeat", "2")
        assert Counter(row["variant"] for row in read_rows(tmp_path / folder)) == {
            "thinking=off": 2,
            "thinking=high": 2,
        }


def test_resuming_with_more_values_adds_no_model(tmp_path: Path) -> None:
    """A model of the suite that was not in the run is not added because a value is."""
    write_yaml(tmp_path / "s.yaml", {"targets": ["sim/quick", "sim/steady"], "cases": [{"id": "a", "prompt": "Hi"}]})
    succeed(tmp_path, "run", "s.yaml", "-m", "sim/quick", "--vary", "temperature=0,1", "-o", "out")
    succeed(tmp_path, "run", "--resume", "out", "--vary", "temperature=0,1,2")
    asked = Counter((line["model"], line["variant"]) for line in read_lines(tmp_path / "out", "record"))
    assert asked == {("quick", f"temperature={value}"): 1 for value in (0, 1, 2)}


def test_a_resumed_run_sends_only_what_its_variants_lack(tmp_path: Path) -> None:
    """A changed variant is sent again, a complete one is not; one that the suite no longer has is refused."""
    write_yaml(tmp_path / "s.yaml", SUITE)
    succeed(tmp_path, "run", "s.yaml", "-k", "sum", "--seed", "1", "-o", "out")
    before = {line.get("variant"): line["key"] for line in read_lines(tmp_path / "out", "record")}
    changed = json.loads(json.dumps(SUITE))
    changed["targets"][0]["variants"]["low"] = {"thinking": "medium"}
    write_yaml(tmp_path / "s.yaml", changed)
    succeed(tmp_path, "run", "--resume", "out")
    rows = {row["variant"]: row["reasoning_tokens"] for row in read_rows(tmp_path / "out")}
    assert (rows["off"], rows["low"], rows["high"]) == ("0", "8", "24")
    keys = Counter(line["key"] for line in read_lines(tmp_path / "out", "record"))
    assert keys[before["off"]] == keys[before["high"]] == 1
    assert len(keys) == len(before) + 1
    del changed["targets"][0]["variants"]["low"]
    write_yaml(tmp_path / "s.yaml", changed)
    done = compare(tmp_path, "run", "--resume", "out", "--repeat", "3")
    assert (done.returncode, f"{name('low')}: asked as a variant before" in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize(
    ("parameter", "written"),
    [
        *((name, "Use {} now") for name in ("system", "prefix", "suffix")),
        ("extra_body", {"metadata": [{"login": "{}"}]}),
        ("response_format", {"type": "{}"}),
        ("stop", ["{}"]),
    ],
)
def test_a_secret_in_a_variant_is_not_sent(tmp_path: Path, parameter: str, written: object) -> None:
    """It is found in the parameters of a variant, of the suite or of the command line, as in a prompt."""
    secret = {"MY_SERVICE_TOKEN": "tok-0123456789-abcdef"}
    value = json.dumps(written).replace("{}", secret["MY_SERVICE_TOKEN"])
    write_yaml(tmp_path / "s.yaml", {"targets": ["sim/quick"], "cases": [{"id": "a", "prompt": "Hi"}]})
    varied = {"variants": {"a": {parameter: json.loads(value)}}, "cases": [{"id": "a", "prompt": "Hi"}]}
    write_yaml(tmp_path / "v.yaml", {"targets": ["sim/quick"], **varied})
    for arguments in (("v.yaml",), ("s.yaml", "--vary", f"{parameter}={value}")):
        done = compare(tmp_path, "run", *arguments, "-o", "never", variables=secret)
        assert done.returncode == 2
        assert f"a `{parameter}` holds the value of MY_SERVICE_TOKEN" in done.stderr
        assert secret["MY_SERVICE_TOKEN"] not in done.stderr
    assert not (tmp_path / "never").exists()


# Comparisons


def test_two_variants_of_a_run_are_compared_in_pairs(recorded: Path) -> None:
    """More thinking takes longer; a prompt prefix does not make another question."""
    difference = json.loads(succeed(recorded, "diff", "out", "--between", name("low"), name("high"), "--json"))
    assert difference["paired"] is True
    (total,) = [each for each in difference["findings"] if each["measure"] == "total_s"]
    assert (total["target"], total["change"] > 0.3, total["n"]) == (name("high"), True, [6, 6])
    assert not any("not compared" in warning for warning in difference["warnings"])
    done = compare(recorded, "diff", "out", "--between", name("low"), name("hig"))
    assert f"Did you mean `{name('high')}`?" in done.stderr


def test_a_gate_judges_variants_of_one_run_and_of_two(tmp_path: Path) -> None:
    """`--ab` takes two variants of a model; with a baseline, each variant is compared with itself."""
    # The difference is larger than any delay of a busy machine.
    model = "exact?ttft_ms=10&gap_ms=12&tokens=4&thinking=24"
    low, high = (f"sim/{model}#{variant}" for variant in ("low", "high"))
    variants = {"low": {"thinking": "low"}, "high": {"thinking": "high"}}
    suite = {
        "name": "s",
        "targets": [{"provider": "sim", "models": [model], "variants": variants}],
        "cases": [{"id": f"c{at}", "prompt": "Hi"} for at in range(3)],
    }
    write_yaml(tmp_path / "s.yaml", suite)
    done = compare(tmp_path, "run", "s.yaml", "--ab", low, high, "--gate", "--repeat", "24", "--concurrency", "48",
                   "-o", "ab", "--metric", "total")  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert high in done.stdout
    variants["low"] = {"thinking": "high"}
    write_yaml(tmp_path / "s.yaml", suite)
    options = (
        "--gate",
        "--repeat",
        "24",
        "--concurrency",
        "48",
        "--metric",
        "total",
        "-m",
        "sim/*#low",
        "-m",
        "sim/*#high",
        "-o",
        "new",
    )
    done = compare(tmp_path, "run", "s.yaml", "--baseline", "ab", *options)
    assert done.returncode == 1, done.stderr
    verdicts = json.loads((tmp_path / "new" / "difference.json").read_text(encoding="utf-8"))
    found = {each["target"]: each["verdict"] for each in verdicts["findings"]}
    assert found.keys() == {low, high}
    assert found[low] == "regressed", "each is compared with itself, of which this one alone has changed"


def test_a_snapshot_keeps_a_file_for_each_variant(recorded: Path, tmp_path: Path) -> None:
    """The variant can be read back from the file's name."""
    write_yaml(tmp_path / "s.yaml", SUITE)
    run = str(recorded / "out")
    succeed(tmp_path, "snapshot", "s.yaml", "--from", run, "--update")
    files = {path.name for path in (tmp_path / "s.snapshot" / "replies" / "sum" / "sim").iterdir()}
    assert len(files) == 4
    assert sum(file.endswith("%23high.txt") for file in files) == 1
    timings = json.loads((tmp_path / "s.snapshot" / "timings.json").read_text(encoding="utf-8"))
    assert name("high") in {cell["target"] for cell in timings["cells"]}
    journal = (tmp_path / "s.snapshot" / "journal.jsonl").read_text(encoding="utf-8")
    assert "Please" not in journal, "a snapshot's timings hold no text"
    succeed(tmp_path, "snapshot", "s.yaml", "--from", run)
    kept = tmp_path / "s.snapshot" / "replies" / "sum" / "sim"
    (other,) = [path for path in kept.iterdir() if path.name.endswith("%23high.txt")]
    other.write_text("something else\n", encoding="utf-8")
    done = compare(tmp_path, "snapshot", "s.yaml", "--from", run)
    assert done.returncode == 1
    assert f"sum · {name('high')}" in done.stdout
    assert name("low") not in done.stdout
    succeed(tmp_path, "run", "s.yaml", "-m", "sim/*#low", "-o", "some")
    done = compare(tmp_path, "snapshot", "s.yaml", "--from", "some")
    assert (done.returncode, "does not ask it any more" in done.stdout) == (0, False), "others are only left out"
    write_yaml(tmp_path / "s.yaml", {**SUITE, "targets": ["sim/quick"]})
    succeed(tmp_path, "run", "s.yaml", "-o", "less")
    done = compare(tmp_path, "snapshot", "s.yaml", "--from", "less")
    assert "the suite does not ask it any more" in done.stdout


# From Python


def test_python_varies_and_names_variants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`vary` takes lists of values, `targets` the names; tables, replies and comparisons have the variant."""
    monkeypatch.chdir(tmp_path)
    model = "sim/exact?ttft_ms=1&gap_ms=1&tokens=2&thinking=8"
    table = runner.run(prompts=["Hi"], targets=model, vary={"thinking": ["off", "high"], "temperature": [0, 1]},
                       progress=False)  # fmt: skip
    crossed = [f"thinking={how}+temperature={t}" for how in ("off", "high") for t in (0, 1)]
    assert sorted(table["variant"]) == sorted(crossed)
    assert table.attrs["vary"] == {"thinking": ["off", "high"], "temperature": [0, 1]}
    again = runner.load(table.attrs["folder"])
    pd.testing.assert_frame_equal(again, table)
    only = table[table["variant"] == crossed[0]]
    assert runner.summary(only)["n"].loc[lambda counts: counts > 0].to_dict() == {f"{model}#{crossed[0]}": 1}
    replies = runner.ask("My name is Ada.", targets="sim/quick", vary={"temperature": [0, 1]}, live=False)
    assert replies.texts.keys() == {"sim/quick#temperature=0", "sim/quick#temperature=1"}
    assert set(replies.then("What is my name?").texts.values()) == {"Your name is Ada."}
    with pytest.raises(CompareError, match=r"vary=.*give parameters with lists of values"):
        runner.run(prompts=["Hi"], targets="sim/quick", vary={"thinking": "off"}, progress=False)
