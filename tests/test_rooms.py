"""The house stands: imports go down, heavy libraries stay at home, the command starts light, nothing leaks."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from runner.cli import commands

CHECKOUT = Path(__file__).parents[1]
PACKAGE = CHECKOUT / "runner"

ARROWS: dict[str, tuple[str, ...]] = {
    "version": (),
    "errors": (),
    "core": ("errors",),
    "document": ("errors",),
    "pricing": ("errors",),
    "plugins": ("errors",),
    "checks": ("core",),
    "providers": ("core", "document", "errors", "plugins", "pricing"),
    "suite": ("checks", "core", "document", "errors", "plugins", "providers"),
    "planning": ("core", "errors", "pricing", "providers"),
    "storage": ("core", "errors", "planning"),
    "simulator": ("core", "errors", "storage"),
    "analysis": ("checks", "core", "errors", "pricing", "storage"),
    "wire": ("core", "providers", "storage"),
    "outputs": ("analysis", "checks", "core", "errors", "planning", "plugins", "pricing", "storage"),
    "engine": ("core", "errors", "planning", "providers", "storage", "wire"),
    "calibration": (
        *("analysis", "core", "engine", "errors", "planning", "providers", "simulator", "storage", "version", "wire"),
    ),
    "cluster": ("analysis", "calibration", "core", "engine", "errors", "providers", "simulator", "version", "wire"),
    "commands": (
        *("analysis", "calibration", "checks", "cluster", "core", "document", "engine", "errors", "outputs"),
        *("planning", "plugins", "pricing", "providers", "simulator", "storage", "suite", "version", "wire"),
    ),
    "api": (
        *("analysis", "commands", "core", "engine", "errors", "outputs", "planning", "pricing", "providers"),
        *("storage", "suite"),
    ),
    "cli": (
        *("analysis", "calibration", "commands", "core", "engine", "errors", "outputs", "planning", "pricing"),
        *("providers", "simulator", "storage", "suite", "version"),
    ),
    "__main__": ("cli",),
    "": ("api", "errors", "version"),
}
"""Room -> the rooms it may import, itself apart."""

HOMES: dict[str, tuple[str, ...]] = {
    "IPython": ("api.notebook.screen",),
    "aiohttp": ("wire",),
    "anyio": ("api", "calibration", "cli", "cluster", "commands", "engine", "simulator.process", "wire"),
    "click": ("cli",),
    "dotenv": ("providers.environment",),
    "genai_prices": ("pricing",),
    "httptools": ("simulator", "wire"),
    "httpx2": ("commands.doctor", "wire"),
    "jinja2": ("outputs.report.document", "suite.templating"),
    "jsonschema": ("checks",),
    "markdown_it": ("outputs",),
    "markupsafe": ("outputs.report", "outputs.side_by_side"),
    "nh3": ("outputs",),
    "msgspec": ("storage", "wire"),
    "numpy": ("analysis",),
    "openai": ("wire",),
    "pandas": ("analysis", "api", "outputs.csv"),
    "pydantic": ("document", "pricing", "providers", "suite"),
    "pydantic_core": ("document", "pricing", "providers"),
    "pyarrow": ("outputs.parquet",),
    "py3langid": ("checks",),
    "python_socks": ("wire",),
    "ray": ("cluster",),
    "re2": ("checks",),
    "referencing": ("checks",),
    "rich": ("cli", "outputs.diff.terminal", "outputs.snapshot", "outputs.terminal"),
    "tabulate": ("cli", "outputs.text.markdown"),
    "uvloop": ("commands.run", "simulator.server"),
    "wcwidth": ("outputs.charts.labels", "outputs.text.escape"),
    "yaml": ("document",),
    "yarl": ("wire",),
}
"""Library -> where it is known. A new one needs a line here and a reason in docs/decisions.md."""

HOMES_OF_TYPES = {"pandas": ("outputs.side_by_side", "outputs.charts")}

CLOCKS = ("api", "calibration", "cli", "cluster", "commands", "engine", "simulator", "wire")
CONNECTIONS = {
    "socket": ("simulator", "wire"),
    "ssl": ("commands.doctor", "wire"),
    "http.client": (),
    "urllib.request": ("wire",),
}

HEAVY = frozenset(
    {"aiohttp", "anyio", "httpx2", "jinja2", "numpy", "openai", "pandas", "pydantic", "rich", "tabulate", "yaml"}
)
ENTRY_POINTS = frozenset({"importlib.metadata", "importlib_metadata", "pkg_resources"})

VAGUE_NAMES = frozenset({"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"})


@dataclass(frozen=True)
class Import:
    """One import as it stands in the source, wherever in it; names are without the leading `runner.`."""

    importer: str
    imported: str
    of_ours: bool
    for_types: bool

    def __str__(self) -> str:
        return f"{self.importer or 'runner'} imports {self.imported}{' for types' if self.for_types else ''}"


def within(module: str, *rooms: str) -> bool:
    """Tell whether a module is one of these rooms, or lies in one."""
    return any(module == room or module.startswith(f"{room}.") for room in rooms)


def room_of(module: str) -> str:
    """Return the entry of runner/ that a module belongs to; empty for the package itself."""
    return module.partition(".")[0]


@cache
def modules() -> dict[str, ast.Module]:
    """Return every module of the package, parsed."""
    parsed = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        parsed[name.removesuffix("__init__").removesuffix(".")] = ast.parse(path.read_text(encoding="utf-8"))
    return parsed


@cache
def imports() -> tuple[Import, ...]:
    """Return every import of the package, those in functions, for types and by name as text too."""
    return tuple(found for importer, tree in modules().items() for found in _imports_of(importer, tree))


def _imports_of(importer: str, tree: ast.Module) -> Iterator[Import]:
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        for name in _names_imported(node):
            package, _, rest = name.partition(".")
            ours = package == "runner"
            yield Import(importer, rest if ours else name, ours, id(node) in for_types)


def _names_imported(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import():
            yield from (alias.name for alias in node.names)
        case ast.ImportFrom(module="runner"):
            yield from (f"runner.{alias.name}" for alias in node.names)
        case ast.ImportFrom(module=str(module), level=0):
            yield module
        case ast.ImportFrom():
            yield "runner.a relative import"
        case ast.Call(
            func=ast.Name(id="import_module") | ast.Attribute(attr="import_module"), args=[ast.Constant(name)]
        ):
            yield str(name)


def library_of(name: str) -> str:
    """Return the distribution's package that a module belongs to."""
    return name.partition(".")[0]


