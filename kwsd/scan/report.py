"""The visible part of a scan, on standard error: progress, and a table at the end."""

import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Sequence

from kwsd import standard_error
from kwsd.scan.scan import Outcome

EVERY_S = 1.0  # on a terminal, where a line is overwritten
EVERY_LOGGED_S = 30.0  # elsewhere


class Report:
    """Counts, and reports.

    Args:
        bytes_total: size of all recordings; 0 if unknown.
        recordings: their number.
        quiet: no progress, and no table.
    """

    def __init__(self, bytes_total: int, recordings: int, *, quiet: bool) -> None:
        self._bytes_total, self._recordings, self._quiet = bytes_total, recordings, quiet
        self._bytes = self._heard_ms = 0.0
        self.done = self.failed = self.skipped = 0
        self._scores: dict[str, list[float]] = defaultdict(list)
        self._began_s = self._told_s = time.monotonic()
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        self._line = ""

    def progressed(self, duration_ms: float, size: float) -> None:
        """Adds to the audio processed, and to the bytes of recordings done."""
        self._heard_ms += duration_ms
        self._bytes += size
        self.tick()

    def tick(self) -> None:
        """Shows the progress, if it is time to."""
        now_s = time.monotonic()
        if self._quiet or now_s - self._told_s < (EVERY_S if self._terminal else EVERY_LOGGED_S):
            return
        self._told_s = now_s
        self._show(self._progress(now_s - self._began_s))

    def tell(self, line: str) -> None:
        """Prints a line that stays."""
        self._clear()
        standard_error.write(f"kwsd: {line}")

    def take(self, outcome: Outcome) -> None:
        self.done += 1
        if outcome.failure is not None:
            self.failed += 1
            self.tell(outcome.failure)
        for word in outcome.words:
            self._scores[word.label].append(word.score)

    def skip(self, size: int) -> None:
        """Counts a recording that was processed before."""
        self.skipped += 1
        self._bytes_total -= size

    def finish(self, labels: Sequence[str], unread: int = 0) -> None:
        """The table: for each word its count, its rate per hour, and the median of its scores.

        Args:
            labels: in the order of its rows.
            unread: named recordings that could not be opened.
        """
        self._clear()
        if self._quiet:
            return
        hours = self._heard_ms / 3_600_000
        if self._scores:
            width = max(map(len, self._scores))
            standard_error.write(f"{'word':{width}}  {'count':>7}  {'per hour':>8}  {'median score':>12}")
            for label in (each for each in labels if each in self._scores):
                scores = self._scores[label]
                rate = len(scores) / hours if hours else 0.0
                median = statistics.median(scores)
                standard_error.write(f"{label:{width}}  {len(scores):7}  {rate:8.2f}  {median:12.3f}")
        took_s = max(time.monotonic() - self._began_s, 1e-3)
        words = sum(map(len, self._scores.values()))
        line = f"{_counted(words, 'word')} in {hours:.2f} hours of {_counted(self.done - self.failed, 'recording')}"
        line += f", heard in {_span(took_s)} ({self._heard_ms / 1000 / took_s:.0f} times real time)"
        line += f"; {self.failed + unread} could not be read" * bool(self.failed + unread)
        line += f"; {self.skipped} heard before" * bool(self.skipped)
        standard_error.write(f"kwsd: {line}")

    def _progress(self, took_s: float) -> str:
        line = f"{self._heard_ms / 3_600_000:.2f} hours heard, {self._heard_ms / 1000 / took_s:.0f} times real time"
        line += f", {self.done} of {self._recordings - self.skipped} recordings"
        if 0 < self._bytes < self._bytes_total:
            line += f", {_span(took_s * (self._bytes_total - self._bytes) / self._bytes)} left"
        return line

    def _show(self, line: str) -> None:
        if not self._terminal:
            standard_error.write(f"kwsd: {line}")
            return
        sys.stderr.write(f"\r{line:{len(self._line)}}")
        sys.stderr.flush()
        self._line = line

    def _clear(self) -> None:
        if self._line:
            sys.stderr.write(f"\r{'':{len(self._line)}}\r")
            sys.stderr.flush()
            self._line = ""


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _span(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
