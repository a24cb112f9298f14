"""kwsd/audio/microphone/wire.py and inlet.py: through the pipe nothing is lost unsaid, torn, or out of order."""

import fcntl
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kwsd.audio.microphone.inlet import Inlet, Opened, RawBlock
from kwsd.audio.microphone.wire import Outlet, widen
from kwsd.audio.source import Gap

FRAMES = 700  # two blocks and a half fit into a page, the least a pipe can have


def ramp(start, count):
    """Samples that tell their own position, so that a mix-up shows."""
    return (np.arange(start, start + count) % 30_000).astype(np.int16)


def pipe(capacity=4096):
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, capacity)
    return reading, writing


def read_all(inlet):
    items = []
    while (item := inlet.read(0)) is not None:
        items.append(item._replace(samples=item.samples.copy()) if isinstance(item, RawBlock) else item)
    return items


@settings(deadline=None)
@given(st.lists(st.sampled_from(["write", "write", "read", "overflow"]), max_size=40))
def test_every_sample_is_delivered_once_or_counted_in_a_gap_at_its_place(steps):
    (reading, writing), told = pipe(), []
    inlet, outlet, position, overflows, seen = Inlet(), Outlet(writing, 48_000, FRAMES, told.append), 0, 0, []
    inlet.follow(reading)
    for step in steps:
        if step == "read":
            item = inlet.read(0)
            seen += [item._replace(samples=item.samples.copy()) if isinstance(item, RawBlock) else item]
        else:
            outlet.write(ramp(position, FRAMES).tobytes(), step == "overflow")
            position += FRAMES
            overflows += step == "overflow"
    seen += read_all(inlet)
    outlet.write(ramp(position, FRAMES).tobytes(), False)  # whatever was dropped last is told before this one
    seen += read_all(inlet)
    os.close(writing)
    assert inlet.read(0) is None
    seen = [item for item in seen if item is not None]
    assert seen[0] == Opened(48_000)
    at, dropped = 0, 0
    for item in seen[1:]:
        if isinstance(item, Gap):
            at += item.lost
            dropped += item.lost // FRAMES
        else:
            np.testing.assert_array_equal(item.samples, ramp(at, FRAMES))
            at += FRAMES
    assert at == position + FRAMES
    assert inlet.received == at - dropped * FRAMES
    assert (told or [0])[-1] == dropped + overflows


def test_a_block_is_stamped_when_it_arrives():
    reading, writing = pipe()
    inlet, outlet = Inlet(), Outlet(writing, 16_000, 4, lambda _: None)
    inlet.follow(reading)
    before_s = time.time(), time.monotonic()
    outlet.write(bytes(8), False)
    assert inlet.read(1) == Opened(16_000)
    block = inlet.read(1)
    assert before_s[0] <= block.captured_s <= time.time() and before_s[1] <= block.arrived_s <= time.monotonic()
    os.close(writing)
    inlet.close()


def test_the_next_pipe_is_read_when_the_one_before_has_ended_and_nothing_of_it_is_lost():
    pipes = [pipe(), pipe()]
    inlet = Inlet()
    for (reading, writing), rate_hz in zip(pipes, (16_000, 48_000), strict=True):
        outlet = Outlet(writing, rate_hz, FRAMES, lambda _: None)
        outlet.write(ramp(rate_hz, FRAMES).tobytes(), False)
        inlet.follow(reading)
        os.close(writing)
    seen = []
    for _ in range(8):
        seen += read_all(inlet)
    assert [seen[0], seen[2]] == [Opened(16_000), Opened(48_000)]
    assert [item.samples[0] for item in seen[1::2]] == [16_000, 48_000 % 30_000]


def test_a_pipe_that_nobody_closes_is_left_when_there_is_another():
    """Its process may hang where not even SIGKILL gets."""
    (reading, stuck), (following, writing) = pipe(), pipe()
    inlet = Inlet()
    inlet.follow(reading)
    Outlet(stuck, 16_000, 4, lambda _: None).write(bytes(8), False)
    assert len(read_all(inlet)) == 2
    inlet.follow(following)
    Outlet(writing, 16_000, 4, lambda _: None).write(bytes(8), False)
    assert isinstance(read_all(inlet)[-1], RawBlock)
    assert not Path(f"/proc/self/fd/{reading}").exists()
    os.close(stuck)
    os.close(writing)
    inlet.close()


def test_a_reader_that_waits_is_woken_by_the_first_pipe_and_not_before():
    inlet, seen = Inlet(), []
    assert inlet.read(0.01) is None
    reader = threading.Thread(target=lambda: seen.append(inlet.read(30)))
    reader.start()
    reading, writing = pipe()
    inlet.follow(reading)
    Outlet(writing, 16_000, 4, lambda _: None).write(bytes(8), False)
    reader.join(30)
    assert seen == [Opened(16_000)]
    os.close(writing)
    inlet.close()


def test_a_pipe_is_widened_as_far_as_the_user_may(monkeypatch):
    reading, writing = os.pipe()
    widen(writing, 1 << 20)
    assert fcntl.fcntl(writing, fcntl.F_GETPIPE_SZ) == 1 << 20
    asked = []

    def limited(descriptor, command, size):
        asked.append(size)
        if size > 1 << 17:
            raise PermissionError

    monkeypatch.setattr(fcntl, "fcntl", limited)
    widen(writing, 1 << 20)
    assert asked == [1 << 20, 1 << 19, 1 << 18, 1 << 17]
    os.close(reading)
    os.close(writing)


def test_a_writer_learns_that_nobody_reads_any_more():
    reading, writing = pipe()
    os.close(reading)
    with pytest.raises(BrokenPipeError):
        Outlet(writing, 16_000, 4, lambda _: None).write(bytes(8), False)
    os.close(writing)
