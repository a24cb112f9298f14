"""kwsd/audio/microphone/stream_clock.py: what arrives is compared with when it should have been captured."""

import pytest

from kwsd.audio.microphone.stream_clock import StreamClock

RATE_HZ = 16_000
BLOCK = 320


class Device:
    """Feeds a StreamClock; remembers what it said."""

    def __init__(self, rate_hz=RATE_HZ):
        self.clock, self.now_s = StreamClock(rate_hz), 100.0
        self.late = self.missing = self.kept = 0

    def deliver(self, seconds, pace=1.0):
        """Blocks worth so many seconds of audio, arriving ``pace`` times as fast as they play."""
        for _ in range(round(seconds * 50)):
            self.now_s += 0.02 / pace
            late, missing = self.clock.take(BLOCK, self.now_s)
            self.late += late * BLOCK
            self.kept += (not late) * BLOCK
            self.missing += missing
        return self

    def pause(self, seconds):
        self.now_s += seconds
        return self


def test_a_steady_device_is_never_late_whatever_its_drift():
    for pace in (1.0, 0.998, 1.002):
        device = Device().deliver(4000, pace)
        assert (device.late, device.missing, device.clock.fault) == (0, 0, None)
        assert device.clock.late_s < 0.01


def test_a_backlog_after_a_long_freeze_is_dropped_up_to_two_seconds_before_now():
    device = Device().deliver(5).pause(10).deliver(10, pace=1000).deliver(5)
    assert device.missing == 0
    assert device.late == pytest.approx(8 * RATE_HZ, abs=2 * BLOCK)


def test_a_short_freeze_with_its_whole_backlog_costs_nothing():
    device = Device().deliver(5).pause(1.5).deliver(1.5, pace=1000).deliver(5)
    assert (device.late, device.missing) == (0, 0)
    assert device.clock.late_s < 0.1


@pytest.mark.parametrize("pause_s", [0.5, 1.5, 4.0, 60.0])
def test_audio_that_was_never_captured_is_counted_once_its_pace_is_known(pause_s):
    device = Device().deliver(5).pause(pause_s).deliver(5)
    assert device.missing == pytest.approx(pause_s * RATE_HZ, abs=BLOCK)
    assert device.late <= 0.5 * RATE_HZ
    assert device.clock.late_s < 0.1


def test_lateness_of_a_backlog_is_told_block_by_block():
    device = Device().deliver(5).pause(1).deliver(0.02, pace=1000)
    assert device.clock.late_s == pytest.approx(0.98, abs=0.03)


@pytest.mark.parametrize(("true_hz", "wrong"), [(44_100, True), (47_900, False), (48_000, False), (96_000, True)])
def test_a_rate_that_is_not_what_the_device_says_is_told_and_taken_back(true_hz, wrong):
    device = Device(rate_hz=48_000)
    count, seconds = 960, 25
    for _ in range(round(seconds * true_hz / count)):
        device.now_s += count / true_hz
        device.clock.take(count, device.now_s)
    assert (device.clock.fault is not None) == wrong
    if wrong:
        assert "48000 Hz" in device.clock.fault and f"{true_hz // 1000}" in device.clock.fault
    for _ in range(25 * 50):
        device.now_s += 0.02
        device.clock.take(count, device.now_s)
    assert device.clock.fault is None


@pytest.mark.parametrize(
    ("said_hz", "true_hz"), [(16_000, 48_000), (48_000, 16_000), (16_000, 44_100), (16_000, 8_000)]
)
def test_a_rate_far_off_is_told_within_three_seconds(said_hz, true_hz):
    device = Device(rate_hz=said_hz)
    while device.clock.fault is None:
        device.now_s += BLOCK / true_hz
        device.clock.take(BLOCK, device.now_s)
        assert device.now_s < 103
    assert f"{said_hz} Hz" in device.clock.fault


def test_a_wrong_rate_is_one_fault_however_long_it_lasts():
    """What is told changes with the measured rate only where that changes."""
    device = Device(rate_hz=48_000)
    told = set()
    for number in range(100 * 60):
        device.now_s += 960 / (44_100 + 40 * (number % 1700 > 850))
        device.clock.take(960, device.now_s)
        told.add(device.clock.fault)
    assert len(told - {None}) == 1


def test_jitter_is_no_fault():
    """Blocks that come five at a time, as with a long latency, and a machine that pauses for 0.2 s now and then."""
    device = Device()
    for burst in range(600):
        device.pause(0.1 + (0.2 if burst % 97 == 0 else 0) - (0.2 if burst % 97 == 1 else 0) * (burst > 1))
        for _ in range(5):
            late, missing = device.clock.take(BLOCK, device.now_s)
            assert not late and not missing
    assert device.clock.fault is None
