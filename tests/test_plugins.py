"""Plug-ins: how they are found and loaded, and that a broken one affects nothing else."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.support import command
from tests.support.command import ROOT, compare, read_lines, read_rows, start, write_yaml
from tests.support.distribution import install_project, installed, write_distribution

SAMPLE = Path(__file__).parent / "samples" / "plugin"
EXACT = "sim/exact?ttft_ms=5&gap_ms=1&tokens=3"


@dataclass(frozen=True)
class PluginEnvironment:
    """A working folder, and a folder with installed distributions."""

    folder: Path
    installed: Path

    def compare(self, *arguments: str, **variables: str) -> CompletedProcess[str]:
        """Run the command with the distributions installed."""
        if command.always_start:
            path = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(self.installed)))}
            return compare(self.folder, *arguments, variables=path | variables)
        with installed(self.installed):
            return compare(self.folder, *arguments, variables=variables)

    def install(self, name: str, entry_points: Mapping[str, Mapping[str, str]], **modules: str) -> None:
        """Install a distribution with these modules."""
        files = {f"{module}.py": text for module, text in modules.items()}
        write_distribution(self.installed, name, "1.0", entry_points, files)

    def write_suite(self, **case: object) -> None:
        """Write a suite of one case."""
        write_yaml(self.folder / "suite.yaml", {"cases": [{"id": "a", "prompt": "Hi", **case}]})


@pytest.fixture
def environment(tmp_path: Path) -> PluginEnvironment:
    """Return an environment in which nothing is installed."""
    for name in ("work", "installed"):
        (tmp_path / name).mkdir()
    return PluginEnvironment(tmp_path / "work", tmp_path / "installed")


@pytest.fixture(scope="module")
def installed_sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Let pip install the sample; return the folder."""
    place = tmp_path_factory.mktemp("sample") / "installed"
    install_project(SAMPLE, place)
    return place


@pytest.fixture
def sample(environment: PluginEnvironment, installed_sample: Path) -> PluginEnvironment:
    """Return an environment in which the sample is installed."""
    return replace(environment, installed=installed_sample)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the simulator as a local server; yield its base URL."""
    process = start(tmp_path_factory.mktemp("server"), "simulate", "--port", "0")
    assert process.stdout is not None
    try:
        yield process.stdout.readline().split()[3]
    finally:
        process.kill()
        process.communicate()


# What a plug-in adds


def test_documentation_shows_the_sample_plugin() -> None:
    """The entry points in docs/plugins.md are those of the sample that these tests install."""
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert shown in (SAMPLE / "pyproject.toml").read_text(encoding="utf-8")


def test_a_plugin_provider_is_used_like_any_other(sample: PluginEnvironment, server: str) -> None:
    """Its row is listed, and its models are asked; its replies report that they are simulated."""
    assert "sample" in sample.compare("providers").stdout
    sample.write_suite()
    ran = sample.compare("run", "suite.yaml", "-p", "sample", "-o", "out", SAMPLE_BASE_URL=server)
    assert ran.returncode == 0, ran.stderr
    (row,) = read_rows(sample.folder / "out")
    assert (row["provider"], row["model"], row["outcome"]) == ("sample", "quick", "ok")
    assert ran.stdout.startswith("simulated: every target")


def test_a_user_row_is_merged_onto_a_plugin_row(sample: PluginEnvironment, server: str) -> None:
    """A compare.yaml changes a plug-in's row as it changes a built-in one."""
    write_yaml(sample.folder / "compare.yaml", {"providers": {"sample": {"base_url": server, "models": ["steady"]}}})
    sample.write_suite()
    ran = sample.compare("run", "suite.yaml", "-o", "out")
    assert ran.returncode == 0, ran.stderr
    assert [row["model"] for row in read_rows(sample.folder / "out")] == ["steady"]


