"""Work that takes longer than expected is announced, and delays no table."""

from pathlib import Path
from threading import Event

import pytest

import runner.outputs.report.render_html as report_document
from runner.commands.notify_if_slow import notify_if_slow
from tests.support import command
from tests.support.command import compare, write_yaml

PATIENCE_S = 30


def test_slow_work_is_told_each_time_the_wait_has_doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line says what is done, and for how long."""
    monkeypatch.setattr("runner.commands.notify_if_slow.EXPECTED_S", 0.01)
    lines, enough = list[str](), Event()

    def tell(line: str) -> None:
        lines.append(line)
        if len(lines) == 3:
            enough.set()

    with notify_if_slow("writing report.html", tell):
        assert enough.wait(PATIENCE_S)
    assert lines == ["still writing report.html, for 0 s now"] * 3


def test_quick_work_is_not_told() -> None:
    """Nothing is said of what takes no longer than expected, nor when it fails."""
    with pytest.raises(ValueError, match="no"), notify_if_slow("writing", pytest.fail):
        raise ValueError("no")


def wait_for_notice(monkeypatch: pytest.MonkeyPatch, folder: Path, beside: tuple[str, ...]) -> None:
    """Delay the page until its notice is printed, and check that these files are written by then."""
    monkeypatch.setattr(command, "always_start", False)  # the patch has no effect in another process
    told = Event()
    write = report_document.write_report

    def write_slowly(*runs: object, **chosen: object) -> str:
        assert all((folder / name).stat().st_size for name in beside)
        told.clear()
        assert told.wait(PATIENCE_S)
        return write(*runs, **chosen)  # type: ignore[arg-type]

    class SignallingEvent(Event):
        """Sets `told` after the first line, when the next one is waited for."""

        waits = 0

        def wait(self, timeout: float | None = None) -> bool:
            self.waits += 1
            if self.waits > 1:
                told.set()
            return super().wait(timeout)

    monkeypatch.setattr("runner.commands.report.render_report", write_slowly)
    monkeypatch.setattr(report_document, "write_report", write_slowly)
    monkeypatch.setattr("runner.commands.notify_if_slow.Event", SignallingEvent)
    monkeypatch.setattr("runner.commands.notify_if_slow.EXPECTED_S", 0.02)


def test_all_tables_are_written_before_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CSV, Markdown and all other tables exist when standard error names the page that is being written."""
    targets, cases = [{"provider": "sim", "models": ["exact"]}], [{"id": "a", "prompt": "Hello"}]
    suite = write_yaml(tmp_path / "suite.yaml", {"version": 1, "targets": targets, "cases": cases})
    run = tmp_path / "run"
    wait_for_notice(monkeypatch, run, ("results.csv", "results.md", "more.json"))
    done = compare(tmp_path, "run", str(suite), "-o", "run", "-o", "run/more.json")
    assert done.returncode == 0, done.stderr
    assert f"still writing {Path('run/report.html')}, for " in done.stderr
    again = compare(tmp_path, "report", "run")
    assert again.returncode == 0
    assert f"still writing {Path('run/report.html')}, for " in again.stderr
