"""What is told of a word that was learned."""

from kwsd.learn import report
from kwsd.learn.lesson import Expectation
from kwsd.learn.student import Learned, choose_threshold


def learned(**changes):
    facts = {
        "takes": [0.9, 0.8, 0.95, 0.2, 0.7],
        "speech": [0.1] * 3590 + [0.45] * 5 + [0.97],
        "words": [0.1] * 10 + [0.8, 0.7] + [0.1] * 8 + [0.9],
        "labels": ["yes"] * 10 + ["no"] * 10 + ["_other_"],
        "hours": 1.0,
    } | changes
    return Learned(b"", 0.5, 0.95, Expectation(**facts))


def test_lines_tell_takes_false_alarms_and_what_it_sounds_like():
    told = report.lines("lumos", learned(), [f"take {n}" for n in range(1, 6)])
    assert told[0] == "lumos: 4 of 5 takes recognised, each by a model of the others; threshold 0.5"
    assert told[1].startswith("false alarms: 1.0 an hour of running speech")
    assert told[2] == "warning: lumos sounds like no (20 %): expect mistakes"
    assert told[3].startswith("not recognised: take 4: ")
    assert len(told) == 4


def test_few_takes_are_told():
    told = report.lines("lumos", learned(takes=[0.9] * 3, words=[], labels=[]), ["a", "b", "c"])
    assert told[-1].startswith("3 takes are few")
    assert not any("warning" in line or "not heard" in line for line in told)


def test_the_threshold_is_the_lowest_that_keeps_to_the_false_alarms():
    found = learned().expectation
    assert found.false_alarms_per_hour(0.4) == 6
    assert choose_threshold(found, {}) == 0.45
    assert choose_threshold(found, {"mode": "repeat", "speech_threshold": 0.95}) == 0.45
    assert choose_threshold(learned(speech=[0.1] * 3599).expectation, {}) == 0.4
    assert choose_threshold(learned(speech=[0.99] * 3599).expectation, {}) == 0.9


def test_machines_get_the_same():
    told = report.to_dict("lumos", learned())
    assert (told["takes"], told["heard"], told["threshold"], told["false_alarms_per_hour"]) == (5, 4, 0.5, 1.0)
    assert told["resembles"] == {"no": 0.2}
