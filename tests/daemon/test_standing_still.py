"""When a listener is said to stand still: what was processed and what waits, look by look."""

import pytest

from kwsd.daemon.listener import Listener


class Watched(Listener):
    """A listener of which only the two numbers count."""

    samples = 0
    _waiting_s = 0.0

    def __init__(self) -> None:
        self._moved = 0, 0.0
        self._looked_s = 0.0

    def looks(self, *seen: tuple[float, int, float]) -> list[bool]:
        """Whether it stands still at each look: time, samples processed, seconds of audio that wait."""
        found = []
        for now_s, self.samples, self._waiting_s in seen:
            found.append(self._stands_still(now_s) is not None)
        return found


@pytest.mark.parametrize("ahead_s", [2.0, 5.0])
def test_what_a_server_sends_ahead_of_time_is_not_a_standstill(ahead_s: float) -> None:
    moving = [(100.0 + second, 16_000 * second, ahead_s) for second in range(8)]
    assert Watched().looks((99.0, 0, 0.0), *moving) == [False] * 9


def test_a_thread_that_stands_still_is_told_after_two_seconds() -> None:
    stuck = [(101.0, 1600, 0.9), (102.0, 1600, 1.9), (103.0, 1600, 2.9)]
    assert Watched().looks((100.0, 0, 0.0), *stuck) == [False, False, False, True]


def test_it_moves_again() -> None:
    stuck = [(101.0, 0, 1.0), (102.5, 0, 2.5)]
    assert Watched().looks((100.0, 0, 0.0), *stuck, (103.0, 16_000, 2.0)) == [False, False, True, False]
