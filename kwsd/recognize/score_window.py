"""The scores of the averaging window."""

from collections import deque

import numpy as np
from numpy.typing import NDArray


class ScoreWindow:
    """Scores in a window of time, oldest first, contiguous in memory so that one call adds them up.

    Rows are written one after another; at the end of the memory, those still needed move to its start.
    """

    def __init__(self, width: int) -> None:
        self.times_ms: deque[int] = deque()
        self._width = width
        # numpy adds rows in order, but adds the numbers of a single column pairwise: a second one prevents that.
        self._rows = np.zeros((64, max(width, 2)), np.float32)
        self._start = 0

    def clear(self) -> None:
        self.times_ms.clear()
        self._start = 0

    def append(self, scores: NDArray[np.float32], time_ms: int) -> None:
        count = len(self.times_ms)
        if self._start + count == len(self._rows):
            rows = self._rows[self._start :]
            if 2 * count > len(self._rows):
                self._rows = np.zeros((2 * len(self._rows), self._rows.shape[1]), np.float32)
            self._rows[:count] = rows
            self._start = 0
        self._rows[self._start + count, : self._width] = scores.reshape(-1)
        self.times_ms.append(time_ms)

    def forget_before(self, time_ms: int) -> None:
        """Drops results from the front while they are older; one that came late may hide older ones after it."""
        while self.times_ms and self.times_ms[0] < time_ms:
            self.times_ms.popleft()
            self._start += 1

    def average(self) -> NDArray[np.float32]:
        count = len(self.times_ms)
        shares = self._rows[self._start : self._start + count] / np.float32(count)
        total: NDArray[np.float32] = np.add.reduce(shares)
        return total[: self._width]

    def column_since(self, index: int, time_ms: int) -> list[float]:
        """The newest scores of one label, back to the first that is older than ``time_ms``."""
        count = 0
        for result_ms in reversed(self.times_ms):
            if result_ms < time_ms:
                break
            count += 1
        end = self._start + len(self.times_ms)
        scores: list[float] = self._rows[end - count : end, index].tolist()
        return scores
