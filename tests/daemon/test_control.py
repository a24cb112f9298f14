"""Pause and armed words as requests, on a clock of the test's own."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwsd.daemon.control import Clock, Control


class Asked:
    """A Control, and how often it has changed."""

    def __init__(self):
        self.changes = 0
        self.control = Control(lambda: ["stop", "go", "yes"], lambda: {"stop", "go"}, self._changed)

    def _changed(self):
        self.changes += 1

    def ask(self, request, at_s=0.0):
        return self.control.ask(request, Clock(at_s, 1_000_000 + at_s))

    def expire(self, at_s):
        self.control.expire(Clock(at_s, 1_000_000 + at_s))


@pytest.fixture
def asked():
    return Asked()


def test_a_pause_ends_when_its_time_is_over(asked):
    assert asked.ask({"pause": {"for_s": 60}}) == {"type": "done", "did": "pause"}
    assert asked.control.paused.until == "1970-01-12T13:47:40.000Z"
    assert asked.control.next_end_s() == 60
    asked.expire(59.9)
    assert asked.control.paused is not None
    asked.expire(60)
    assert asked.control.paused is None
    assert asked.changes == 1


def test_time_goes_on_while_the_machine_sleeps(asked, monkeypatch):
    asked.control.ask({"pause": {"for_s": 1800}})
    asked.control.expire()
    assert asked.control.paused is not None
    clocks = time.clock_gettime
    slept_s = {time.CLOCK_BOOTTIME: 1800.0}  # the monotonic clock stood still
    monkeypatch.setattr(time, "clock_gettime", lambda clock: clocks(clock) + slept_s.get(clock, 0.0))
    asked.control.expire()
    assert asked.control.paused is None


def test_a_pause_without_a_time_ends_by_resume(asked):
    asked.ask({"pause": {}})
    assert asked.control.paused.until is None
    asked.expire(1e9)
    assert asked.control.paused is not None
    assert asked.ask({"resume": {}}) == {"type": "done", "did": "resume"}
    assert asked.control.paused is None


def test_a_second_arm_takes_the_place_of_the_first(asked):
    asked.ask({"arm": {"labels": ["stop", "go"], "for_s": 60, "threshold": 0.45}})
    asked.ask({"arm": {"labels": ["stop"], "for_s": 10}}, 5)
    assert asked.control.thresholds == {"stop": None, "go": 0.45}
    before = asked.control.thresholds
    asked.expire(14)
    assert asked.control.thresholds is before  # so that the spotter thread sees at a glance that nothing changed
    asked.expire(15)
    assert asked.control.thresholds == {"go": 0.45}
    assert asked.ask({"disarm": {}}, 16) == {"type": "done", "did": "disarm"}
    assert asked.control.armed == {}


def test_words_are_disarmed_one_by_one(asked):
    asked.ask({"arm": {"labels": ["stop", "go"]}})
    asked.ask({"disarm": {"labels": ["go"]}})
    assert set(asked.control.armed) == {"stop"}


def test_a_word_that_only_leaves_out_is_not_armed(asked):
    answer = asked.ask({"arm": {"labels": ["stop", "yes"]}})
    assert answer == {"type": "error", "message": "'yes' cannot fire, as `only` leaves it out"}
    assert asked.control.armed == {}


def test_a_word_that_is_armed_can_be_disarmed_after_its_model_has_gone():
    words = ["stop", "go"]
    control = Control(lambda: words, lambda: words, lambda: None)
    control.ask({"arm": {"labels": ["stop"]}}, Clock(0, 0))
    words.remove("stop")
    assert control.ask({"disarm": {"labels": ["stop"]}}, Clock(0, 0)) == {"type": "done", "did": "disarm"}
    assert control.ask({"disarm": {"labels": ["stop"]}}, Clock(0, 0))["type"] == "error"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"pause": {"for_s": 0}}, '"for_s" is a number of seconds from 1 to 604800, not 0'),
        ({"pause": {"for_s": 604801}}, '"for_s" is a number of seconds from 1 to 604800, not 604801'),
        ({"pause": {"for_s": None}}, '"for_s" is a number of seconds from 1 to 604800, not null'),
        ({"pause": {"for_s": True}}, '"for_s" is a number of seconds from 1 to 604800, not true'),
        ({"pause": {"for": 5}}, "pause: unknown key 'for'; the nearest is 'for_s'"),
        ({"pause": 5}, "pause takes an object, such as {}, not 5"),
        ({"resume": {"for_s": 5}}, "resume: unknown key 'for_s'; it takes none"),
        ({"arm": {}}, 'arm needs "labels", a list of words'),
        ({"arm": {"labels": []}}, '"labels" is a list of words, at least one, not []'),
        ({"arm": {"labels": ["stpo"]}}, "the model has no word 'stpo'; the nearest is 'stop'"),
        ({"arm": {"labels": ["stop"], "threshold": 1.5}}, '"threshold" is a number from 0 to 1, not 1.5'),
        ({"disarm": {"labels": "stop"}}, '"labels" is a list of words, at least one, not "stop"'),
        ({"shutdown": {}}, "'shutdown' is not one of pause, resume, arm, disarm"),
        ({}, "a request is an object with one key, one of pause, resume, arm, disarm"),
        ({"pause": {}, "arm": {}}, "a request is an object with one key, one of pause, resume, arm, disarm"),
    ],
)
def test_what_is_wrong_is_told_and_changes_nothing(asked, request_, message):
    assert asked.ask(request_) == {"type": "error", "message": message}
    assert (asked.control.paused, asked.control.armed, asked.changes) == (None, {}, 0)


json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(
    st.sampled_from(["pause", "resume", "arm", "disarm", "x"]),
    json | st.fixed_dictionaries({"labels": json, "for_s": json}),
)
def test_any_request_is_answered(verb, wishes):
    assert Asked().ask({verb: wishes})["type"] in ("done", "error")


@given(st.dictionaries(st.sampled_from(["pause", "resume", "arm", "x"]) | st.text(), json, max_size=3))
def test_any_object_is_answered(request_):
    assert Asked().ask(request_)["type"] in ("done", "error")
