"""RecognizeCommands against scripted cases, a second transcription, and streams built like real ones."""

import json
import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kwsd.recognize import SILENCE, UNKNOWN, RecognizeCommands, Result
from kwsd.recognize.settings import MODES

# 30 cases whose answers two independent transcriptions of TensorFlow's class agreed on.
GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "recognize_commands.json").read_text())["cases"]
LABELS = [SILENCE, UNKNOWN, "yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"]
KWSD = {"mode": "rearm", "average_window_ms": 500, "suppression_ms": 700, "detection_threshold": 0.8}


class Oracle:
    """The rules written down a second time, one number at a time, without a thought for speed."""

    def __init__(
        self,
        labels,
        average_window_ms,
        detection_threshold,
        suppression_ms,
        minimum_count,
        mode,
        thresholds,
        clip_ms,
        speech_threshold,
    ):
        self.labels, self.window, self.suppression = labels, average_window_ms, suppression_ms
        self.minimum, self.mode, self.clip = minimum_count, mode, clip_ms
        self.thresholds = [np.float32(thresholds.get(label, detection_threshold)) for label in labels]
        self.speech_threshold = np.float32(speech_threshold)
        self.queue, self.unknown = [], []
        self.held, self.held_score, self.held_at, self.fallen = SILENCE, 0.0, None, False

    def process(self, scores, now):
        if len(scores) != len(self.labels):
            raise ValueError("count")
        if self.queue and now < self.queue[0][0]:
            raise ValueError("time")
        if self.mode == "android" and len(self.queue) >= 2 and now - self.queue[-1][0] < 30:
            return self.held, self.held_score, False
        if not (self.mode == "micro" and len(self.queue) == 50):
            self.queue.append((now, [np.float32(score) for score in scores]))
        while self.queue and self.queue[0][0] < now - self.window:
            del self.queue[0]
        if UNKNOWN in self.labels:
            self.unknown.append((now, float(np.float32(scores[self.labels.index(UNKNOWN)]))))
        while self.unknown and self.unknown[0][0] < now - 3 * self.clip:
            del self.unknown[0]
        n = len(self.queue)
        if n == 0 or n < self.minimum:
            return self.held, 0.0, False
        if self.mode != "android" and now - self.queue[0][0] < self.window // 4:
            return self.held, 0.0, False
        average = [np.float32(0)] * len(self.labels)
        for _, row in self.queue:
            for i, score in enumerate(row):
                average[i] += score / np.float32(n)
        best = max(range(len(average)), key=lambda i: (average[i], -i))
        label, score = self.labels[best], average[best]
        if self.mode in ("rearm", "repeat") and self.held not in (SILENCE, UNKNOWN):
            i = self.labels.index(self.held)
            self.fallen = self.fallen or self.recent(i, now) < self.thresholds[i] / 2
        rested = self.held == SILENCE or self.held_at is None or now - self.held_at > self.suppression
        other = label != self.held
        outlives = self.mode == "repeat" and self.held_at is not None and now - self.held_at > self.clip
        again = label not in (SILENCE, UNKNOWN) and (self.fallen or outlives)
        again = again and self.recent(best, now) > self.thresholds[best]
        allowed = {
            "tensorflow": rested and other,
            "rearm": rested and (other or again),
            "repeat": rested and (other or again),
            "android": rested,
            "micro": rested or other,
        }[self.mode]
        before = [share for then, share in self.unknown if then <= now - self.clip]
        if self.mode == "repeat" and before and label not in (SILENCE, UNKNOWN):
            lowest, highest = float(self.thresholds[best]), float(self.speech_threshold)
            rise = (math.fsum(before) / len(before) - 0.4) / 0.5
            if highest > lowest:
                allowed = allowed and score > lowest + (highest - lowest) * min(max(rise, 0), 1)
        fires = bool(score > self.thresholds[best] and allowed)
        if fires:
            self.held, self.held_score, self.held_at, self.fallen = label, float(score), now, False
        return label, float(score), fires

    def recent(self, i, now):
        rows = []
        for time, row in reversed(self.queue):
            if time < now - self.window // 4:
                break
            rows.append(float(row[i]))
        return sum(rows) / len(rows)


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["name"])
def test_mode_tensorflow_answers_as_tensorflow_does(case):
    given = case["settings"]
    recognizer = RecognizeCommands(
        given["labels"],
        average_window_ms=given["average_window_duration_ms"],
        detection_threshold=given["detection_threshold"],
        suppression_ms=given["suppression_ms"],
        minimum_count=given["minimum_count"],
    )
    messages = {"wrong_result_count": "should contain", "time_before_oldest_result": "increasing time order"}
    for step in case["steps"]:
        expected = step["expect"]
        if "error" in expected:
            with pytest.raises(ValueError, match=messages[expected["error"]]):
                recognizer.process(step["scores"], step["time_ms"])
        else:
            result = recognizer.process(step["scores"], step["time_ms"])
            assert (result.label, result.is_new) == (expected["label"], expected["is_new_command"])
            assert result.score == pytest.approx(expected["score"], abs=2e-6)


