"""Pages of runs with calls, images, sized inputs, rubrics, judged pairs, votes, and a cache probe.

The simulator runs in a process of its own, since a browser's event loop runs in that of the tests.
"""

import json
from pathlib import Path
from typing import Any

from tests.support.command import finish, read_lines, start, write_yaml
from tests.support.media_files import png

TARGETS = ("sim/quick", "sim/steady", "sim/thinker#plain", "sim/thinker#deep")
WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city, now.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
SUITE: dict[str, Any] = {
    "name": "rich",
    "judge": {"target": "sim/judge", "max_tokens": 300},
    "targets": [
        *TARGETS[:2],
        {
            "provider": "sim",
            "models": ["thinker"],
            "variants": {"plain": {"thinking": "off"}, "deep": {"thinking": "high"}},
        },
        "sim/fault-server-error",
    ],
    "defaults": {"max_tokens": 150},
    "cases": [
        {
            "id": "weather",
            "prompt": "What is the weather in Paris?",
            "tools": [WEATHER],
            "tool_results": {"get_weather": "18 degrees"},
            "checks": {"calls": {"name": "get_weather", "arguments": {"city": "Paris"}}, "contains": "18"},
        },
        {
            "id": "who",
            "prompt": "Who are you?",
            "checks": {"rubric": ['The reply says that it is "simulated".', 'The reply says that it is "human".']},
        },
        {"id": "picture", "prompt": ["What does this show?", {"image": "bars.png"}], "checks": {"contains": "PNG"}},
        {"id": "river", "turns": ["Which city does the Seine flow through?", "And in one word?"]},
        {
            "id": "book",
            "input": {"tokens": 300, "text": "long.txt"},
            "prompt": "Sum up the text above in one sentence.",
        },
    ],
}
VOTED = (("who", 1), ("river", 1), ("river", 2), ("book", 1))
PROBED: dict[str, Any] = {
    "name": "cache",
    "targets": ["sim/caching", "sim/caching-untold"],
    "defaults": {"max_tokens": 4},
    "cases": [{"id": "novel", "input": {"tokens": 1500, "text": "long.txt"}, "prompt": "Who is this text about?"}],
}


def write_rich_pages(folder: Path) -> dict[str, Path]:
    """Run both suites; return the pages in two languages: `rich`, `english-rich`, `probed`, `english-probed`."""
    (folder / "bars.png").write_bytes(png(40, 30))
    (folder / "long.txt").write_text("The Seine flows through Paris, past quays and under bridges. " * 200, "utf-8")
    write_yaml(folder / "rich.yaml", SUITE)
    write_yaml(folder / "probed.yaml", PROBED)
    failed = "--allow-errors", "100%"
    _compare(folder, "run", "rich.yaml", "--repeat", "2", "--concurrency", "16", "-q", "-o", "rich", *failed, code=1)
    _compare(folder, "run", "probed.yaml", "--cache-probe", "--cache-waits", "1s", "-q", "-o", "probed")
    _compare(folder, "judge", "rich", "--by", "sim/judge", "-q")
    _write_votes(folder / "rich")
    pages = {}
    for name in ("rich", "probed"):
        for prefix, language in (("", "zh"), ("english-", "en")):
            pages[prefix + name] = folder / f"{prefix}{name}.html"
            _compare(folder, "report", name, "--lang", language, "-o", f"{prefix}{name}.html")
    return pages


def _compare(folder: Path, *arguments: str, code: int = 0) -> None:
    done = finish(start(folder, *arguments))
    assert done.returncode == code, done.stderr


def _write_votes(run: Path) -> None:
    """Write the votes of two people who do not always agree."""
    [header] = read_lines(run, "header")
    for person, name in enumerate(("ada", "lin")):
        votes = [
            {
                "case": case,
                "turn": turn,
                "repeat": repeat,
                "targets": list(TARGETS),
                "winner": (*TARGETS, "tie", "none")[(at * (person + 1) + repeat) % 6],
                "at": f"2026-01-07T1{person}:{repeat:02}:{at:02}.000Z",
            }
            for at, (case, turn) in enumerate(VOTED)
            for repeat in (1, 2)
        ]
        ids = {"format": 1, "run_id": header["run_id"], "suite_digest": header["digest"], "voter": name}
        (run / f"votes-{name}.json").write_text(json.dumps({**ids, "votes": votes}), encoding="utf-8")