def test_a_plugin_output_is_written_by_its_suffix(sample: PluginEnvironment) -> None:
    """`-o` accepts the suffix during a run and afterwards, and lists it among those it knows."""
    sample.write_suite()
    ran = sample.compare("run", "suite.yaml", "-m", EXACT, "-o", "out", "-o", "rows.tsv")
    assert ran.returncode == 0, ran.stderr
    heading, row = (sample.folder / "rows.tsv").read_text(encoding="utf-8").splitlines()
    assert heading == "provider\tmodel\tcase\toutcome\tttft_s"
    assert row.startswith("sim\texact?ttft_ms=5&gap_ms=1&tokens=3\ta\tok\t0.0")
    assert sample.compare("export", "out", "-o", "again.tsv").returncode == 0
    assert (sample.folder / "again.tsv").read_bytes() == (sample.folder / "rows.tsv").read_bytes()
    refused = sample.compare("run", "suite.yaml", "-m", EXACT, "-o", "rows.tvs")
    assert refused.returncode == 2
    assert ".parquet, .tsv." in refused.stderr


def test_a_plugin_check_runs_once_and_is_stored(sample: PluginEnvironment) -> None:
    """Its verdict fails the run, is in the journal, and is read from there when the plug-in is gone."""
    sample.write_suite(checks={"plugin": {"lines": 3}})
    ran = sample.compare("run", "suite.yaml", "-m", EXACT, "-o", "out")
    assert ran.returncode == 1, ran.stderr
    (line,) = read_lines(sample.folder / "out", "check")
    assert line["said"] == {"lines": "1 lines, not 3"}
    assert read_rows(sample.folder / "out")[0]["checks_failed"] == "1"
    assert "lines: 1 lines, not 3" in compare(sample.folder, "report", "out").stdout
    sample.write_suite(checks={"plugin": {"lines": 1}})
    assert sample.compare("run", "suite.yaml", "-m", EXACT, "-o", "again").returncode == 0


def test_an_unknown_plugin_check_is_refused_with_its_place(sample: PluginEnvironment) -> None:
    """A mistyped name is a problem of the suite, found before anything is sent."""
    sample.write_suite(checks={"plugin": {"line": 3}})
    refused = sample.compare("run", "suite.yaml", "-m", EXACT)
    assert refused.returncode == 2
    assert "suite.yaml:6:7: no plug-in brings a check `line`. Did you mean `lines`?" in refused.stderr


# Broken plug-ins


def test_a_broken_plugin_does_not_affect_other_commands(environment: PluginEnvironment) -> None:
    """A module that cannot be imported gives one message where it is used; other commands do not import it."""
    groups = {f"compare.{group}": {"bad": "broken:thing"} for group in ("providers", "outputs", "checks")}
    environment.install("acme-broken", groups, broken="raise RuntimeError('no licence')")
    sentence = "of acme-broken 1.0 cannot be imported: RuntimeError: no licence"
    environment.write_suite()
    for arguments in (["--help"], ["schema"], ["providers"]):
        assert sentence not in environment.compare(*arguments).stderr
    ran = environment.compare("run", "suite.yaml", "-m", EXACT)
    assert (ran.returncode, sentence in ran.stderr) == (0, False)
    without_names = environment.compare("run", "suite.yaml")
    assert (without_names.returncode, sentence in without_names.stderr) == (0, True)
    for arguments in (["-m", "bad/model"], ["-p", "bad"], ["-m", EXACT, "-o", "rows.bad"]):
        refused = environment.compare("run", "suite.yaml", *arguments)
        assert refused.returncode == 2
        assert sentence in refused.stderr
        assert "Traceback" not in refused.stderr
    environment.write_suite(checks={"plugin": {"bad": 1}})
    assert sentence in environment.compare("run", "suite.yaml", "-m", EXACT).stderr


ROWS = """
NOT_A_ROW = ["https://example.com"]
WRONG_KEY = {"base_uri": "https://example.com"}
TAKEN = {"base_url": "https://example.com", "aliases": ["deepseek"], "keyless": True}
"""


@pytest.mark.parametrize(
    ("id_", "name", "fault"),
    [
        ("acme", "NOT_A_ROW", "is list, and no mapping with the keys of a row"),
        ("acme", "WRONG_KEY", "is not a row: base_uri: Extra inputs are not permitted"),
        ("acme", "TAKEN", "is called deepseek, as another provider is"),
        ("openai", "TAKEN", "is called openai, as another provider is"),
        ("acme", "MISSING", "cannot be imported: AttributeError: module 'rows' has no attribute 'MISSING'"),
    ],
)
def test_an_invalid_plugin_row_is_explained(environment: PluginEnvironment, id_: str, name: str, fault: str) -> None:
    """The message names the distribution, and the built-in providers are unchanged."""
    environment.install("acme-rows", {"compare.providers": {id_: f"rows:{name}"}}, rows=ROWS)
    environment.write_suite()
    ran = environment.compare("plan", "suite.yaml")
    assert ran.returncode == 0
    assert (
        f"the plug-in {id_} (compare.providers) of acme-rows 1.0 {fault}; mend or uninstall it"
        in ran.stdout + ran.stderr
    )
    assert "https://example.com" not in environment.compare("providers").stdout