@st.composite
def sequences(draw):
    """Settings, and steps with loud and soft scores, ties, jumps and steps back in time, and too many scores."""
    labels = draw(st.sampled_from([["a"], ["a", "b"], [SILENCE, UNKNOWN, "a", "b"], LABELS]))
    said = {
        "average_window_ms": draw(st.sampled_from([0, 3, 100, 480, 500, 1003])),
        "detection_threshold": draw(st.sampled_from([0.0, 0.2, 0.5, 0.8])),
        "suppression_ms": draw(st.sampled_from([0, 60, 300, 700])),
        "minimum_count": draw(st.sampled_from([-1, 1, 3, 4])),
        "thresholds": draw(st.dictionaries(st.sampled_from(labels), st.sampled_from([0.1, 0.4, 0.9]), max_size=2)),
        "clip_ms": draw(st.sampled_from([100, 1000])),
        "speech_threshold": draw(st.sampled_from([0.0, 0.95])),
    }
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    wild_times = draw(st.booleans())
    tick_ms = draw(st.sampled_from([7, 20, 30, 40]))
    steps, now, top, left = [], int(random.integers(-5000, 5000)), 0, 0
    for _ in range(draw(st.sampled_from([1, 10, 100, 200]))):
        if left == 0:
            top, left = int(random.integers(len(labels))), int(random.integers(1, 25))
        left -= 1
        scores = random.dirichlet(np.full(len(labels), 0.3)).astype(np.float32)
        scores = 0.1 * scores + 0.9 * np.eye(len(labels), dtype=np.float32)[top]
        if random.random() < 0.1:
            scores = np.round(scores)
        steps.append((scores.tolist() + [0.0] * (random.random() < 0.02), now))
        now += tick_ms
        if wild_times and random.random() < 0.1:
            now += int(random.choice([-400, -60, -1, 0, 250, 2000]))
    return labels, said, steps


@pytest.mark.parametrize("mode", MODES)
@settings(deadline=None)
@given(sequences())
def test_each_mode_equals_its_second_transcription_to_the_last_bit(mode, sequence):
    labels, said, steps = sequence
    recognizer = RecognizeCommands(labels, mode=mode, **said)
    oracle = Oracle(labels, mode=mode, **said)
    for scores, time_ms in steps:
        try:
            expected = oracle.process(scores, time_ms)
        except ValueError:
            with pytest.raises(ValueError, match=r"^(The results for recognition|Results must be fed)"):
                recognizer.process(scores, time_ms)
        else:
            assert recognizer.process(scores, time_ms) == expected


def test_random_sequences_fire_and_fail_often_enough_to_mean_something():
    """The sequences above reach every branch: words, repeats, held words, errors of both kinds."""
    told = {mode: 0 for mode in MODES}
    errors = 0

    @settings(deadline=None, derandomize=True, database=None)
    @given(sequences())
    def count(sequence):
        nonlocal errors
        labels, said, steps = sequence
        for mode in MODES:
            recognizer = RecognizeCommands(labels, mode=mode, **said)
            for scores, time_ms in steps:
                try:
                    told[mode] += recognizer.process(scores, time_ms).is_new
                except ValueError:
                    errors += 1

    count()
    assert errors > 20
    assert min(told.values()) > 100
    assert len(set(told.values())) == len(MODES)


@given(st.integers(1, 200), st.sampled_from([1, 2, 12, 36]), st.integers(0, 1000))
def test_averages_are_added_oldest_first_in_float32(count, width, seed):
    """numpy may add pairwise, which would differ in the last bit; a plain loop does not."""
    rows = np.random.default_rng(seed).random((count, width), np.float32)
    recognizer = RecognizeCommands([str(i) for i in range(width)], average_window_ms=0, minimum_count=1)
    expected = np.zeros(width, np.float32)
    for row in rows:
        recognizer.process(row, 0)
        expected = expected + row / np.float32(count)
    np.testing.assert_array_equal(recognizer.averages, expected)


