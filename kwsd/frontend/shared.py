"""One stream of rows for several readers: each row is computed once, when the first reader needs it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kwsd.frontend.base import Doubles, Frontend


class SharedRows:
    """The rows of a stream shared by several readers, all from its first sample on.

    Args:
        frontend: makes the rows.
    """

    def __init__(self, frontend: Frontend) -> None:
        self._frontend = frontend
        self._readers: list[RowReader] = []
        self.reset()

    def reset(self) -> None:
        """Starts afresh; earlier readers must not be used any more."""
        self._stream = self._frontend.stream()
        self._position = self._first = 0  # samples taken; the number of the first row in memory
        self._rows: NDArray[Any] | None = None
        self._readers.clear()

    def reader(self) -> "RowReader":
        """A reader that takes the stream from its first sample on."""
        self._readers.append(reader := RowReader(self))
        return reader

    def take(self, samples: Doubles, end: int) -> None:
        """Computes the rows of samples that end at position ``end``, unless they exist already."""
        if (new := end - self._position) <= 0:
            return
        rows = self._stream.rows(samples[len(samples) - new :])
        self._position = end
        if self._rows is not None:
            keep = min(reader.row for reader in self._readers) - self._first
            rows, self._first = np.concatenate((self._rows[keep:], rows)), self._first + keep
        self._rows = rows

    def between(self, first: int, end: int) -> NDArray[Any]:
        """The rows of these numbers."""
        assert self._rows is not None
        return self._rows[first - self._first : end - self._first]

    def rows_until(self, position: int) -> int:
        """How many rows this many samples make."""
        return self._frontend.whole_frames(position)


class RowReader:
    """A stream of rows, like `kwsd.frontend.base.Stream`.

    Attributes:
        row: the number of the next row that it returns.
    """

    def __init__(self, shared: SharedRows) -> None:
        self._shared, self._position, self.row = shared, 0, 0

    def rows(self, samples: Doubles) -> NDArray[Any]:
        """The rows that these samples complete."""
        self._position += len(samples)
        self._shared.take(samples, self._position)
        first, self.row = self.row, self._shared.rows_until(self._position)
        return self._shared.between(first, self.row)
