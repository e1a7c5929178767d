"""Rules of the layout: imports between rooms, where libraries, files and clocks are used, what is loaded, names.

A room is an entry of runner/: a package, or one of the few modules beside them.
"""

import ast
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from textwrap import dedent

import pytest

from runner.cli import FORMER_NAMES
from runner.cli.command_groups import COMMANDS

CHECKOUT = Path(__file__).parents[1]
PACKAGE = CHECKOUT / "runner"

ARROWS: dict[str, tuple[str, ...]] = {
    "version": (),
    "errors": (),
    "core": ("errors",),
    "document": ("errors",),
    "pricing": ("errors",),
    "plugins": ("errors",),
    "checks": ("core", "errors"),
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
"""Room -> the other rooms it may import."""

ROOMS_OF_COMMANDS = ("commands", "outputs", "errors", "version")
"""Rooms from which `cli` imports anything: use cases, what prints their results, and what messages share."""

NAMES_OF_COMMANDS = frozenset(
    {
        # Types of what a use case takes, returns or shows
        *("CalibrationInterrupted", "CalibrationLoad", "CalibrationObserver", "CapacitySearch", "Case", "ColumnNames"),
        *("CompletedRequestCount", "Event", "Observer", "Parameters", "Plan", "RampSetting", "Record", "Request"),
        *("RequestCounts", "Target"),
        # Values that options accept, and defaults
        *("ARRIVALS", "AnsweredByColumn", "MAX_TEMPERATURE", "PERCENTILES", "REPORT", "RESULTS", "TIMED"),
        # Parsers of the values of options
        *("parse_duration", "parse_money", "parse_percentiles", "parse_reply_limit", "parse_share", "parse_slo"),
        *("parse_until_ci", "parse_vary"),
        # The one function of `simulate`, `replay` and `schema`
        *("faults", "json_schema", "serve"),
        # What the terminal needs: tracebacks without keys, variables, the short name of a folder
        *("Key", "Redactor", "is_ci", "read_environment", "shown_folder"),
    }
)
"""Names that `cli` imports from other rooms, except for types alone."""

HOMES: dict[str, tuple[str, ...]] = {
    "IPython": ("api.progress_display",),
    "PIL": ("commands.run.make_thumbnails",),
    "aiohttp": ("wire",),
    "anyio": ("api", "cli", "cluster", "commands", "engine", "simulator.child_process", "wire"),
    "click": ("cli",),
    "dotenv": ("providers.environment",),
    "genai_prices": ("pricing",),
    "httptools": ("simulator", "wire"),
    "httpx2": ("commands.doctor", "wire"),
    "jinja2": ("outputs.report.render_html", "suite.template_language"),
    "jsonschema": ("checks",),
    "markdown_it": ("outputs",),
    "markupsafe": ("outputs.report", "outputs.side_by_side"),
    "nh3": ("outputs",),
    "msgspec": ("storage", "wire"),
    "numpy": ("analysis",),
    "openai": ("wire",),
    "pandas": ("analysis", "api", "outputs.csv"),
    "prompt_toolkit": ("cli",),
    "pydantic": ("document", "pricing", "providers", "suite"),
    "pydantic_core": ("document", "providers"),
    "pyarrow": ("outputs.parquet",),
    "py3langid": ("checks",),
    "python_socks": ("wire",),
    "ray": ("cluster",),
    "re2": ("checks",),
    "referencing": ("checks",),
    "rich": (
        *("cli", "outputs.diff.terminal", "outputs.narrow_terminal_tables", "outputs.cjk_line_breaks"),
        *("outputs.history", "outputs.judge"),
        *("outputs.runs", "outputs.snapshot", "outputs.terminal", "outputs.votes"),
    ),
    "tabulate": ("cli", "outputs.providers", "outputs.text.markdown_syntax"),
    "uvloop": ("commands.event_loop", "simulator.server"),
    "wcwidth": ("outputs.charts.svg", "outputs.text.escape"),
    "yaml": ("document",),
    "yarl": ("wire",),
}
"""Library -> the modules and packages that may import it. A new one needs a line here and a reason in
docs/decisions.md."""

HOMES_OF_TYPES = {"pandas": ("outputs.side_by_side", "outputs.charts", "outputs.report.case_heatmap")}

FILES = (
    "calibration",
    "cli.standard_streams",
    "commands",
    "document",
    "outputs.csv",
    "outputs.github",
    "providers.environment",
    "simulator.child_process",
    "storage",
)
"""Where files are opened, written and removed. What lies in the package itself is read anywhere."""

PATHS = (*FILES, "api", "outputs.text.translation", "providers", "suite")
"""Where it is looked up whether a file exists and what a folder holds."""

FILE_METHODS = frozenset(
    {"mkdir", "read_bytes", "read_text", "rmdir", "symlink_to", "touch", "unlink", "write_bytes", "write_text"}
    | {"hardlink_to", "read_csv", "read_parquet", "to_parquet"}
)
FILE_LIBRARIES = frozenset({"fcntl", "fileinput", "mmap", "shutil", "tempfile", "zipfile"})
FILE_FUNCTIONS_OF_OS = frozenset(
    {
        "fsync",
        "link",
        "listdir",
        "lseek",
        "makedirs",
        "mkdir",
        "open",
        "remove",
        "rename",
        "replace",
        "rmdir",
        "scandir",
    }
    | {"symlink", "truncate", "unlink", "walk"}
)
PATH_METHODS = frozenset(
    {"exists", "glob", "is_dir", "is_file", "is_symlink", "iterdir", "readlink", "rglob", "samefile", "stat"}
)

DECODERS = "wire.decoders"
"""The part of `wire` that is pure: it turns bytes with their timestamps into events."""

CLOCKS = ("api", "calibration", "cli", "cluster", "commands", "engine", "simulator", "wire")
CONNECTIONS = {
    "socket": ("simulator", "wire"),
    "ssl": ("commands.doctor", "wire"),
    "http.client": (),
    "urllib.request": ("wire",),
}
"""Library that opens a connection -> the rooms and modules that may import it."""

CONNECTING = {
    "connect_tcp": ("cluster.connect",),
    "create_connection": ("wire",),
    "create_server": ("simulator",),
    "open_connection": (),
    "start_server": (),
    "urlopen": (),
}
"""Function that opens a connection -> the rooms and modules that may call it."""

HEAVY = frozenset(
    {"aiohttp", "anyio", "httpx2", "jinja2", "numpy", "openai", "pandas", "pydantic", "rich", "tabulate", "yaml"}
)
ENTRY_POINTS = frozenset({"importlib.metadata", "importlib_metadata", "pkg_resources"})

VAGUE_NAMES = frozenset({"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"})


@dataclass(frozen=True)
class Import:
    """One import of the source; names are without the leading `runner.`."""

    importer: str
    imported: str
    of_ours: bool
    for_types: bool

    def __str__(self) -> str:
        return f"{self.importer or 'runner'} imports {self.imported}{' for types' if self.for_types else ''}"


def within(module: str, *rooms: str) -> bool:
    """Return whether a module is one of these rooms, or lies in one."""
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
def nodes_of(name: str) -> tuple[ast.AST, ...]:
    """Return every node of a module's tree, cached because walking through all trees takes a second."""
    return tuple(ast.walk(modules()[name]))


@cache
def imports() -> tuple[Import, ...]:
    """Return every import of the package, including those in functions, for types and by a name as text."""
    return tuple(found for importer in modules() for found in _imports_of(importer, nodes_of(importer)))


def _nodes_for_types(nodes: Iterable[ast.AST]) -> set[int]:
    """Return the ids of the nodes that only a type checker reads."""
    return {
        id(inner)
        for node in nodes
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }


def _imports_of(importer: str, nodes: Iterable[ast.AST]) -> Iterator[Import]:
    for_types = _nodes_for_types(nodes)
    for node in nodes:
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
        case ast.Call(func=function, args=[ast.Constant(name)]) if is_importer(function):
            yield str(name)
        case ast.Call() if any(map(is_importer, arguments_of(node))):
            # Such as `Thread(target=import_module, args=("runner.engine.run",))`.
            yield from constants_of(node)


def is_importer(node: ast.AST) -> bool:
    """Return whether an expression is the function that imports a module by its name."""
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return name.endswith(("import_module", "__import__"))


def arguments_of(call: ast.Call) -> list[ast.expr]:
    """Return the positional and the named arguments of a call."""
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def constants_of(call: ast.Call) -> list[str]:
    """Return every text among the arguments of a call, those in tuples and lists included."""
    inner = [node for argument in arguments_of(call) for node in ast.walk(argument)]
    return [node.value for node in inner if isinstance(node, ast.Constant) and isinstance(node.value, str)]


@cache
def calls() -> tuple[tuple[str, ast.Call, str, str], ...]:
    """Return every call of the package: module, node, the expression before the function, and the function's name."""
    return tuple(_calls())


def _calls() -> Iterator[tuple[str, ast.Call, str, str]]:
    for name in modules():
        for node in nodes_of(name):
            match node:
                case ast.Call(func=ast.Name(id=function)):
                    yield name, node, "", function
                case ast.Call(func=ast.Attribute(value=owner, attr=function)):
                    yield name, node, ast.unparse(owner), function


def library_of(name: str) -> str:
    """Return the distribution's package that a module belongs to."""
    return name.partition(".")[0]


def listed(found: Iterator[Import]) -> list[str]:
    """Return imports as lines of a failure's message."""
    return sorted(map(str, found))


# Imports


def test_the_table_lists_every_room() -> None:
    """Every entry of runner/ has its line in the table, and every line an entry."""
    assert {name.partition(".")[0] for name in modules()} == set(ARROWS)


def test_the_table_permits_no_import_that_is_not_made() -> None:
    """Every permission of the table is used."""
    used = {(room_of(found.importer), room_of(found.imported)) for found in imports() if found.of_ours}
    unused = [
        f"{room} -> {below}" for room, allowed in ARROWS.items() for below in allowed if (room, below) not in used
    ]
    assert unused == []


def test_the_rooms_have_no_cycle() -> None:
    """No path of arrows leads from a room back to itself."""
    TopologicalSorter(ARROWS).prepare()


def test_imports_go_along_the_arrows() -> None:
    """A module imports only what the table permits its room, inside functions and for types, too."""
    assert (
        listed(
            found
            for found in imports()
            if found.of_ours
            and room_of(found.importer) != room_of(found.imported)
            and room_of(found.imported) not in ARROWS[room_of(found.importer)]
        )
        == []
    )


def test_commands_call_use_cases() -> None:
    """Beside use cases and outputs, `cli` takes from other rooms types, values and parsers, all of which are listed."""
    taken = {
        alias.name
        for name in modules()
        if within(name, "cli")
        for found in _imports_at_run_time(nodes_of(name))
        for alias in found.names
        if not within((found.module or "").removeprefix("runner").removeprefix("."), "cli", *ROOMS_OF_COMMANDS)
    }
    assert taken == NAMES_OF_COMMANDS


def _imports_at_run_time(nodes: Iterable[ast.AST]) -> Iterator[ast.ImportFrom]:
    """Yield the imports of names from other modules of the package, except those for types alone."""
    nodes = tuple(nodes)
    for_types = _nodes_for_types(nodes)
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and within(node.module or "", "runner") and id(node) not in for_types:
            yield node


def test_measuring_and_output_import_nothing_of_each_other() -> None:
    """`engine` and `wire` reach neither `analysis` nor `outputs` by any number of imports, nor the other way round."""
    for side, other in ((("engine", "wire"), ("analysis", "outputs")), (("analysis", "outputs"), ("engine", "wire"))):
        reached = set(side)
        for _ in ARROWS:
            reached |= {room_of(below) for room in tuple(reached) for below in ARROWS[room]}
        assert reached & set(other) == set()


def test_modules_have_no_import_cycle() -> None:
    """This includes imports inside functions and for types."""
    graph: dict[str, set[str]] = {name: set() for name in modules()}
    for found in imports():
        if found.of_ours and found.imported in graph:
            graph[found.importer].add(found.imported)
    TopologicalSorter(graph).prepare()


def test_modules_are_imported_by_a_computed_name_in_three_places_only() -> None:
    """The package, `outputs` and `cli` look modules up in a table; other imports name the module directly."""
    computing = set()
    for name in modules():
        readable = {
            id(inner)
            for call in nodes_of(name)
            if isinstance(call, ast.Call) and list(_names_imported(call))
            for inner in (call.func, *arguments_of(call))
        }
        imported = {id(alias) for node in nodes_of(name) if isinstance(node, ast.ImportFrom) for alias in node.names}
        used = {id(node) for node in nodes_of(name) if is_importer(node)} - imported
        if used - readable:
            computing.add(name)
    assert computing == {"", "outputs", "cli"}


def test_indirect_imports_are_found() -> None:
    """The tables include modules that are imported in a thread, named by text, or inside a function."""
    source = """
        from importlib import import_module
        Thread(target=import_module, args=("runner.engine.run",)).start()
        importlib.import_module("runner.wire.client")
        def late():
            from runner.core.record import Record
    """
    seen = {found.imported for found in _imports_of("made.up", [*ast.walk(ast.parse(dedent(source)))]) if found.of_ours}
    assert seen == {"engine.run", "wire.client", "core.record"}


def test_libraries_are_imported_where_the_table_says() -> None:
    """Each library is imported by the modules of its line only, and every library has a line."""
    assert (
        listed(
            found
            for found in imports()
            if not found.of_ours
            and (library := library_of(found.imported)) not in sys.stdlib_module_names
            and not within(found.importer, *HOMES.get(library, ()))
            and not (found.for_types and within(found.importer, *HOMES_OF_TYPES.get(library, ())))
        )
        == []
    )


def test_every_line_of_the_table_of_libraries_is_used() -> None:
    """Each place of a library's line imports it."""
    users: dict[str, set[str]] = {}
    for found in imports():
        users.setdefault(library_of(found.imported), set()).add(found.importer)
    unused = [
        f"{library} in {place}"
        for library, places in HOMES.items()
        for place in places
        if not any(within(user, place) for user in users.get(library, ()))
    ]
    assert unused == []


def test_connections_are_opened_by_the_wire_and_the_simulator() -> None:
    """Libraries and functions that open a socket are used where their tables say."""
    assert (
        listed(
            found
            for found in imports()
            if not found.of_ours
            and found.imported in CONNECTIONS
            and not within(found.importer, *CONNECTIONS[found.imported])
        )
        == []
    )
    opened = [
        f"{name}: {owner}.{function}()"
        for name, _, owner, function in calls()
        if function in CONNECTING and owner != "super()" and not within(name, *CONNECTING[function])
    ]
    assert opened == []


def test_decoders_use_nothing_of_the_connections() -> None:
    """They import no other part of `wire`, and no library that opens a connection or runs an event loop."""
    from_wire = {found for found in imports() if within(found.importer, DECODERS) and within(found.imported, "wire")}
    assert listed(found for found in from_wire if not within(found.imported, DECODERS)) == []
    libraries = {library_of(found.imported) for found in imports() if within(found.importer, DECODERS)}
    assert libraries & {"aiohttp", "anyio", "asyncio", "httptools", "httpx2", "openai", "socket", "ssl"} == set()


def test_files_are_opened_and_written_where_the_table_says() -> None:
    """Other rooms get the content of a file, and return the content to write."""
    assert (
        listed(
            found
            for found in imports()
            if library_of(found.imported) in FILE_LIBRARIES and not within(found.importer, *FILES)
        )
        == []
    )
    touched = [
        f"{name}: {ast.unparse(call.func)}()"
        for name, call, owner, function in calls()
        if not within(name, *FILES) and touches_file(call, owner, function)
    ]
    assert touched == []


def is_method(call: ast.Call) -> bool:
    """Return whether what is called is an attribute of something."""
    return isinstance(call.func, ast.Attribute)


def touches_file(call: ast.Call, owner: str, function: str) -> bool:
    """Return whether a call opens, writes or removes a file that does not belong to the package."""
    if owner.startswith("files("):  # importlib.resources
        return False
    if function == "open":  # Connections and bodies are opened, too, but without a mode and an encoding.
        named = {keyword.arg for keyword in call.keywords}
        return owner in {"", "io", "os"} or bool(constants_of(call)) or bool(named & {"encoding", "mode"})
    if function in {"rename", "replace"} and is_method(call):  # A text's `replace` takes two, a date's only named ones.
        return owner == "os" or (len(call.args) == 1 and not call.keywords)
    return (owner == "os" and function in FILE_FUNCTIONS_OF_OS) or (owner != "" and function in FILE_METHODS)


@pytest.mark.parametrize(
    ("code", "is_file"),
    [
        ("pd.read_csv(file, dtype=object)", True),
        ("temporary.replace(path)", True),
        ("path.rename(other)", True),
        ("os.replace(old, new)", True),
        ("text.replace('a', 'b')", False),
        ("moment.replace(tzinfo=None)", False),
        ("replace(record, reply=None)", False),
        ("frame.rename(columns=names)", False),
    ],
)
def test_calls_that_touch_files_are_recognised(code: str, *, is_file: bool) -> None:
    """Methods of the same name that take no path are not."""
    (call,) = (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call))
    owner, _, function = ast.unparse(call.func).rpartition(".")
    assert touches_file(call, owner, function) is is_file