@pytest.mark.parametrize("threshold", [0.1, 0.2, 0.6, 0.7, 0.8])
def test_a_score_equal_to_the_threshold_as_people_write_it_does_not_fire(threshold):
    """In float32 0.2 is a little above 0.2, and 0.7 a little below; the threshold is rounded as the score is."""
    recognizer = RecognizeCommands(["a"], average_window_ms=0, minimum_count=1, detection_threshold=threshold)
    assert not recognizer.process([threshold], 0).is_new
    assert recognizer.process([np.nextafter(np.float32(threshold), np.float32(1))], 1).is_new


def test_any_window_any_numbers_any_times_any_labels_are_taken():
    assert RecognizeCommands(["a"], average_window_ms=0, minimum_count=1).process([1], -7) == Result("a", 1.0, True)
    for scores in ([0, 1], (0, 1), [0.0, True], np.array([0, 1], np.int8), np.array([[0.0, 1.0]])):
        recognizer = RecognizeCommands(["a", "b"], average_window_ms=1, minimum_count=0)
        assert recognizer.process(scores, -(2**62)) == Result("b", 1.0, True)
        assert recognizer.process(scores, 2**62) == Result("b", 1.0, False)


def test_an_error_changes_nothing():
    recognizer = RecognizeCommands(["a", "b"], average_window_ms=100, minimum_count=1)
    for time_ms in (0, 50, 100):
        recognizer.process([0.5, 0.4], time_ms)
    before = recognizer.averages
    with pytest.raises(ValueError, match=r"^The results for recognition should contain 2 elements, but there are 3$"):
        recognizer.process([0, 1, 2], -1)
    with pytest.raises(ValueError, match=r"received a timestamp of -1 that was earlier than the previous one of 0$"):
        recognizer.process([0, 1], -1)
    assert recognizer.averages is before
    assert recognizer.process([0.5, 0.4], 100) == Result("a", 0.5, False)


def test_no_answer_is_given_for_scores_that_are_no_numbers():
    recognizer = RecognizeCommands(["a", "b"], average_window_ms=0, minimum_count=1)
    assert not recognizer.process([float("nan"), 1.0], 0).is_new


def test_wrong_settings_are_refused_by_name():
    with pytest.raises(
        ValueError, match="mode is 'magic', but must be one of tensorflow, rearm, repeat, android, micro"
    ):
        RecognizeCommands(["a"], mode="magic")
    with pytest.raises(ValueError, match="average_window_ms is -1"):
        RecognizeCommands(["a"], average_window_ms=-1)
    with pytest.raises(ValueError, match="thresholds name b, but the labels are a, c"):
        RecognizeCommands(["a", "c"], thresholds={"b": 0.5})


@pytest.mark.parametrize("mode", MODES)
def test_a_word_has_its_own_threshold_in_every_mode(mode):
    def fires(word, score):
        recognizer = RecognizeCommands(["a", "b"], mode=mode, detection_threshold=0.5, thresholds={"b": 0.9})
        scores = [score, 0.0] if word == "a" else [0.0, score]
        return any(recognizer.process(scores, 100 * i).is_new for i in range(8))

    assert fires("a", 0.6)
    assert not fires("a", 0.5)
    assert not fires("b", 0.6)
    assert fires("b", 0.95)


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1, width=32)), min_size=5, max_size=60),
    st.sampled_from([30, 40, 80]),
    st.sampled_from([0, 100, 500, 1000]),
    st.floats(0.1, 1),
    st.data(),
)
def test_no_word_fires_while_the_recogniser_is_idle(mode, history, stride_ms, window_ms, threshold, data):
    """Whatever comes: here the worst, full scores of one word."""
    labels = [SILENCE, UNKNOWN, "stop", "go"]
    recognizer = RecognizeCommands(
        labels, mode=mode, average_window_ms=window_ms, detection_threshold=threshold, thresholds={"go": 0.9}
    )
    time_ms, idle = 0, 0
    for best, score in history:
        scores = np.full(4, (1 - score) / 3, np.float32)
        scores[best] = score
        result = recognizer.process(scores, time_ms)
        assert not (idle > 0 and result.is_new and result.label in ("stop", "go"))
        time_ms, idle = time_ms + stride_ms, max(idle - 1, recognizer.idle_results)
    word = data.draw(st.sampled_from([2, 3]))
    for _ in range(recognizer.idle_results):
        result = recognizer.process(np.eye(4, dtype=np.float32)[word], time_ms)
        assert not (result.is_new and result.label in ("stop", "go"))
        time_ms += stride_ms


