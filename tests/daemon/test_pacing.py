"""The stride under load: told lag and clock, nothing else."""

import pytest

from kwsd.daemon.pacing import CALM_S, Pacing


class Machine:
    """Audio in blocks of 20 ms on a machine that needs ``clip_s`` for each clip and nothing for all else."""

    def __init__(self, clip_s: float, pacing: Pacing) -> None:
        self.clip_s, self.pacing = clip_s, pacing
        self.audio_s = self.now_s = 0.0
        self.next_clip_s = 0.0
        self.strides: list[float] = []

    @property
    def lag_s(self) -> float:
        return self.now_s - self.audio_s

    def hear(self, seconds: float) -> list[float]:
        """The strides that were in force during the next so many seconds of audio, each change once."""
        end_s, before = self.audio_s + seconds, len(self.strides)
        while self.audio_s < end_s:
            self.audio_s += 0.02
            self.now_s = max(self.now_s, self.audio_s)
            while self.next_clip_s <= self.audio_s:
                self.now_s += self.clip_s
                self.next_clip_s += self.pacing.clip_stride_ms / 1000
            stride_ms = self.pacing.take(self.lag_s, self.now_s)
            if not self.strides or stride_ms != self.strides[-1]:
                self.strides.append(stride_ms)
        return self.strides[before:]


def test_a_machine_that_keeps_up_is_left_alone() -> None:
    """No change in ten minutes, and nothing to say."""
    pacing = Pacing(40, 200, 20)
    assert Machine(0.03, pacing).hear(600) == [40]
    assert pacing.reason is None


def test_widens_until_scoring_keeps_up_and_comes_back() -> None:
    """A clip of 70 ms is too much every 40 ms, and not every 80; when it takes 10 ms again, so does the stride."""
    pacing = Pacing(40, 200, 20)
    machine = Machine(0.07, pacing)
    assert machine.hear(4) == [40, 80]
    assert pacing.reason == "scoring cannot keep up: a clip is scored every 80 ms in place of 40"
    machine.clip_s = 0.01
    assert machine.hear(20) == [40]
    assert machine.lag_s < 0.05 and pacing.reason is None


@pytest.mark.parametrize(
    ("wanted", "most", "row", "widest"), [(40, 200, 20, 200), (30, 200, 30, 180), (40, 45, 20, 40)]
)
def test_stays_within_bounds_in_multiples_of_the_row_stride(wanted: float, most: float, row: float, widest: float):
    """However slow the machine; where there is no room to widen, it does not."""
    pacing = Pacing(wanted, most, row)
    strides = Machine(3.0, pacing).hear(60)
    assert strides[-1] == pacing.clip_stride_ms == widest
    assert all(stride % row == 0 and wanted <= stride <= most for stride in strides)


def test_a_burst_that_is_worked_off_changes_nothing() -> None:
    """A process that was stopped for three seconds catches up by itself."""
    pacing = Pacing(40, 200, 20)
    machine = Machine(0.02, pacing)
    machine.hear(5)
    machine.now_s += 3.0
    assert machine.hear(30) == []
    assert machine.lag_s < 0.05


def test_trials_of_a_narrower_stride_become_rare() -> None:
    """A machine that is too slow for good is not asked every few seconds: each failure doubles the patience."""
    pacing = Pacing(40, 200, 20)
    changes = Machine(0.07, pacing).hear(600)
    assert changes[:3] == [40, 80, 40] and pacing.clip_stride_ms in (40, 80)
    assert 10 < len(changes) < 2 * 600 / CALM_S / 4


def test_a_model_that_takes_samples_may_have_any_stride() -> None:
    """Without rows the widest stride is the one configured."""
    pacing = Pacing(30, 200, None)
    assert Machine(1.0, pacing).hear(60) == [30, 60, 120, 200]
