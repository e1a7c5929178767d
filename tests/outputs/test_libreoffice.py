"""Escapes of CSV cells in LibreOffice: for every separator, no cell is evaluated as a formula."""

import os
import re
import shutil
import subprocess
from itertools import product
from pathlib import Path

import pytest

from runner.analysis.result_columns import COLUMNS, Cell
from runner.outputs import csv as csv_output

pytestmark = pytest.mark.libreoffice

SEPARATORS = {",": 44, ";": 59, "tab": 9}
STARTS = ("=", "+", "-", "@", "\t=", "\r=", " =", "\u00a0=", "'=", '"=')
PLACES = ("", "x,", "x;", "x\t", "x\n", "x\r\n", 'x;"', "x; ", "x;;", ",;", "x,'", 'x","')
TEXTS = [f"{place}{start}1+41" for place, start in product(PLACES, STARTS)]
FORMULA = re.compile(r'table:formula="([^"]*)"')


def formulas_in(folder: Path, lines: str, separator: int) -> list[str]:
    """Return the formulas that LibreOffice finds in a CSV file split at a separator."""
    path = folder / "rows.csv"
    path.write_text(lines, encoding="utf-8", newline="")
    options = f"CSV:{separator},34,76,1,,0,false,true,false,false,false,-1,true"
    subprocess.run(
        [
            *(str(shutil.which("soffice")), "--headless", f"-env:UserInstallation=file://{folder}/profile"),
            *("--infilter=" + options, "--convert-to", "fods", "--outdir", str(folder), str(path)),
        ],
        env={**os.environ, "HOME": str(folder)},
        check=True,
        capture_output=True,
        timeout=120,
    )
    return FORMULA.findall((folder / "rows.fods").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", SEPARATORS)
def test_no_cell_is_a_formula_in_libreoffice(tmp_path: Path, name: str) -> None:
    """Escaped formulas after any separator are text; the same texts without escapes are formulas."""
    rows: list[dict[str, Cell]] = [
        dict.fromkeys(column.name for column in COLUMNS) | {"prompt": text, "reply": text} for text in TEXTS
    ]
    written = "".join(csv_output.write_rows(rows))
    assert formulas_in(tmp_path, written, SEPARATORS[name]) == []
    bare = "".join(f'"{text}"\n'.replace('""', '"') for text in TEXTS)
    assert len(formulas_in(tmp_path, bare, SEPARATORS[name])) > 0