def test_in_silence_the_recogniser_is_idle_and_before_a_word_it_is_not():
    recognizer = RecognizeCommands([SILENCE, "go"], average_window_ms=500, detection_threshold=0.6)
    assert recognizer.idle_results == 0, "too few results"
    for number in range(20):
        recognizer.process([1, 0], 40 * number)
    assert recognizer.idle_results == 7  # 13 results in the window, and 8/13 is above 0.6
    for number in range(20, 28):
        recognizer.process([0, 1], 40 * number)
    assert recognizer.idle_results == 0


def test_memory_does_not_grow():
    recognizer = RecognizeCommands(LABELS, **KWSD)
    rows = np.random.default_rng(0).dirichlet(np.full(12, 0.2), 500).astype(np.float32)

    def run(start_ms):
        for i, row in enumerate(rows):
            recognizer.process(row, start_ms + 20 * i)

    run(0)
    tracemalloc.start()
    try:
        run(10_000)
        before, _ = tracemalloc.get_traced_memory()
        for again in range(2, 8):
            run(10_000 * again)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # One byte a result would be 3,000, one reference 24,000. A deque's blocks of half a kilobyte come and go.
    assert after - before < 3000


def test_settings_can_change_in_the_middle_of_a_word():
    """The word that fired stays fired, the results so far still count."""
    old = RecognizeCommands(["a", "b"], average_window_ms=400)
    assert [old.process([1, 0], time_ms).is_new for time_ms in (0, 100, 200)] == [False, False, True]
    new = RecognizeCommands(["a", "b"], average_window_ms=400, mode="rearm", detection_threshold=0.5)
    new.take_over(old)
    assert [new.process([1, 0], time_ms) for time_ms in range(300, 2000, 100)] == [Result("a", 1.0, False)] * 17


# Streams like real ones. A clip of 1000 ms, slid over a word: its score rises while the end of the word comes in, stays
# while the whole word is inside, and falls while its beginning goes out.

CLIP_MS = 1000
RAMP_MS = 150


def stream(words, stride_ms, *, end_ms, rest=(SILENCE,), wobble=0.0, dip=None, seed=0, peak=0.98):
    """Scores of clips that end every ``stride_ms``, for words ``(label, start_ms, duration_ms)``.

    Args:
        rest: the labels that share what the words leave.
        wobble: by what part a word's score may fall, drawn anew for each clip.
        dip: ``(length_ms, factor)``, a hole in the middle of each word's stretch.
    """
    random = np.random.default_rng(seed)
    for time_ms in range(0, end_ms, stride_ms):
        scores = np.zeros(len(LABELS), np.float32)
        for label, start_ms, duration_ms in words:
            up = (time_ms - (start_ms + duration_ms - RAMP_MS)) / RAMP_MS
            down = (start_ms + CLIP_MS + RAMP_MS - time_ms) / RAMP_MS
            score = peak * min(1.0, max(0.0, min(up, down))) * (1 - wobble * random.random())
            middle_ms = start_ms + (duration_ms + CLIP_MS) / 2
            if dip and abs(time_ms - middle_ms) <= dip[0] / 2:
                score *= dip[1]
            scores[LABELS.index(label)] = max(scores[LABELS.index(label)], score)
        if scores.sum() > 1:
            scores /= scores.sum()
        left = (1 - scores.sum()) / len(rest)
        for label in rest:
            scores[LABELS.index(label)] += left
        yield scores, time_ms


def heard(words, stride_ms, mode="rearm", said=KWSD, **shape):
    """Events ``(label, time_ms)`` of a stream, silence and unknown passed over."""
    recognizer = RecognizeCommands(LABELS, **{**said, "mode": mode})
    shape.setdefault("end_ms", max(start_ms for _, start_ms, _ in words) + 3000)
    events = []
    for scores, time_ms in stream(words, stride_ms, **shape):
        result = recognizer.process(scores, time_ms)
        if result.is_new and result.label not in (SILENCE, UNKNOWN):
            events.append((result.label, time_ms))
    return events