def told(found: Iterator[Import]) -> list[str]:
    """Return imports as lines of a failure's message."""
    return sorted(map(str, found))


# Imports


def test_the_table_lists_every_room_and_no_other() -> None:
    """Every entry of runner/ has its line in the table, and the table has no line without an entry."""
    assert {name.partition(".")[0] for name in modules()} == set(ARROWS)


def test_the_table_permits_no_import_that_is_not_made() -> None:
    """A permission that nobody uses is removed."""
    used = {(room_of(found.importer), room_of(found.imported)) for found in imports() if found.of_ours}
    unused = [
        f"{room} -> {below}" for room, allowed in ARROWS.items() for below in allowed if (room, below) not in used
    ]
    assert unused == []


def test_the_table_goes_down() -> None:
    """No room stands above itself: the arrows have no cycle."""
    TopologicalSorter(ARROWS).prepare()


def test_imports_go_along_the_arrows() -> None:
    """No module imports what its room may not, inside a function or for types either."""
    assert (
        told(
            found
            for found in imports()
            if found.of_ours
            and room_of(found.importer) != room_of(found.imported)
            and room_of(found.imported) not in ARROWS[room_of(found.importer)]
        )
        == []
    )


def test_measuring_and_viewing_do_not_meet() -> None:
    """Neither side reaches the other, by however many steps."""
    for side, other in ((("engine", "wire"), ("analysis", "outputs")), (("analysis", "outputs"), ("engine", "wire"))):
        reached = set(side)
        for _ in ARROWS:
            reached |= {room_of(below) for room in tuple(reached) for below in ARROWS[room]}
        assert reached & set(other) == set()


def test_no_two_modules_import_each_other() -> None:
    """There is no cycle of modules, counted with what is imported late or for types only."""
    graph: dict[str, set[str]] = {name: set() for name in modules()}
    for found in imports():
        if found.of_ours and found.imported in graph:
            graph[found.importer].add(found.imported)
    TopologicalSorter(graph).prepare()


def test_what_is_imported_by_a_computed_name_is_imported_at_a_door() -> None:
    """Only the package's own door and that of the outputs compute names; every other import can be read."""
    computing = {
        name
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith(("import_module", "__import__"))
        and not isinstance(node.args[0], ast.Constant)
    }
    assert computing == {"", "outputs"}


