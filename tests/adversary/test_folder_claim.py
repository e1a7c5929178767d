"""Two runs and one folder: the second is refused before it sends anything, whatever the first waits for."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.api.options import read_options
from runner.commands.run.load_suite import load_suite
from runner.commands.run.prepare import prepare
from runner.errors import JournalError
from runner.providers.allowed_hosts import HostNotAllowed
from runner.storage.run_folder import claim_folder
from tests.support.command import compare, read_lines, write_yaml
from tests.support.resumable_run import ResumableRun, open_run
from tests.support.terminal import open_on_terminal

pytestmark = pytest.mark.skipif(os.name != "posix", reason="elsewhere a folder cannot be locked")

QUICK = "exact?ttft_ms=5&gap_ms=1&tokens=4"
ASKING = ("run", "suite.yaml", "-o", "out", "--confirm-over", "0", "--progress", "none")
REFUSED = "out is being written by another run; let it end, or choose another folder with -o"


@pytest.fixture
def run(tmp_path: Path) -> Iterator[ResumableRun]:
    """Start with a simulator that counts as a real provider, and a suite of two requests."""
    with open_run(tmp_path, QUICK) as resumable:
        resumable.write_suite([{"id": "one", "prompt": "one"}, {"id": "two", "prompt": "two"}])
        yield resumable


def test_a_run_that_waits_for_an_answer_holds_its_folder(run: ResumableRun) -> None:
    """While one run asks whether to send, another into its folder is refused; the first continues."""
    with open_on_terminal(run.place, *ASKING) as waiting:
        waiting.wait_for("send them?")
        other = compare(run.place, "run", "suite.yaml", "-o", "out")
        assert (other.returncode, other.stderr) == (2, f"compare: {REFUSED}\n")
        assert run.asked() == []
        waiting.type("y\n")
        assert waiting.finish() == 0, waiting.printed
    assert [len(read_lines(run.out, kind)) for kind in ("header", "record", "end")] == [1, 2, 1]
    assert len(run.asked()) == 2


def test_the_answer_no_removes_the_claimed_folder(run: ResumableRun) -> None:
    """No file is left."""
    with open_on_terminal(run.place, *ASKING) as waiting:
        waiting.wait_for("send them?")
        assert run.out.exists()
        waiting.type("n\n")
        assert waiting.finish() == 1, waiting.printed
    assert not run.out.exists()
    assert run.asked() == []


def test_a_resumed_run_that_waits_holds_its_folder(run: ResumableRun) -> None:
    """Of two processes that resume the same run, the second is refused before it asks."""
    run.run()
    lines = run.journal.read_bytes().splitlines(keepends=True)
    del lines[next(at for at, line in enumerate(lines) if line.startswith(b'{"kind":"record"'))]
    run.journal.write_bytes(b"".join(lines))
    whole = run.journal.read_bytes()
    asked = len(run.asked())
    resume = ("run", "--resume", "out", "--confirm-over", "0", "--progress", "none")
    with open_on_terminal(run.place, *resume) as waiting:
        waiting.wait_for("send them?")
        other = compare(run.place, "run", "--resume", "out")
        assert (other.returncode, other.stderr) == (2, f"compare: {REFUSED}\n")
        assert run.journal.read_bytes() == whole
    assert compare(run.place, "run", "--resume", "out").returncode == 0
    assert len(run.asked()) == asked + 1


def test_a_run_that_asks_about_a_host_holds_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The claim precedes the first question, and is released if the answer is no."""
    monkeypatch.setenv("ACME_API_KEY", "k-0123456789")
    row = {"base_url": "http://evil.test/v1", "api_key_env": "ACME_API_KEY", "models": ["m"]}
    suite = write_yaml(tmp_path / "s.yaml", {"cases": [{"id": "a", "prompt": "b"}], "providers": {"thief": row}})
    out = tmp_path / "out"

    def refuse(refusal: HostNotAllowed) -> None:
        with pytest.raises(JournalError, match="is being written by another run"):
            claim_folder(out)
        raise refusal

    loaded, registry = load_suite(suite)
    with pytest.raises(HostNotAllowed):
        prepare(loaded, registry, read_options({"output": out}), ask=refuse)
    assert not out.exists()