NOBODY_WINS = (SILENCE, UNKNOWN, "yes", "no")


@pytest.mark.parametrize("stride_ms", [20, 30, 40, 60])
@pytest.mark.parametrize("duration_ms", [300, 400, 600])
@pytest.mark.parametrize("wobble", [0.0, 0.1])
def test_the_same_word_twice_is_two_events_even_when_silence_never_wins(stride_ms, duration_ms, wobble):
    words = [("stop", 500, duration_ms), ("stop", 1700, duration_ms)]
    shape = {"rest": NOBODY_WINS, "wobble": wobble}
    assert [label for label, _ in heard(words, stride_ms, **shape)] == ["stop", "stop"]
    assert len(heard(words, stride_ms, "tensorflow", **shape)) == 1  # what the mode is there for


@pytest.mark.parametrize("average_window_ms, detection_threshold", [(1000, 0.2), (1000, 0.5), (500, 0.7), (400, 0.9)])
def test_repeats_are_heard_with_other_windows_and_thresholds(average_window_ms, detection_threshold):
    said = {**KWSD, "average_window_ms": average_window_ms, "detection_threshold": detection_threshold}
    words = [("go", 500 + 1200 * i, 450) for i in range(5)]
    events = heard(words, 40, said=said, rest=NOBODY_WINS)
    assert [label for label, _ in events] == ["go"] * 5
    for (_, start_ms, duration_ms), (_, time_ms) in zip(words, events, strict=True):
        assert start_ms + duration_ms - RAMP_MS <= time_ms <= start_ms + CLIP_MS + RAMP_MS


@pytest.mark.parametrize("stride_ms", [20, 30, 40, 60])
@pytest.mark.parametrize("wobble", [0.0, 0.05, 0.15])
@pytest.mark.parametrize("rest", [(SILENCE,), NOBODY_WINS])
def test_a_held_word_is_one_event(stride_ms, wobble, rest):
    assert len(heard([("no", start_ms, 400) for start_ms in range(500, 8000, 200)], stride_ms, wobble=wobble)) == 1
    recognizer = RecognizeCommands(LABELS, **KWSD)
    random = np.random.default_rng(stride_ms)
    events = 0
    for time_ms in range(0, 6000, stride_ms):
        scores = np.zeros(len(LABELS), np.float32)
        scores[LABELS.index("no")] = 1 - wobble * random.random()
        events += recognizer.process(scores, time_ms).is_new
    assert events == 1


@pytest.mark.parametrize("dip", [(40, 0.0), (80, 0.3), (100, 0.4)])
@pytest.mark.parametrize("stride_ms", [20, 30, 40])
def test_a_short_dip_in_a_held_word_does_not_make_two_of_it(dip, stride_ms):
    """Four seconds of one word with a hole of up to 100 ms in the middle, all else being up."""
    recognizer = RecognizeCommands(LABELS, **KWSD)
    events = 0
    for time_ms in range(0, 4000, stride_ms):
        inside = abs(time_ms - 2000) < dip[0] / 2
        scores = np.zeros(len(LABELS), np.float32)
        scores[LABELS.index("no")] = 0.95 * (dip[1] if inside else 1)
        events += recognizer.process(scores, time_ms).is_new
    assert events == 1


@pytest.mark.parametrize("stride_ms", [20, 30, 40, 60])
@pytest.mark.parametrize("gap_ms", [700, 750, 800])
def test_repeat_hears_a_word_again_that_came_before_the_first_had_left_the_clip(stride_ms, gap_ms):
    words = [("up", 500, 300), ("up", 500 + gap_ms, 300)]
    assert [label for label, _ in heard(words, stride_ms, "repeat")] == ["up", "up"]
    assert len(heard(words, stride_ms, "rearm")) == 1  # what the mode is there for


@pytest.mark.parametrize("stride_ms", [20, 40, 60])
def test_in_mode_repeat_a_held_word_fires_once_a_clip(stride_ms):
    words = [("no", start_ms, 400) for start_ms in range(500, 6000, 200)]
    times_ms = [time_ms for _, time_ms in heard(words, stride_ms, "repeat")]
    gaps_ms = np.diff(times_ms)
    assert len(times_ms) == 6
    assert gaps_ms.min() > CLIP_MS
    assert gaps_ms.max() <= CLIP_MS + stride_ms


