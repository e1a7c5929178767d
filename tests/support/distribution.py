"""Distributions for tests: built from a project and installed by pip, or written where Python finds them."""

import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZipFile

import pytest

from runner import plugins

EntryPoints = Mapping[str, Mapping[str, str]]
"""Group -> name -> `module:object`."""


def install_project(project: Path, place: Path) -> None:
    """Install a project of single modules into a folder by pip, as its pyproject.toml describes it."""
    about = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    modules = {path.name: path.read_text(encoding="utf-8") for path in project.glob("*.py")}
    # The wheel is built here, because a build backend would have to be downloaded.
    wheel = place.parent / f"{_stem(about['name'], about['version'])}-py3-none-any.whl"
    with ZipFile(wheel, "w") as archive:
        for path, text in distribution_files(about["name"], about["version"], about["entry-points"], modules).items():
            archive.writestr(path, text)
    command = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    subprocess.run([sys.executable, *command, "--target", place, wheel], check=True, capture_output=True)


def write_distribution(
    place: Path, name: str, version: str, entry_points: EntryPoints, modules: Mapping[str, str]
) -> None:
    """Write a distribution's modules and metadata into a folder, like pip with a wheel."""
    for path, text in distribution_files(name, version, entry_points, modules).items():
        (place / path).parent.mkdir(exist_ok=True)
        (place / path).write_text(text, encoding="utf-8")


def distribution_files(
    name: str, version: str, entry_points: EntryPoints, modules: Mapping[str, str]
) -> dict[str, str]:
    """Return path -> text of a wheel's files; `modules` are file name -> source."""
    info = f"{_stem(name, version)}.dist-info"
    groups = "".join(
        f"[{group}]\n" + "".join(f"{entry} = {value}\n" for entry, value in entries.items())
        for group, entries in entry_points.items()
    )
    files = {
        **modules,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": groups,
    }
    return files | {f"{info}/RECORD": "".join(f"{path},,\n" for path in (*files, f"{info}/RECORD"))}


def _stem(name: str, version: str) -> str:
    return f"{name.replace('-', '_')}-{version}"


@contextmanager
def installed(place: Path) -> Iterator[None]:
    """Let this process find the distributions of a folder during a block; remove them and their modules afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(place)
        _forget_found()
        try:
            yield
        finally:
            _forget_found()
            for name, module in list(sys.modules.items()):
                if Path(getattr(module, "__file__", None) or "/").parent == place:
                    del sys.modules[name]


def _forget_found() -> None:
    """Clear the caches of distributions and plug-ins that were found and loaded."""
    for function in vars(plugins).values():
        if hasattr(function, "cache_clear"):
            function.cache_clear()
