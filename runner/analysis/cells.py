"""Cells gathered into a column, in hardly more memory than the finished column takes."""

from collections.abc import Sequence
from math import nan
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runner.analysis.columns import Cell, Kind

TEXT = pd.StringDtype("python")
"""Spelled out so that it is the same with pandas 2 and 3, with and without pyarrow, and holds half an emoji, which
pyarrow refuses."""

STRETCH = 65_536
"""Cells for which room is made at once. Only what is used of it takes memory, and so much is given back when freed."""


class Cells(Protocol):
    """A column that grows."""

    def extend(self, cells: Sequence[Cell]) -> None:
        """Put cells below the others; None is an absent one."""

    def series(self) -> "pd.Series[Any]":
        """Return the column, and forget it."""


class _Array:
    """An array that grows by whole stretches: what is in it is never moved, which would leave holes in memory."""

    def __init__(self, kind: type) -> None:
        self._kind = kind
        self._stretches: list[NDArray[Any]] = []
        self._length = 0

    def extend(self, values: Sequence[object]) -> None:
        """Append values."""
        while values:
            at = self._length % STRETCH
            if at == 0:
                self._stretches.append(np.empty(STRETCH, dtype=self._kind))
            fitting = values[: STRETCH - at]
            self._stretches[-1][at : at + len(fitting)] = fitting
            self._length += len(fitting)
            values = values[len(fitting) :]

    def whole(self) -> NDArray[Any]:
        """Return all in one piece, and let go of the stretches."""
        stretches, self._stretches = self._stretches, []
        if not stretches:
            return np.empty(0, dtype=self._kind)
        stretches[-1] = stretches[-1][: self._length - STRETCH * (len(stretches) - 1)]
        return np.concatenate(stretches)


class _Numbers:
    """Floating-point numbers; what is absent is NaN."""

    def __init__(self) -> None:
        self._values = _Array(np.float64)

    def extend(self, cells: Sequence[Cell]) -> None:
        self._values.extend([nan if cell is None else cell for cell in cells])

    def series(self) -> "pd.Series[float]":
        return pd.Series(self._values.whole(), copy=False)


class _Masked:
    """Counts or truth values, with what is absent marked beside them."""

    def __init__(self, kind: type, finished: type[pd.arrays.IntegerArray | pd.arrays.BooleanArray]) -> None:
        self._finished = finished
        self._values, self._absent = _Array(kind), _Array(np.bool_)

    def extend(self, cells: Sequence[Cell]) -> None:
        self._values.extend([0 if cell is None else cell for cell in cells])
        self._absent.extend([cell is None for cell in cells])

    def series(self) -> "pd.Series[Any]":
        return pd.Series(self._finished(self._values.whole(), self._absent.whole()), copy=False)


class _Texts:
    """Texts; where rows are to share them, equal ones are held once."""

    def __init__(self, *, shared: bool) -> None:
        self._values = _Array(object)
        self._known: dict[Cell, Cell] | None = {} if shared else None

    def extend(self, cells: Sequence[Cell]) -> None:
        known = self._known
        self._values.extend(cells if known is None else [known.setdefault(cell, cell) for cell in cells])

    def series(self) -> "pd.Series[str]":
        return pd.Series(self._values.whole(), dtype=TEXT, copy=False)


def gather(kind: Kind, *, shared: bool) -> Cells:
    """Return an empty column."""
    match kind:
        case Kind.NUMBER:
            return _Numbers()
        case Kind.COUNT:
            return _Masked(np.int64, pd.arrays.IntegerArray)
        case Kind.TRUTH:
            return _Masked(np.bool_, pd.arrays.BooleanArray)
        case Kind.TEXT:
            return _Texts(shared=shared)