def fed(recognizer, *spans, stride_ms=40):
    """Labels of the words that fire; spans are (label, score, ms), the rest of the score being silence's."""
    events, time_ms = [], 0
    for label, score, span_ms in spans:
        for _ in range(span_ms // stride_ms):
            scores = np.zeros(len(LABELS), np.float32)
            scores[LABELS.index(label)] = score
            scores[0] += 1 - score
            result = recognizer.process(scores, time_ms)
            if result.is_new and result.label not in (SILENCE, UNKNOWN):
                events.append(result.label)
            time_ms += stride_ms
    return events


def with_speech(mode="repeat", speech_threshold=0.9):
    return RecognizeCommands(
        LABELS, mode=mode, average_window_ms=480, detection_threshold=0.5, speech_threshold=speech_threshold
    )


@pytest.mark.parametrize(
    ("before", "score", "heard"),
    [
        ((UNKNOWN, 1, 4000), 0.8, []),
        ((UNKNOWN, 1, 4000), 0.98, ["no"]),
        ((SILENCE, 1, 4000), 0.8, ["no"]),
        ((UNKNOWN, 0.4, 4000), 0.55, ["no"]),  # such as noise gives
        ((UNKNOWN, 0.65, 4000), 0.67, []),  # half of the way from 0.5 to 0.9 is asked for
        ((UNKNOWN, 0.65, 4000), 0.78, ["no"]),
    ],
)
def test_in_running_speech_a_word_has_to_be_surer(before, score, heard):
    assert fed(with_speech(), before, ("no", score, 800)) == heard
    for same in (with_speech(speech_threshold=0), with_speech("rearm"), with_speech("tensorflow")):
        assert fed(same, before, ("no", score, 800)) == ["no"]


def test_running_speech_is_over_after_a_pause_and_another_word_just_before_is_none():
    assert fed(with_speech(), (UNKNOWN, 1, 4000), (SILENCE, 1, 600), ("no", 0.8, 600)) == []
    assert fed(with_speech(), (UNKNOWN, 1, 4000), (SILENCE, 1, 2400), ("no", 0.8, 800)) == ["no"]
    assert fed(with_speech(), (SILENCE, 1, 3000), (UNKNOWN, 1, 800), (SILENCE, 1, 600), ("no", 0.8, 800)) == ["no"]


def test_settings_changed_in_running_speech_leave_it_running():
    recognizer, other = with_speech(), with_speech(speech_threshold=0.85)
    fed(recognizer, (UNKNOWN, 1, 4000))
    other.take_over(recognizer)
    later = [np.eye(len(LABELS), dtype=np.float32)[3] * 0.8] * 20
    assert not any(other.process(scores, 4000 + 40 * place).is_new for place, scores in enumerate(later))
    other.reset()
    assert sum(other.process(scores, 4000 + 40 * place).is_new for place, scores in enumerate(later)) == 1


@st.composite
def speech(draw):
    """Words of which no two neighbours are equal, a stride, and the shape of their scores."""
    words, start_ms, index = [], 500, 0
    for _ in range(draw(st.integers(1, 8))):
        index = (index + draw(st.integers(1, 9))) % 10
        words.append((LABELS[2 + index], start_ms, draw(st.integers(300, 600))))
        start_ms += draw(st.integers(1000, 3000))
    shape = {
        "rest": draw(st.sampled_from([(SILENCE,), (SILENCE, UNKNOWN), (UNKNOWN,)])),
        "wobble": draw(st.sampled_from([0.0, 0.05, 0.1])),
        "dip": draw(st.sampled_from([None, (40, 0.2), (100, 0.6)])),
        "seed": draw(st.integers(0, 1000)),
    }
    return words, draw(st.sampled_from([20, 30, 40])), shape


@pytest.mark.parametrize("mode", ["rearm", "repeat"])
@settings(deadline=None)
@given(speech())
def test_where_no_word_follows_itself_both_modes_hear_what_tensorflow_hears(mode, case):
    words, stride_ms, shape = case
    events = heard(words, stride_ms, mode, **shape)
    assert events == heard(words, stride_ms, "tensorflow", **shape)
    if shape["dip"] is None and shape["rest"] != (UNKNOWN,):  # an _unknown_ that wins suppresses the next word
        assert [label for label, _ in events] == [label for label, _, _ in words]