def test_two_distributions_with_the_same_name_are_refused(environment: PluginEnvironment) -> None:
    """Neither is chosen: the message names both."""
    for name in ("first", "second"):
        entry = {"compare.outputs": {"tsv": f"{name}_tsv:write"}}
        environment.install(name, entry, **{f"{name}_tsv": "def write(run): return ''"})
    environment.write_suite()
    refused = environment.compare("run", "suite.yaml", "-m", EXACT, "-o", "rows.tsv")
    assert refused.returncode == 2
    assert "tsv of compare.outputs is brought by first 1.0 and second 1.0; uninstall one of them" in refused.stderr


WRITERS = """
def fail(run): raise ValueError("too wide")
def nothing(run): return None
number = 7
"""


@pytest.mark.parametrize(
    ("name", "code", "fault"),
    [
        ("fail", 3, "fails: ValueError: too wide"),
        ("nothing", 3, "returns NoneType, neither text nor bytes"),
        ("number", 2, "is int, and no function"),
    ],
)
def test_a_failing_plugin_output_loses_no_reply(
    environment: PluginEnvironment, name: str, code: int, fault: str
) -> None:
    """The run's own files are complete, and a message names the missing output."""
    environment.install("acme-writers", {"compare.outputs": {"x": f"writers:{name}"}}, writers=WRITERS)
    environment.write_suite()
    ran = environment.compare("run", "suite.yaml", "-m", EXACT, "-o", "out", "-o", "rows.x")
    assert ran.returncode == code
    assert f"the plug-in x (compare.outputs) of acme-writers 1.0 {fault}" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert (environment.folder / "out").exists() == (code == 3)
    if code == 3:
        assert len(read_rows(environment.folder / "out")) == 1


CHECKS = """
print("imported")
def fail(answer, wanted): raise ValueError(answer)
def leave(answer, wanted): raise SystemExit(9)
def odd(answer, wanted): return 1
def told(answer, wanted):
    print("asked")
    return wanted == {"of": [1, 2]}
"""


def test_a_misbehaving_plugin_check_fails(environment: PluginEnvironment) -> None:
    """It may raise, exit or return anything; what it prints does not mix with the results."""
    names = {name: f"checks:{name}" for name in ("fail", "leave", "odd", "told")}
    environment.install("acme-checks", {"compare.checks": names}, checks=CHECKS)
    environment.write_suite(checks={"plugin": {"fail": 1, "leave": 1, "odd": 1, "told": {"of": [1, 2]}}})
    ran = environment.compare("run", "suite.yaml", "-m", EXACT, "-o", "out", "--json")
    assert ran.returncode == 1, ran.stderr
    (line,) = read_lines(environment.folder / "out", "check")
    assert line["said"] == {
        "fail": "ValueError: one two three",
        "leave": "SystemExit: 9",
        "odd": "it returned int, not True, False or a text",
        "told": None,
    }
    assert ran.stdout.startswith("{")
    assert {"imported", "asked"} <= {*ran.stderr.split()}


# Plug-ins that are not needed


def test_plugins_are_imported_only_where_they_are_used(environment: PluginEnvironment) -> None:
    """Neither a suite's schema nor an export to a built-in format imports a plug-in's module."""
    groups = {f"compare.{group}": {"loud": "loud:thing"} for group in ("providers", "outputs", "checks")}
    environment.install("loud", groups, loud="import sys; print('loud was imported', file=sys.stderr); thing = {}")
    environment.write_suite()
    assert "loud was imported" in environment.compare("run", "suite.yaml", "-m", EXACT, "-o", "out").stderr
    for arguments in (["--version"], ["run", "--help"], ["schema"], ["export", "out", "-o", "rows.csv"]):
        ran = environment.compare(*arguments)
        assert (ran.returncode, "loud was imported" in ran.stderr) == (0, False)
