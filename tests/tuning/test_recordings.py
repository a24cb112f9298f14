"""Recordings heard for their peaks, which tell what any threshold would have made of them."""

import numpy as np
import pytest
import soundfile

from kwsd import Spotter
from kwsd.audio.file import tail
from kwsd.config.effective import Effective, recognize_in_force
from kwsd.errors import InputError
from kwsd.model import load
from kwsd.tuning.ground_truth import Row, read_rows
from kwsd.tuning.recordings import Recording, hear, quiet_of
from tests.helpers.kwsd_process import DEMO

MODEL = load("default")


def plan(name, only):
    model = load(name)
    return Effective(model, recognize_in_force(model), frozenset(only))


@pytest.fixture(scope="module")
def demo():
    hours, found = hear([plan("default", set(MODEL.labels))], str(DEMO))
    return Recording(hours, found, tuple(read_rows(DEMO.with_suffix(".txt"))))


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.9])
def test_the_peaks_above_a_threshold_are_the_words_that_fire_there(demo, threshold):
    """The words of the demo are apart, so that none holds another back."""
    spotter = Spotter(MODEL, detection_threshold=threshold, thresholds=dict.fromkeys(MODEL.labels, threshold))
    samples, _ = soundfile.read(DEMO, dtype="float32")
    fired = [word.label for word in spotter.push(np.concatenate([samples, tail(MODEL.clip_samples)]))]
    assert [one.label for one in demo.found if one.score > threshold] == fired


def test_what_is_said_is_no_false_alarm(demo):
    words = {row.label for row in demo.rows} - {"_unknown_"}
    assert sum(len(demo.score(word, 0.3).hits) for word in words) >= 10
    quiet = quiet_of([demo], words)
    assert not any(quiet.alarms(word, 0.6) for word in words)


def test_where_nothing_is_said_every_peak_is_a_false_alarm(demo):
    unlabelled = Recording(demo.hours, demo.found)
    quiet = quiet_of([unlabelled, unlabelled], ["stop"])
    assert quiet.hours == 2 * demo.hours
    assert quiet.alarms("stop", 0.3) == 2 * sum(one.label == "stop" for one in demo.found)


def test_several_models_hear_together_each_its_own_words(demo):
    _, found = hear([plan("default", {"stop"}), plan("tiny", {"go"})], str(DEMO))
    _, of_tiny = hear([plan("tiny", {"go"})], str(DEMO))
    assert [one for one in found if one.label == "stop"] == [one for one in demo.found if one.label == "stop"]
    assert tuple(one for one in found if one.label == "go") == of_tiny
    assert {one.label for one in found} == {"stop", "go"}


def test_a_recording_without_a_millisecond_is_refused(tmp_path):
    path = tmp_path / "short.wav"
    soundfile.write(path, np.zeros(8), 16_000, subtype="PCM_16")
    with pytest.raises(InputError, match="is shorter than 1 ms"):
        hear([plan("tiny", {"go"})], str(path))


def test_ground_truth_of_a_spreadsheet_is_read_and_other_formats_are_told(tmp_path):
    """All rows of the latter would be ignored."""
    truth = tmp_path / "truth.txt"
    truth.write_text("stop, 1000\n", encoding="utf-8-sig")
    assert read_rows(truth) == [Row("stop", 1000, 2000)]
    truth.write_text("stop;1000;2000\nstop\t3000\n")
    with pytest.raises(InputError, match="no row in it is"):
        read_rows(truth)
    truth.write_text("\n")
    assert read_rows(truth) == []


def test_mp3_is_heard(tmp_path):
    soundfile.write(tmp_path / "evening.mp3", np.zeros(32_000), 16_000, format="MP3")
    hours, _ = hear([plan("tiny", {"stop"})], str(tmp_path / "evening.mp3"))
    assert hours == pytest.approx(2 / 3600, abs=1e-4)
