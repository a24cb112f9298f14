"""kwsd/audio/ring.py: nothing is lost unsaid, torn, or out of order."""

import threading

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kwsd.audio.ring import Opened, RawBlock, Ring
from kwsd.audio.source import Gap


def ramp(start, count):
    """Samples that tell their own position, so that a mix-up shows."""
    return (np.arange(start, start + count) % 30_000).astype(np.int16)


def read_all(ring):
    items = []
    while (item := ring.read(0)) is not None:
        items.append(item._replace(samples=item.samples.copy()) if isinstance(item, RawBlock) else item)
    return items


@settings(deadline=None)
@given(
    capacity=st.integers(1, 60),
    steps=st.lists(st.one_of(st.integers(1, 70), st.just("read"), st.just("mark")), max_size=60),
)
def test_every_sample_is_delivered_once_or_counted_in_a_gap_at_its_place(capacity, steps):
    ring, position, seen, marks = Ring(capacity), 0, [], 0
    for step in steps:
        if step == "read":
            if (item := ring.read(0)) is not None:
                seen.append(item._replace(samples=item.samples.copy()) if isinstance(item, RawBlock) else item)
        elif step == "mark":
            ring.mark(Opened(48_000))
            marks += 1
        else:
            ring.write(ramp(position, step), position, 0.5)
            position += step
    seen += read_all(ring)
    ring.read(0)  # frees the last block
    ring.write(ramp(position, 1), position, 0.5)  # whatever was dropped last is told before this one
    seen += read_all(ring)
    at = 0
    for item in seen:
        if isinstance(item, Gap):
            at += item.lost
        elif isinstance(item, RawBlock):
            assert (item.captured_s, item.arrived_s) == (at, 0.5)
            np.testing.assert_array_equal(item.samples, ramp(at, len(item.samples)))
            at += len(item.samples)
    assert at == ring.received == position + 1
    assert ring.lost == sum(item.lost for item in seen if isinstance(item, Gap))
    assert sum(isinstance(item, Opened) for item in seen) == marks


def test_a_block_stays_valid_until_the_next_read():
    ring = Ring(10)
    ring.write(ramp(0, 6), 0, 0)
    block = ring.read(0)
    ring.write(ramp(6, 6), 0, 0)  # would have to overwrite it
    np.testing.assert_array_equal(block.samples, ramp(0, 6))
    assert (ring.lost, ring.overruns) == (6, 1)


def test_a_strided_channel_is_copied():
    ring = Ring(8)
    frames = np.array([[1, 2], [3, 4], [5, 6]], np.int16)
    ring.write(frames[:, 1], 0, 0)
    frames[:] = 0
    assert ring.read(0).samples.tolist() == [2, 4, 6]


def test_a_reader_in_another_thread_gets_all_in_order():
    """A reader that waits for a slow writer, and a writer that finds the ring full: nothing torn, all accounted for."""
    ring, total = Ring(1000), 200_000
    heard, gaps, at = 0, 0, 0

    def write():
        for start in range(0, total, 80):
            ring.write(ramp(start, 80), 0, 0)
        ring.mark(Opened(0))

    writer = threading.Thread(target=write)
    writer.start()
    while not isinstance(item := ring.read(10), Opened):
        assert item is not None
        if isinstance(item, Gap):
            gaps, at = gaps + item.lost, at + item.lost
        else:
            np.testing.assert_array_equal(item.samples, ramp(at, 80))
            heard, at = heard + 80, at + 80
    writer.join()
    ring.read(0)
    ring.write(ramp(0, 80), 0, 0)
    gaps += sum(item.lost for item in read_all(ring) if isinstance(item, Gap))
    assert heard + gaps == total
    assert gaps == ring.lost == 80 * ring.overruns


def test_waiting_ends_after_the_timeout_and_when_something_comes():
    ring = Ring(10)
    assert ring.read(0.01) is None
    threading.Timer(0.01, ring.write, (ramp(0, 3), 0, 0)).start()
    assert len(ring.read(30).samples) == 3
