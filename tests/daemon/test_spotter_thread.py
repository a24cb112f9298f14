"""The thread between a microphone and the events, on a clock of the test's own."""

from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from kwsd.audio.source import Block, End, Found, LiveSource
from kwsd.config.effective import Effective, recognize_in_force
from kwsd.daemon import spotter_thread
from kwsd.daemon.cutter import Cutter
from kwsd.daemon.ensemble import Ensemble
from kwsd.daemon.spotter_thread import Run, SpotterThread
from kwsd.model import load
from tests.helpers.kwsd_process import DEMO

RATE_HZ = 16_000
STRIDE_S = 0.04


class Clock:
    """Time that passes only where somebody waits."""

    def __init__(self):
        self.now_s, self.waits = 100.0, 0

    def monotonic(self):
        return self.now_s

    def time(self):
        return 1e9 + self.now_s

    def wait(self, seconds):
        self.waits += seconds > 0
        self.now_s += max(0.0, seconds)
        return False


class Microphone:
    """A recording that comes a stride at a time, by that clock."""

    name, rate_hz, paced = "Mic", RATE_HZ, True
    state, fault, steps, usage = ("listening", "audio flows", 0.0), None, 0, (0.0, 0.0)
    found = Found()
    counters = {"samples_lost": 0, "overruns": 0, "waiting": 0}  # noqa: RUF012

    def __init__(self, samples, clock):
        self._samples, self._clock, self._begun_s, self._read = samples, clock, clock.now_s, 0

    def read(self, timeout_s):
        count = round(RATE_HZ * STRIDE_S)
        block = self._samples[self._read : self._read + count]
        if len(block) < count:
            return End()
        self._read += count
        arrives_s = self._begun_s + self._read / RATE_HZ
        self._clock.wait(arrives_s - self._clock.now_s)
        return Block(block, 1e9 + arrives_s, arrives_s)

    def step(self, now_s):
        """Needs none."""

    def close(self):
        """Holds nothing."""


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(spotter_thread, "time", clock)
    return clock


def thread_on(device, events, scores_wanted=False, tail=0, tell_peak=lambda peak: None):
    model = load("default")
    assert isinstance(device, LiveSource)
    return SpotterThread(
        device,
        Ensemble([Effective(model, recognize_in_force(model), frozenset(model.labels))]),
        Run(),
        Cutter(events.append, lambda: None, RATE_HZ),
        tail=np.zeros(tail, np.float32),
        armed=dict,
        tell_peak=tell_peak,
        listener="default",
        scores_wanted=lambda: scores_wanted,
        wake=lambda: None,
    )


def heard(samples, clock, **how):
    """Events of the recording but for peaks, and how often somebody waited."""
    events = []
    thread = thread_on(Microphone(samples, clock), events, **how)
    thread._stop = SimpleNamespace(is_set=lambda: False, wait=clock.wait)
    thread._main()
    assert thread.error is None
    return events, clock.waits


def test_blocks_gather_while_no_word_can_fire_and_no_word_is_late(clock, monkeypatch):
    samples, _ = soundfile.read(DEMO, dtype="float32")
    events, waits = heard(samples, clock)
    blocks = len(samples) / RATE_HZ / STRIDE_S
    assert waits < 0.7 * blocks, "a recording full of words"
    assert [event.latency_ms for event in events] == [pytest.approx(0, abs=1e-3)] * len(events)
    monkeypatch.setattr(spotter_thread, "IDLE_MAX_S", 0.0)
    every, waits = heard(samples, clock)
    assert waits > blocks - 2
    told = [(event.label, event.score, event.audio_ms) for event in events]
    assert told == [(event.label, event.score, event.audio_ms) for event in every] and len(told) > 5


def test_neither_words_nor_peaks_are_past_the_end_of_the_recording(clock):
    samples, _ = soundfile.read(DEMO, dtype="float32")
    samples, peaks = samples[: int(2.4 * RATE_HZ)], []  # the first word's score has not risen yet
    events, _ = heard(samples, clock, tail=RATE_HZ, tell_peak=peaks.append)
    assert [event.label for event in events] == [peak.label for peak in peaks] == ["stop"]
    assert peaks[0].audio_ms == 2400 and events[0].audio_ms <= 2400


def test_a_change_that_comes_when_the_thread_ends_or_has_ended_is_made(clock):
    made = []

    class Ending(Microphone):
        def read(self, timeout_s):
            assert not thread.between_blocks(lambda: made.append("at the end"), timeout_s=0)
            return End()

    thread = thread_on(Ending(np.zeros(0, np.float32), clock), [])
    thread._main()
    assert made == ["at the end"] and not thread.changing
    assert thread.between_blocks(lambda: made.append("later"), timeout_s=0)
    assert made == ["at the end", "later"] and not thread.changing


def test_in_silence_it_wakes_less_than_every_fourth_stride(clock):
    seconds, begin_s = 20, 1.5
    _, waits = heard(np.zeros(seconds * RATE_HZ, np.float32), clock)
    assert waits < (begin_s + (seconds - begin_s) / 4) / STRIDE_S


def test_who_subscribes_to_scores_gets_the_newest_seven_to_ten_times_a_second(clock, monkeypatch):
    seconds, ages_ms = 20, []

    def scores(audio_ms, *rest):
        ages_ms.append((clock.now_s - 100) * 1000 - audio_ms)
        return SimpleNamespace(type="scores", audio_ms=audio_ms)

    monkeypatch.setattr(spotter_thread, "ScoresEvent", scores)
    events, waits = heard(np.zeros(seconds * RATE_HZ, np.float32), clock, scores_wanted=True)
    begin_s = 1.5  # of the first clip and the first averages
    assert 7 * (seconds - begin_s) <= len(events) <= 10 * seconds
    assert max(ages_ms) < 1000 * STRIDE_S
    assert waits < (begin_s + (seconds - begin_s) / 2) / STRIDE_S, "blocks gather in between"
