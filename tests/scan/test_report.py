"""What a person sees while a scan runs, and at its end."""

import io
import sys

import pytest

from kwsd.scan import report
from kwsd.scan.inputs import Recording
from kwsd.scan.scan import Outcome
from kwsd.scan.words import Word

HOUR_MS = 3_600_000


class Screen(io.StringIO):
    def __init__(self, terminal):
        super().__init__()
        self._terminal = terminal

    def isatty(self):
        return self._terminal

    @property
    def shown(self):
        """The lines as they stand in the end, on a terminal of any width."""
        return [line.split("\r")[-1].rstrip() for line in self.getvalue().splitlines()]


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(report.time, "monotonic", lambda: now[0])
    return now


def outcome(*words, failure=None):
    found = tuple(Word(label, score, 0, 1000) for label, score in words)
    return Outcome(Recording("a.wav", 500, "."), HOUR_MS, found, failure)


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_has_hours_rate_and_what_is_left(clock, monkeypatch, terminal):
    screen = Screen(terminal)
    monkeypatch.setattr(sys, "stderr", screen)
    told = report.Report(2000, 4, quiet=False)
    told.progressed(HOUR_MS, 500)
    assert screen.getvalue() == ""  # not yet time
    clock[0] += 36
    told.take(outcome())
    told.progressed(0, 0)
    line = "1.00 hours heard, 100 times real time, 1 of 4 recordings, 2 min left"
    assert screen.getvalue().strip().removeprefix("kwsd: ") == line
    told.tell("a.wav: damaged")
    assert screen.shown[-1] == "kwsd: a.wav: damaged"


def test_the_table(clock, monkeypatch):
    screen = Screen(terminal=False)
    monkeypatch.setattr(sys, "stderr", screen)
    told = report.Report(0, 3, quiet=False)
    told.skip(0)
    told.progressed(2 * HOUR_MS, 0)
    told.take(outcome(("stop", 0.9), ("stop", 0.7), ("go", 0.8)))
    told.take(outcome(failure="b.wav: the file is empty"))
    clock[0] += 7.2
    told.finish(("go", "stop", "yes"), unread=1)
    assert screen.shown == [
        "kwsd: b.wav: the file is empty",
        "word    count  per hour  median score",
        "go          1      0.50         0.800",
        "stop        2      1.00         0.800",
        "kwsd: 3 words in 2.00 hours of 1 recording, heard in 7.2 s (1000 times real time); 2 could not be read;"
        " 1 heard before",
    ]


def test_quiet_tells_what_went_wrong_and_nothing_else(clock, monkeypatch):
    screen = Screen(terminal=True)
    monkeypatch.setattr(sys, "stderr", screen)
    told = report.Report(0, 1, quiet=True)
    clock[0] += 100
    told.progressed(HOUR_MS, 0)
    told.take(outcome(failure="b.wav: the file is empty"))
    told.finish(("go",))
    assert screen.shown == ["kwsd: b.wav: the file is empty"]
