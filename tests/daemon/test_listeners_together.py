"""What several listeners come to as one."""

from types import SimpleNamespace

import pytest

from kwsd.daemon.listeners import Listeners
from kwsd.daemon.systemd import Watchdog
from kwsd.errors import InputError, KwsdError
from kwsd.status import State


def listener(name, state=State.LISTENING, **more):
    counts = {"samples": 0, "strides": 0, "recovery_steps": 0, "audio_s": 0.0, "samples_lost": 0, "overruns": 0}
    return SimpleNamespace(
        **{"name": name, "state": (state, "because", 1.0), "ended": False, "error": None} | counts | more
    )


@pytest.mark.parametrize("worst", [State.DEGRADED, State.RECOVERING, State.STALLED, State.WAITING])
def test_the_state_is_that_of_the_worst(worst):
    several = Listeners([listener("a"), listener("b", worst), listener("c")], None)
    assert several.state == (worst, "b: because", 1.0)
    assert Listeners([listener("default", worst)], None).state == (worst, "because", 1.0)
    assert Listeners([listener("a", worst, ended=True), listener("b")], None).state == (
        State.LISTENING,
        "b: because",
        1.0,
    )


def test_one_that_is_stuck_keeps_the_watchdog_from_being_fed():
    a, b = listener("a"), listener("b", State.WAITING)
    several, now, fed = Listeners([a, b], lambda: Watchdog(4.0)), 100.0, []
    for look in range(40):
        now += 0.5
        a.samples, a.strides = (look + 1, look + 1) if look < 20 else (20, 20)
        b.recovery_steps += 1
        if several.lives(now):
            fed.append(look)
    assert len(fed) >= 8
    assert fed[-1] <= 21, "a stood still from then on"
    a.ended = True
    assert any(several.lives(now + step) for step in range(1, 6))


def test_a_damaged_recording_is_told_and_a_part_that_died_is_raised():
    broken = listener("b", ended=True, error=InputError("x.flac", "damaged"))
    several = Listeners([listener("a"), broken], None)
    several.raise_error()
    assert [each.name for each, _ in several.newly_failed()] == ["b"]
    assert not list(several.newly_failed())
    several.replace([listener("a", ended=True), broken])
    with pytest.raises(InputError):
        several.raise_error()
    several.replace([listener("a"), listener("c", ended=True, error=KwsdError("model", "not finite"))])
    with pytest.raises(KwsdError):
        several.raise_error()


def test_one_that_comes_back_and_fails_again_is_told_again():
    broken = listener("b", ended=True, error=InputError("x.flac", "damaged"))
    several = Listeners([listener("a"), broken], None)
    assert [each.name for each, _ in several.newly_failed()] == ["b"]
    several.replace([listener("a"), broken])
    assert not list(several.newly_failed()), "it is the same one"
    several.replace([listener("a"), listener("b", ended=True, error=InputError("x.flac", "damaged"))])
    assert [each.name for each, _ in several.newly_failed()] == ["b"]
    assert not list(several.newly_failed())


def test_what_those_have_heard_that_are_gone_stays_in_the_sums():
    stays, goes = listener("a", audio_s=2.0, strides=5), listener("b", audio_s=1.5, samples_lost=7, overruns=3)
    several = Listeners([stays, goes], None)
    before = several.heard
    assert before == (3.5, 7, 3, 5)
    several.replace([stays])
    assert several.heard == before
    several.replace([stays, listener("b", audio_s=1.0)])
    assert several.heard == (4.5, 7, 3, 5)
