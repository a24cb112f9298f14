"""Scores: the tutorial's worked examples, the strict rules, and what holds whatever was said and heard."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kwsd_train.evaluation import score
from kwsd_train.evaluation.score import Found, Row, Strict, Tutorial


def rows(*said):
    """Rows that start at these times and last a second."""
    return [Row(label, start_ms, start_ms + 1000) for label, start_ms in said]


def heard(*found):
    return [Found(label, time_ms) for label, time_ms in found]


@pytest.mark.parametrize(
    ("said", "found", "tolerance_ms", "up_to_ms", "words", "matched", "rest"),
    [
        ([("a", 1000), ("b", 9000)], [("a", 1200), ("b", 5000), ("a", 8700)], 500, 10_000, 2, (2, 2), (1, 1, 1)),
        ([("a", 1000)], [("a", 900), ("a", 1100)], 750, None, 1, (1, 2), (1, 1, 0)),
        ([("a", 1000)], [("a", 1750), ("a", 250), ("a", 1751)], 750, None, 1, (1, 2), (1, 1, 1)),
        ([("a", 1000), ("b", 1500)], [("b", 1500)], 750, None, 2, (1, 1), (0, 1, 0)),
        ([("a", 1000), ("b", 1000)], [("a", 1000), ("b", 1000)], 750, None, 2, (1, 2), (1, 1, 0)),
        ([("a", 1000), ("b", 9000)], [("a", 1000)], 750, 1000, 1, (1, 1), (1, 0, 0)),
    ],
)
def test_the_tutorials_scoring_gives_its_worked_examples(said, found, tolerance_ms, up_to_ms, words, matched, rest):
    for scoring, count in zip(("cpp", "python"), matched, strict=True):
        counts = score.tutorial(rows(*said), heard(*found), tolerance_ms, scoring, up_to_ms)
        assert counts == Tutorial(words, count, *rest)


def test_the_statistics_are_printed_to_the_letter():
    some, none = Tutorial(8, 7, 5, 2, 1), Tutorial(0, 0, 0, 0, 3)
    assert some.line("cpp") == "87.5% matched, 62.5% correctly, 25.0% wrongly, 12.5% false positives "
    assert some.line("python") == "87.5% matched, 62.5% correct, 25.0% wrong, 12.5% false positive"
    assert none.line("cpp") == "No ground truth yet, 3 false positives"
    assert none.line("python") == "No ground truth yet, 3false positives"


def test_running_lines_tell_each_detection_and_the_score_so_far():
    said = rows(("yes", 1000), ("no", 4000))
    found = [Found("yes", 1100, 0.8125), Found("no", 2500, 0.75), Found("yes", 4000, 1 / 3)]
    assert list(score.running_lines(said, found, 750, "cpp")) == [
        "1100ms: yes: 0.8125 (Correct)",
        "100.0% matched, 100.0% correctly, 0.0% wrongly, 0.0% false positives ",
        "2500ms: no: 0.75 (False Positive)",
        "100.0% matched, 100.0% correctly, 0.0% wrongly, 100.0% false positives ",
        "4000ms: yes: 0.333333 (Wrong)",
        "100.0% matched, 50.0% correctly, 50.0% wrongly, 50.0% false positives ",
    ]
    assert list(score.running_lines(said, found[:1], 1500, "python")) == [
        "1100ms yes:0.8125(Correct)",
        "100.0% matched, 100.0% correct, 0.0% wrong, 0.0% false positive",
    ]


def test_rows_are_read_as_the_generator_writes_them():
    """With or without the space, with or without an end; other lines are passed over; sorted by time."""
    text = "no, 4000.250000\nyes,1000.5,1800\nonly one field\na,1,2,3\n\n"
    assert score.parse_rows(text) == [Row("yes", 1000.5, 1800), Row("no", 4000.25, 5000.25)]


@pytest.mark.parametrize("line", ["yes, soon", "yes, nan", "yes, 1, inf"])
def test_a_time_that_is_no_number_is_told_with_its_line(line):
    with pytest.raises(ValueError, match="^Wrong number format at line: " + line):
        score.parse_rows(f"no, 1\n{line}\n")


@pytest.mark.parametrize(("scoring", "correct"), [("cpp", 0), ("python", 1)])
def test_each_variant_makes_whole_milliseconds_in_its_own_way(scoring, correct):
    """A row at 1000.7 is cut to 1000, out of reach of 1750.5, or rounded to 1001."""
    assert score.tutorial([Row("a", 1000.7, 0)], heard(("a", 1750.5)), 750, scoring).correct == correct


def test_detections_of_any_program_are_read():
    lines = [
        {"audio_ms": 1000, "label": "yes"},
        {"type": "status", "state": "x"},
        {"audio_ms": 2.5, "label": "no", "score": 0.5},
    ]
    text = "\n".join(json.dumps(line) for line in lines) + "\n\n"
    assert score.parse_detections(text) == [Found("yes", 1000, 0), Found("no", 2.5, 0.5)]


@pytest.mark.parametrize(
    "line", ["yes", "[]", '{"label":"yes"}', '{"label":1,"audio_ms":1}', '{"label":"a","audio_ms":"x"}']
)
def test_a_line_that_is_no_detection_is_told_by_its_number(line):
    with pytest.raises(ValueError, match="line 2 is not a JSON object"):
        score.parse_detections('{"label":"yes","audio_ms":1}\n' + line)


def test_strict_counts_a_word_once():
    """A second detection of the same word is wrong; so is any near a row of _unknown_; the rest are false alarms."""
    said = rows(("yes", 1000), ("_unknown_", 5000), ("no", 9000), ("_silence_", 20_000))
    found = heard(("yes", 1500), ("yes", 2500), ("go", 5000), ("no", 11_001), ("up", 15_000), ("up", 21_000))
    assert score.strict(said, found) == Strict(2, ((0, 0),), (1, 2, 5), (3, 4), (-500,))


@pytest.mark.parametrize(("time_ms", "hit"), [(999, False), (1000, True), (3000, True), (3001, False)])
def test_strict_reaches_from_the_start_to_a_second_after_the_end(time_ms, hit):
    assert len(score.strict(rows(("yes", 1000)), heard(("yes", time_ms))).hits) == hit


def test_strict_gives_a_detection_the_earliest_free_word_of_its_own_label():
    said = rows(("yes", 1000), ("no", 1500), ("yes", 2200))
    found = heard(("no", 2300), ("yes", 2400), ("yes", 2500))
    assert score.strict(said, found).hits == ((1, 0), (0, 1), (2, 2))


def test_the_summary_adds_up_recordings():
    first = Strict(3, ((0, 0), (1, 1)), (2,), (3,), (-100.0, 300.0))
    assert score.summary([first, Strict(1, (), (), (0,), ())], 1_800_000) == {
        "words": 4,
        "hit": 2,
        "missed": 2,
        "wrong": 1,
        "false_alarms": 2,
        "false_alarms_per_hour": 4.0,
        "latency_ms": {"p50": 100.0, "p95": 280.0},
    }


def test_nothing_heard_has_no_latency():
    assert score.summary([Strict(0, (), (), (), ())], 1000)["latency_ms"] == {"p50": None, "p95": None}


_labels = st.sampled_from(["_unknown_", "_silence_", "yes", "no"])
_times = st.integers(0, 20_000)
_rows = st.lists(st.builds(lambda label, at: Row(label, at, at + 1000), _labels, _times), max_size=12).map(
    lambda said: sorted(said, key=lambda row: row.start_ms)
)
_found = st.lists(st.builds(Found, st.sampled_from(["yes", "no"]), _times), max_size=12).map(
    lambda found: sorted(found, key=lambda word: word.time_ms)
)


@given(_rows, _found)
def test_strict_puts_every_detection_in_one_place_and_takes_no_row_twice(said, found):
    result = score.strict(said, found)
    places = [place for _, place in result.hits] + [*result.wrong, *result.false_alarms]
    assert sorted(places) == list(range(len(found)))
    taken = [number for number, _ in result.hits]
    assert len(set(taken)) == len(taken) <= result.words
    for number, place in result.hits:
        assert said[number].label == found[place].label


@given(_rows, _found, st.integers(0, 2000), st.sampled_from(["cpp", "python"]))
def test_every_detection_is_correct_wrong_or_false_in_the_tutorials_scoring(said, found, tolerance_ms, scoring):
    counts = score.tutorial(said, found, tolerance_ms, scoring)
    assert counts.correct + counts.wrong + counts.false_positives == len(found)
    assert counts.correct <= counts.matched <= counts.correct + counts.wrong
    assert counts.words == len(said)


@given(_rows, st.floats(0, 500))
def test_whoever_hears_everything_on_time_misses_nothing(said, delay_ms):
    wanted = [row for row in said if score.is_wanted(row.label)]
    result = score.strict(said, [Found(row.label, row.end_ms + delay_ms) for row in wanted])
    assert len(result.hits) == len(wanted)
    assert result.wrong == result.false_alarms == ()