def test_heavy_libraries_stay_at_home() -> None:
    """Each library is known in few places, and none is known that has no home."""
    assert (
        told(
            found
            for found in imports()
            if not found.of_ours
            and (library := library_of(found.imported)) not in sys.stdlib_module_names
            and not within(found.importer, *HOMES.get(library, ()))
            and not (found.for_types and within(found.importer, *HOMES_OF_TYPES.get(library, ())))
        )
        == []
    )


def test_connections_are_opened_in_two_places() -> None:
    """Only the wire and the simulator import what opens a socket."""
    assert (
        told(
            found
            for found in imports()
            if not found.of_ours
            and found.imported in CONNECTIONS
            and not within(found.importer, *CONNECTIONS[found.imported])
        )
        == []
    )


def test_pure_rooms_read_no_clock() -> None:
    """Time is an argument everywhere but where something happens."""
    pure = {name: tree for name, tree in modules().items() if not within(name, *CLOCKS)}
    assert told(found for found in imports() if found.importer in pure and library_of(found.imported) == "time") == []
    reading = {"now", "utcnow", "today", "current_time"}
    calls = [(name, node.func) for name, tree in pure.items() for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert [name for name, func in calls if isinstance(func, ast.Attribute) and func.attr in reading] == []


# What is loaded


def loaded(*command: str) -> set[str]:
    """Run Python with a command in a fresh process; return the modules that were imported on the way."""
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-W", "error", *command],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        check=True,
        capture_output=True,
        encoding="utf-8",
    )
    lines = [line for line in ran.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


@pytest.mark.parametrize("command", [(), *((name,) for name in sorted(commands.commands))])
def test_help_is_light(command: tuple[str, ...]) -> None:
    """Neither the command's help nor a sub-command's loads a heavy library or looks for entry points."""
    names = loaded("-m", "runner", *command, "--help")
    assert {"runner.cli", "click"} <= names
    assert {library_of(name) for name in names} & HEAVY == set()
    assert names & ENTRY_POINTS == set()


def test_importing_the_package_is_light() -> None:
    """`import runner` loads two small modules; its names bring what they need when they are used."""
    names = {name for name in loaded("-c", "import runner") if library_of(name) == "runner"}
    assert names == {"runner", "runner.version"}


def test_the_table_of_outputs_is_light() -> None:
    """To know which formats there are, none of them is loaded."""
    names = loaded("-c", "from runner.outputs import WRITERS; assert '.html' in WRITERS")
    assert {library_of(name) for name in names} & HEAVY == set()


# Names


def test_every_module_says_what_it_is_for() -> None:
    """Each has a docstring."""
    assert [name or "runner" for name, tree in modules().items() if not ast.get_docstring(tree)] == []


def test_no_module_has_a_vague_name() -> None:
    """What a module is for can be told from its name."""
    assert [name for name in modules() if set(name.split(".")) & VAGUE_NAMES] == []


# Leaks


def versioned_files() -> list[Path]:
    """Return what is in the repository, or would be with the next commit."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no git checkout")
    paths = [CHECKOUT / os.fsdecode(name) for name in listed.split(b"\0") if name]
    return [path for path in paths if path.is_file()]


def paths_of_this_machine() -> Iterator[str]:
    """Yield where things are here, and nowhere else."""
    for path in (CHECKOUT, Path(sys.prefix), Path(sys.executable).parent.parent):
        if len(path.parts) > 2 and path != Path(sys.base_prefix):
            yield str(path)
    if len(Path.home().parts) > 1:
        yield f"{Path.home()}{os.sep}"


# In halves, so that this file does not hold what it looks for.
FORBIDDEN = tuple(
    "".join(halves)
    for halves in (
        ("/wo", "rk/"),
        ("sha", "red/design"),
        ("sha", "red/research"),
        (".libr", "ary/"),
        (".mir", "ror/"),
        ("py", "pi.org"),
        ("python", "hosted"),
        ("regis", "try.npm"),
        ("index", "-url"),
    )
)


def test_nothing_names_this_machine_or_a_registry() -> None:
    """No file in the repository holds a path of whoever wrote it, or the host that packages came from."""
    words = [*FORBIDDEN, *paths_of_this_machine()]
    found = [
        f"{path.relative_to(CHECKOUT)}: {word}"
        for path in versioned_files()
        for text in [path.read_bytes().decode("utf-8", "replace")]
        for word in words
        if word in text
    ]
    assert found == []