def test_paths_are_looked_up_where_the_table_says() -> None:
    """Other rooms ask neither whether a file exists nor what a folder contains."""
    looked_up = [
        f"{name}: {owner}.{function}()"
        for name, _, owner, function in calls()
        if not within(name, *PATHS)
        and (function in PATH_METHODS or (owner == "os" and function in {"access", "stat"}) or owner == "os.path")
    ]
    assert looked_up == []


def test_pure_rooms_read_no_clock() -> None:
    """They get the time as an argument."""
    pure = {name for name in modules() if not within(name, *CLOCKS) or within(name, DECODERS)}
    assert listed(found for found in imports() if found.importer in pure and library_of(found.imported) == "time") == []
    reading = {"now", "utcnow", "today", "current_time"}
    assert [
        name for name, call, _, function in calls() if name in pure and is_method(call) and function in reading
    ] == []


# What is loaded


def loaded(*command: str) -> set[str]:
    """Run Python with a command in a new process; return the modules that it imported."""
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-W", "error", *command],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        check=True,
        capture_output=True,
        encoding="utf-8",
    )
    lines = [line for line in ran.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


HELPS = (("--help",), ("schema", "--help"), ("run", "--help"))


@pytest.mark.parametrize("command", [(), *((name,) for group in (*COMMANDS.values(), FORMER_NAMES) for name in group)])
def test_help_is_light(command: tuple[str, ...]) -> None:
    """Neither the command's help nor a sub-command's loads a heavy library or searches for entry points."""
    names = loaded("-m", "runner", *command, "--help")
    assert {"runner.cli", "click"} <= names
    assert {library_of(name) for name in names} & HEAVY == set()
    assert names & ENTRY_POINTS == set()


def test_a_command_is_imported_when_it_is_used() -> None:
    """Neither the list of commands nor the help of one that does not run anything loads the options of a run."""
    needing = {command: "runner.commands.run.options" in loaded("-m", "runner", *command) for command in HELPS}
    assert needing == {HELPS[0]: False, HELPS[1]: False, HELPS[2]: True}


def test_a_plan_is_light() -> None:
    """A plan loads neither the measuring nor the reading of runs."""
    names = loaded("-m", "runner", "plan", str(CHECKOUT / "prompts" / "basic.yaml"), "-m", "sim/steady")
    assert {library_of(name) for name in names} & {"aiohttp", "numpy", "openai", "pandas"} == set()


def test_importing_the_package_is_light() -> None:
    """`import runner` loads two small modules; its names bring what they need when they are used."""
    names = {name for name in loaded("-c", "import runner") if library_of(name) == "runner"}
    assert names == {"runner", "runner.version"}


def test_the_table_of_outputs_is_light() -> None:
    """Listing the formats loads none of them."""
    names = loaded("-c", "from runner.outputs import WRITERS; assert '.html' in WRITERS")
    assert {library_of(name) for name in names} & HEAVY == set()


@pytest.mark.parametrize(("module", "unneeded"), [("json", "rich"), ("markdown", "rich"), ("runs", "pandas")])
def test_formats_load_no_library_that_they_do_not_use(module: str, unneeded: str) -> None:
    """Files of a run need no terminal, and a list of runs, which reads their summaries, no tables."""
    names = {library_of(name) for name in loaded("-c", f"import runner.outputs.{module}")}
    assert unneeded not in names
    assert "runner" in names


def test_pandas_waits_until_the_last_request_is_answered() -> None:
    """Imports of `compare run` before its first request exclude pandas and numpy, which take 0.3 s."""
    before = (
        "commands.exit_codes",
        "commands.run.prepare",
        "commands.run.perform",
        "cli.confirm",
        "cli.progress",
    )
    names = loaded("-c", "; ".join(f"import runner.{module}" for module in before))
    assert {"runner.commands.run.perform", "rich.console"} <= names
    assert {library_of(name) for name in names} & {"numpy", "pandas"} == set()


# Tests


@cache
def modules_of_tests() -> dict[str, ast.Module]:
    """Return every module of tests/, parsed; samples are data."""
    paths = [path for path in sorted((CHECKOUT / "tests").rglob("*.py")) if "samples" not in path.parts]
    names = {path: ".".join(path.relative_to(CHECKOUT).with_suffix("").parts) for path in paths}
    return {name: ast.parse(path.read_text(encoding="utf-8")) for path, name in names.items()}


def test_no_test_imports_from_the_file_of_another() -> None:
    """What several files of tests use is in tests/support."""
    imported = [
        f"{name} imports {node.module}"
        for name, tree in modules_of_tests().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and re.match(r"tests\..*\btest_", node.module or "")
    ]
    assert imported == []


# Names


def docstrings() -> Iterator[tuple[str, ast.AST, str]]:
    """Yield every docstring of a module, a class or a function, with its place and its node."""
    for name in modules():
        for node in nodes_of(name):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                docstring = ast.get_docstring(node)
                if docstring:
                    yield f"{name or 'runner'}:{getattr(node, 'name', '')}", node, docstring


def raises_itself(function: ast.AST) -> bool:
    """Return whether the body of a function raises an error that it makes, outside of the functions in it."""
    for node in ast.iter_child_nodes(function):
        if isinstance(node, ast.Raise):
            made = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if made is not node.exc or ast.unparse(made or node).rpartition(".")[2][:1].isupper():
                return True
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and raises_itself(node):
            return True
    return False


def test_docstrings_say_what_is_raised() -> None:
    """A public function that raises an error has `Raises:`, or names it in a sentence; a command of click shows it."""
    silent = [
        place
        for place, node, text in docstrings()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and not node.name.startswith("_")
        and not any("command" in ast.unparse(decorator) for decorator in node.decorator_list)
        and raises_itself(node)
        and not re.search(r"\braise", text, re.IGNORECASE)
    ]
    assert silent == []


def is_property(node: ast.AST) -> bool:
    """Return whether a definition is read like an attribute."""
    decorators = [ast.unparse(decorator) for decorator in getattr(node, "decorator_list", ())]
    return any(name.endswith("property") for name in decorators)


def test_docstrings_begin_with_what_is_returned_or_done() -> None:
    """None starts with a question word or a command to the reader; `Whether` is for properties."""
    wrong = [
        f"{place}: {text.splitlines()[0]}"
        for place, node, text in docstrings()
        if re.match(r"(What|Tell|Say|Whom)\b", text) or (text.startswith("Whether ") and not is_property(node))
    ]
    assert wrong == []


def test_every_module_has_a_docstring() -> None:
    """Each module states what is in it."""
    assert [name or "runner" for name, tree in modules().items() if not ast.get_docstring(tree)] == []


def test_every_package_states_its_purpose_in_one_line() -> None:
    """The first line of a package's docstring is a whole sentence or a list of what is in it, ended by a full stop."""
    packages = [".".join(path.parent.relative_to(PACKAGE).parts) for path in PACKAGE.rglob("__init__.py")]
    first_lines = {name: (ast.get_docstring(modules()[name]) or "").partition("\n")[0] for name in packages if name}
    assert {name: line for name, line in first_lines.items() if not line.endswith(".")} == {}


def test_no_module_has_a_vague_name() -> None:
    """No module is called `utils`, `base`, `manager` or the like."""
    assert [name for name in modules() if set(name.split(".")) & VAGUE_NAMES] == []


def test_a_class_name_is_defined_once() -> None:
    """A class, of the package or of its tests, can be found by its name alone."""
    trees = {**{f"runner.{name}": tree for name, tree in modules().items()}, **modules_of_tests()}
    places = {
        (name, node.name) for name, tree in trees.items() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    }
    defined = Counter(class_name for _, class_name in places)
    assert [name for name, count in defined.items() if count > 1] == []


def test_the_architecture_page_lists_every_room() -> None:
    """The listing in docs/architecture.md is the listing of runner/, a line each with its purpose."""
    page = (CHECKOUT / "docs" / "architecture.md").read_text(encoding="utf-8")
    block = page.partition("    runner/\n")[2].partition("\n\n")[0]
    entries = re.findall(r"^ {6}(\S+?)(?:/|\.py) +\S", block, re.MULTILINE)
    assert len(entries) == len(set(entries)) == len(block.splitlines())
    assert set(entries) == {room_of(name) or "__init__" for name in modules()}


# Leaks


def tracked_files() -> list[Path]:
    """Return the files that git tracks, those added to its index included, and nothing else of the checkout."""
    try:
        printed = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, check=True, capture_output=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is not a git checkout")
    paths = [CHECKOUT / os.fsdecode(name) for name in printed.split(b"\0") if name]
    return [path for path in paths if path.is_file()]


def paths_of_this_machine() -> Iterator[str]:
    """Yield the folders that only this machine has: the checkout, the environment, the home."""
    for path in (CHECKOUT, Path(sys.prefix), Path(sys.executable).parent.parent):
        if len(path.parts) > 2 and path != Path(sys.base_prefix):
            yield str(path)
    if len(Path.home().parts) > 1:
        yield f"{Path.home()}{os.sep}"


# In halves, so that this file does not contain the words.
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


def naming_this_machine(paths: Iterable[Path]) -> list[str]:
    """Return which of these files hold a path of this machine or the host of a registry, and which words."""
    words = [*FORBIDDEN, *paths_of_this_machine()]
    return [
        f"{path.name}: {word}"
        for path in paths
        for text in [path.read_bytes().decode("utf-8", "replace")]
        for word in words
        if word in text
    ]


def test_nothing_names_this_machine_or_a_registry() -> None:
    """No tracked file holds a path of a developer's machine, or the host of a package registry."""
    assert naming_this_machine(tracked_files()) == []


def test_a_path_of_this_machine_in_a_file_is_found(tmp_path: Path) -> None:
    """An environment beside the tracked files is not searched."""
    leaking = tmp_path / "leaking.md"
    leaking.write_text(f"See {CHECKOUT}/docs.", encoding="utf-8")
    assert [found for found in naming_this_machine([leaking]) if str(CHECKOUT) in found]
    tracked = tracked_files()
    assert Path(__file__) in tracked
    assert not [path for path in tracked if path.is_relative_to(sys.prefix) and Path(sys.prefix) != CHECKOUT]
