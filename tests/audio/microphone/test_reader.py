"""kwsd/audio/microphone/reader.py: the device's blocks as the spotter sees them."""

from collections import deque

import numpy as np
import pytest

from kwsd.audio.microphone.inlet import Opened, RawBlock
from kwsd.audio.microphone.reader import BlockReader
from kwsd.audio.source import Block, Gap

RATE_HZ = 16_000
NOISE = np.random.default_rng(4).normal(0, 1000, 30 * RATE_HZ).astype(np.int16)


class Made:
    """An inlet of what a test makes."""

    def __init__(self):
        self.items = deque()

    def read(self, _timeout_s):
        return self.items.popleft() if self.items else None


class Device:
    """Delivers blocks by a clock of its own."""

    def __init__(self, reader_hz=RATE_HZ, device_hz=RATE_HZ, gain_db=0.0):
        self.inlet = Made()
        self.reader = BlockReader(self.inlet, reader_hz, gain_db)
        self.rate_hz, self.now_s, self.at = device_hz, 50.0, 0
        self.mark(Opened(device_hz))

    def mark(self, what):
        self.inlet.items.append(what)

    def block(self, samples):
        self.mark(RawBlock(samples, 1000 + self.now_s, self.now_s))

    def deliver(self, seconds, pace=1.0):
        count = self.rate_hz // 50
        for _ in range(round(seconds * 50)):
            self.now_s += 0.02 / pace
            self.block(NOISE[self.at : self.at + count])
            self.at += count
        return self

    def read(self):
        items = []
        while (item := self.reader.read(0)) is not None:
            items.append(item._replace(samples=item.samples.copy()) if isinstance(item, Block) else item)
        return items


def lost(items):
    return [item.lost for item in items if isinstance(item, Gap)]


def heard(items):
    return np.concatenate([item.samples for item in items if isinstance(item, Block)])


def test_samples_come_out_as_they_went_in_with_their_times():
    device = Device().deliver(0.1)
    items = device.read()
    np.testing.assert_array_equal(heard(items), NOISE[:1600] / np.float32(32768))
    assert [item.arrived_s for item in items] == pytest.approx([50.02, 50.04, 50.06, 50.08, 50.10])
    assert [item.captured_s for item in items] == pytest.approx([1050.02, 1050.04, 1050.06, 1050.08, 1050.10])
    assert (device.reader.samples, device.reader.samples_lost) == (1600, 0)


def test_gain_is_clipped():
    samples = heard(Device(gain_db=40).deliver(0.5).read())
    np.testing.assert_allclose(samples, np.clip(NOISE[:8000] / 327.68, -1, 1), rtol=1e-5)


def test_another_rate_is_resampled_and_its_delay_taken_off_the_time():
    device = Device(device_hz=48_000).deliver(2)
    items = device.read()
    assert len(heard(items)) == pytest.approx(2 * RATE_HZ, abs=0.05 * RATE_HZ)
    last = items[-1]
    assert last.captured_s == pytest.approx(1050 + device.reader.samples / RATE_HZ, abs=0.025)


def test_an_overrun_becomes_a_gap_in_its_place_at_the_rate_handed_out():
    device = Device(device_hz=48_000)
    device.mark(Gap(4800))
    assert lost(device.deliver(0.1).read()) == [1600]
    assert device.reader.samples_lost == 1600


def test_an_overrun_is_not_taken_for_a_stall_as_well():
    """The blocks that found no room are missing from the clock's count, too."""
    device = Device().deliver(1)
    device.now_s += 3
    device.mark(Gap(3 * RATE_HZ))
    items = device.deliver(2).read()
    assert lost(items) == [3 * RATE_HZ] and len(heard(items)) == 3 * RATE_HZ


def test_an_overrun_before_a_stream_is_reopened_is_counted_once():
    device = Device().deliver(1)
    device.now_s += 5
    device.mark(Opened(RATE_HZ))
    device.mark(Gap(2 * RATE_HZ))  # told with the next block that finds room
    items = device.deliver(1).read()
    assert sum(lost(items)) == pytest.approx(5 * RATE_HZ, abs=2)


def test_a_reopened_stream_follows_a_gap_as_long_as_the_silence():
    device = Device().deliver(1)
    device.now_s += 7.5
    device.mark(Opened(RATE_HZ))
    items = device.deliver(1).read()
    assert lost(items) == [pytest.approx(7.5 * RATE_HZ, abs=2)]
    assert isinstance(items[50], Gap), "before the first block of the new stream"
    assert len(heard(items)) == 2 * RATE_HZ


def test_a_stream_that_is_opened_first_follows_no_gap():
    assert lost(Device().deliver(1).read()) == []


def test_a_late_backlog_is_one_gap_and_the_last_two_seconds_are_heard():
    device = Device().deliver(1)
    device.now_s += 10
    items = device.deliver(10, pace=1000).deliver(1).read()
    assert lost(items) == [pytest.approx(8 * RATE_HZ, abs=640)]
    assert len(heard(items)) + sum(lost(items)) == 12 * RATE_HZ
    captured_s = [item.captured_s for item in items if isinstance(item, Block)]
    assert captured_s == sorted(captured_s)


def test_suspended_audio_counts_as_lost_so_that_positions_stay_true():
    device = Device().deliver(1)
    device.now_s += 6
    items = device.deliver(2).read()
    assert len(heard(items)) + sum(lost(items)) == pytest.approx(9 * RATE_HZ, abs=640)


def test_a_dead_signal_is_a_fault_until_a_new_stream():
    device = Device()
    for _ in range(200):
        device.now_s += 0.02
        device.block(np.zeros(320, np.int16))
    device.read()
    assert "zero" in device.reader.fault
    device.mark(Opened(RATE_HZ))
    device.read()
    assert device.reader.fault is None


def test_nothing_comes_of_nothing():
    assert Device().reader.read(0.01) is None
