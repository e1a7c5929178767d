"""A suite that names what cannot be asked: each mistake has its place, beside all others of the file."""

from pathlib import Path

import pytest

from runner.commands.run.load_suite import load_suite
from runner.errors import InvalidFile
from tests.support.command import compare

OPTIONS = "See docs/simulator.md for the options of its models."


def problems_of(suite: str, folder: Path) -> list[str]:
    """Return the problems of a suite, each as `line:column: what. hint.`."""
    path = folder / "suite.yaml"
    path.write_text(suite, encoding="utf-8")
    with pytest.raises(InvalidFile) as raised:
        load_suite(path)
    return [str(problem).removeprefix(f"{path}:") for problem in raised.value.problems]


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        (
            "targets: [sim/quick, sim/stedy]",
            "1:22: the model 'stedy' does not exist. Did you mean `sim/steady`?",
        ),
        (
            "targets: [{provider: simulator, models: [quick, stedy]}]",
            "1:49: the model 'stedy' does not exist. Did you mean `sim/steady`?",
        ),
        (
            'targets: ["sim/fast?ttft=abc"]',
            "1:11: the model 'fast?ttft=abc' does not exist. `compare providers --models sim` lists all.",
        ),
        ("targets: ['sim/*']", "1:11: the model '*' does not exist. `compare providers --models sim` lists all."),
        (
            'targets: ["sim/exact?tokens=none"]',
            f"1:11: the model's option 'tokens=none' is not a whole number from 1 to 100000. {OPTIONS}",
        ),
        (
            'targets: ["sim/exact?tier=a!"]',
            "1:11: in the model's option 'tier', 'a!' is not a name of letters, digits, dots, dashes and underscores. "
            + OPTIONS,
        ),
        ("targets: [simm/quick]", "1:11: unknown provider `simm`. Did you mean `sim`?"),
        ("judge: sim/jugde", "1:8: the model 'jugde' does not exist. Did you mean `sim/judge`?"),
        ("judge: {target: sim/jugde}", "1:17: the model 'jugde' does not exist. Did you mean `sim/judge`?"),
        ("judge: {target: openia/typo}", "1:17: unknown provider `openia`. Did you mean `openai`?"),
    ],
)
def test_a_name_that_cannot_be_asked_is_refused_at_its_place(written: str, problem: str, tmp_path: Path) -> None:
    """Targets and the judge are checked whichever way they are written."""
    assert problems_of(f"{written}\ncases: [{{id: a, prompt: Hi}}]\n", tmp_path) == [problem]


def test_all_mistakes_of_a_suite_are_in_one_error(tmp_path: Path) -> None:
    """Mistyped models of the simulator are reported together with unknown providers and keys."""
    text = "targets: [sim/stedy, openia/x]\njudge: sim/jugde\ncases:\n  - {id: a, prmpt: Hi}\n"
    found = problems_of(text, tmp_path)
    assert [problem.split(": ")[0] for problem in found] == ["1:11", "1:22", "2:8", "4:13"]


def test_a_variant_with_a_mistake_is_known_by_its_name(tmp_path: Path) -> None:
    """The model that is asked with it is not blamed, too."""
    text = "targets: ['sim/quick#deep']\nvariants: {deep: {temperature: 7}}\ncases: [{id: a, prompt: Hi}]\n"
    assert problems_of(text, tmp_path) == ["2:32: `temperature` is 7. Write a number of at most 2."]


def test_a_command_reports_the_place_of_a_mistyped_model(tmp_path: Path) -> None:
    """The exit code is that of any invalid file, and nothing is sent."""
    (tmp_path / "s.yaml").write_text("targets: [sim/stedy]\ncases: [{id: a, prompt: Hi}]\n", encoding="utf-8")
    for command in ("plan", "run"):
        done = compare(tmp_path, command, "s.yaml")
        assert done.returncode == 2
        assert "s.yaml:1:11: the model 'stedy' does not exist. Did you mean `sim/steady`?" in done.stderr
