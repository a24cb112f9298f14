"""Recordings of events: the audio around each, from one side of a gap, each once."""

import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kwsd.audio.recent import span_ms
from kwsd.daemon.cutter import Cutter
from kwsd.events import PeakEvent, RecordingEvent
from tests.sinks.conftest import detection

RATE_HZ = 1000  # a sample a millisecond, each of them its position
SCALE = np.float32(1 / 32768)


def heard_at(audio_ms):
    event = detection(seq=audio_ms + 1)
    return type(event)(**{name: getattr(event, name) for name in event.__slots__} | {"audio_ms": audio_ms})


@given(
    before_ms=st.integers(0, 900),
    after_ms=st.integers(0, 900),
    steps=st.lists(
        st.tuples(st.sampled_from(["push", "push", "gap"]), st.integers(0, 700), st.booleans()), max_size=30
    ),
)
def test_each_event_has_one_recording_of_the_audio_around_it(before_ms, after_ms, steps):
    published = []
    cutter = Cutter(published.append, lambda: (before_ms, after_ms), RATE_HZ)
    position, events, segments = 0, [], [[0, 0]]
    for what, count, event in steps:
        if what == "push":
            cutter.push(np.arange(position, position + count, dtype=np.float32) * SCALE)
            segments[-1][1] += count
        else:
            cutter.gap(count)
            segments.append([position + count, position + count])
        position += count
        if event and what == "push" and count:  # no word is heard twice at one moment
            events.append((heard_at(position), len(segments) - 1))
            cutter.publish(events[-1][0])
    cutter.finish()
    assert [event for event in published if event.type == "detection"] == [event for event, _ in events]
    recordings = {event.of.seq: event for event in published if isinstance(event, RecordingEvent)}
    assert len(recordings) == len(published) - len(events), "each once"
    for event, segment in events:
        start, end = span_ms(event.audio_ms, before_ms, after_ms)
        begin, until = segments[segment]
        expected = list(range(max(start, begin), min(end, until)))
        recording = recordings.get(event.seq)
        assert (recording.samples.tolist() if recording else []) == expected
        assert recording is None or (recording.start, recording.rate_hz) == (expected[0], RATE_HZ)


def test_near_misses_are_cut_and_other_peaks_are_what_they_came_to():
    published = []
    cutter = Cutter(published.append, lambda: (700, 300), RATE_HZ)
    cutter.push(np.zeros(6000, np.float32))
    outcomes = ("below_threshold", "speech", "fired", "held", "suppressed", "not_armed", "not_wanted")
    peaks = [PeakEvent("stop", 0.5, 0.6, outcome, 3000, "t", "m") for outcome in outcomes]
    for peak in peaks:
        cutter.remember(peak)
    cutter.finish()
    assert [event.of for event in published] == peaks[:2], "the peaks themselves are told by others"
    assert [(event.start, len(event.samples)) for event in published] == [(2000, 1000)] * 2


def test_it_waits_for_the_audio_after_a_word_and_no_longer():
    published = []
    cutter = Cutter(published.append, lambda: (700, 800), RATE_HZ)
    cutter.push(np.zeros(2000, np.float32))
    cutter.publish(heard_at(2000))
    for milliseconds, there in ((499, 1), (1, 2)):
        cutter.push(np.zeros(milliseconds, np.float32))
        assert len(published) == there


def test_while_nobody_wants_audio_none_is_kept():
    published, wanted = [], None
    cutter = Cutter(published.append, lambda: wanted, RATE_HZ)
    cutter.push(np.zeros(2000, np.float32))
    cutter.publish(heard_at(2000))
    wanted = (700, 300)  # a reload
    cutter.push(np.ones(100, np.float32))
    cutter.publish(heard_at(2100))
    cutter.finish()
    assert [event.type for event in published] == ["detection", "detection", "recording"]
    assert (published[-1].start, len(published[-1].samples)) == (2000, 100)
    wanted = None
    cutter.push(np.ones(100, np.float32))
    wanted = (700, 300)
    cutter.push(np.ones(50, np.float32))
    cutter.publish(heard_at(2250))
    cutter.finish()
    assert (published[-1].start, len(published[-1].samples)) == (2200, 50)


def test_a_stream_of_another_rate_is_cut_by_its_own():
    published = []
    cutter = Cutter(published.append, lambda: (700, 300), RATE_HZ)
    cutter.push(np.zeros(3000, np.float32))
    cutter.restart(2 * RATE_HZ, 3000)
    cutter.push(np.zeros(4000, np.float32))
    cutter.publish(heard_at(5000))
    cutter.finish()
    assert (published[-1].start, len(published[-1].samples), published[-1].rate_hz) == (8000, 2000, 2000)


def test_what_is_kept_does_not_grow():
    cutter = Cutter(lambda event: None, lambda: (700, 300), RATE_HZ)
    block = np.zeros(997, np.float32)
    tracemalloc.start()
    try:
        for _ in range(10):
            cutter.push(block)
        before_bytes, _ = tracemalloc.get_traced_memory()
        for _ in range(1000):
            cutter.push(block)
        after_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after_bytes - before_bytes < 10 * block.nbytes


def test_samples_come_as_they_were_captured_and_loud_ones_are_clipped():
    published = []
    cutter = Cutter(published.append, lambda: (700, 300), RATE_HZ)
    captured = np.int16([-32768, -1, 0, 1, 32767])
    cutter.push(np.concatenate([captured * SCALE, np.float32([1.0])]))
    cutter.publish(heard_at(6))
    cutter.finish()
    assert published[-1].samples.tolist() == [*captured.tolist(), 32767]
