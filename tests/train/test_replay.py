"""Replays of stored scores equal what the recogniser, and the daemon's pipeline, make of them."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from kwsd_train.evaluation import hearing
from kwsd_train.evaluation.hearing import Heard
from kwsd_train.evaluation.replay import Replayer
from kwsd_train.evaluation.score import Found
from kwsd_train.flags import layers

import kwsd
from kwsd.model import load
from kwsd.recognize import RecognizeCommands
from kwsd.recognize.settings import MODES, CompleteRecognizeSettings, RecognizeSettings, layer_recognize

LABELS = ("_silence_", "_unknown_", "yes", "no")


def recognised(heard, wanted):
    """The recogniser itself, clip by clip."""
    recognizer = RecognizeCommands.of(heard.labels, wanted, heard.clip_ms)
    found = []
    for scores, time_ms in zip(heard.scores, heard.times_ms.tolist(), strict=True):
        label, score, is_new = recognizer.process(scores, time_ms)
        if is_new and label != "_silence_":
            found.append(Found(label, min(time_ms, heard.duration_ms), score))
    return found


@st.composite
def recordings(draw):
    """Scores as a network gives them: one label leads for a while, then another, with some noise."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    spans = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 25)), min_size=1, max_size=30))
    scores = np.concatenate([np.tile(np.eye(4)[label], (length, 1)) for label, length in spans])
    scores = scores * draw(st.sampled_from([0.6, 0.9, 1.0])) + random.uniform(
        0, draw(st.sampled_from([0, 0.3])), scores.shape
    )
    scores = (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)
    stride_ms = draw(st.sampled_from([20, 30, 33.3, 100]))
    times_ms = (1000 + np.arange(len(scores)) * stride_ms).astype(np.int64)
    clip_ms = draw(st.sampled_from([300, 1000]))
    return Heard(LABELS, clip_ms, int(times_ms[-1]) - 200, times_ms, scores, ())


@settings(max_examples=300, deadline=None)
@given(
    recordings(),
    st.builds(
        CompleteRecognizeSettings,
        mode=st.sampled_from(MODES),
        average_window_ms=st.sampled_from([0, 100, 333, 500, 1000]),
        suppression_ms=st.sampled_from([0, 300, 700]),
        minimum_count=st.sampled_from([1, 3, 8]),
        detection_threshold=st.sampled_from([0.0, 0.3, 0.6, 0.85]),
        speech_threshold=st.sampled_from([0.0, 0.6, 0.9]),
        thresholds=st.sampled_from([{}, {"yes": 0.5}, {"no": 0.9, "_silence_": 0.2}]),
    ),
)
def test_a_replay_equals_the_recogniser_to_the_bit(heard, wanted):
    assert Replayer(heard).found(wanted, with_unknown=True) == recognised(heard, wanted)


def test_a_replayer_asked_twice_answers_each_setting_by_itself():
    scores = np.repeat(np.eye(4, dtype=np.float32)[[0, 2, 0, 3]], 20, axis=0)
    heard = Heard(LABELS, 1000, 10_000, np.arange(80) * 40, scores, ())
    replayer = Replayer(heard)
    loose, strict = CompleteRecognizeSettings(), CompleteRecognizeSettings(detection_threshold=1.0)
    assert [word.label for word in replayer.found(loose)] == ["yes", "no"]
    assert replayer.found(strict) == []
    assert [word.label for word in replayer.found(replace(loose, thresholds={"no": 1.0}))] == ["yes"]


@pytest.fixture(scope="module")
def model():
    return load("default")


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Clips of the repository one after the other, at another rate than the model's."""
    from pathlib import Path

    clips = sorted((Path(__file__).parents[1] / "data" / "clips").glob("*/*.flac"))[::3]
    samples = np.concatenate([np.append(soundfile.read(clip)[0], np.zeros(5000)) for clip in clips])
    path = tmp_path_factory.mktemp("recording") / "words.wav"
    soundfile.write(path, samples, 16_000)
    return path


@pytest.mark.parametrize("stride_ms", [20, 40, 100])
def test_what_is_heard_is_what_the_spotter_says(model, recording, stride_ms):
    """Words as from a Spotter fed with the same samples, and a replay of the stored scores gives the same again.

    The threshold of "up" is given, because the model brings its own.
    """
    said = RecognizeSettings(clip_stride_ms=stride_ms, detection_threshold=0.5, thresholds={"up": 0.5})
    complete = layer_recognize(said, row_stride_ms=20)
    heard = hearing.hear(model, recording, layers.spotter_settings(complete))
    spotter = kwsd.Spotter(model, **layers.spotter_settings(complete))
    samples = soundfile.read(recording, dtype="float32")[0]
    expected = [Found(word.label, word.audio_ms, word.score) for word in spotter.push(samples)]
    assert len(expected) > 3
    assert list(heard.found[: len(expected)]) == expected
    assert Replayer(heard).found(complete) == list(heard.found)
    assert heard.duration_ms == len(samples) * 1000 // 16_000
    assert all(word.time_ms <= heard.duration_ms for word in heard.found)


def test_processes_hear_what_one_process_hears(recording):
    complete = CompleteRecognizeSettings(clip_stride_ms=100)
    tasks = [(recording, layers.spotter_settings(complete))] * 2
    alone, first = (hearing.hear_all({"path_or_name": "default"}, tasks, workers)[0] for workers in (1, 2))
    np.testing.assert_array_equal(alone.scores, first.scores)
    assert alone.found == first.found
