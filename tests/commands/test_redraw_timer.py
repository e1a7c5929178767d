"""How often a live view is drawn."""

from runner.commands.redraw_timer import RedrawTimer


def test_a_view_is_drawn_at_once_and_then_a_few_times_a_second() -> None:
    """However often it is asked, it is due four times a second; the first time may have to wait."""
    now_s = [0.0]
    timer, late = RedrawTimer(clock=lambda: now_s[0]), RedrawTimer(0.5, lambda: now_s[0])
    due = []
    for tick in range(100):
        now_s[0] = tick / 64
        due.append((timer.is_due(), late.is_due()))
    assert [tick for tick, (now, _) in enumerate(due) if now] == [*range(0, 100, 16)]
    assert [tick for tick, (_, now) in enumerate(due) if now] == [*range(32, 100, 16)]
