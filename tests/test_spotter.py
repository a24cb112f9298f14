"""The Spotter on a model that can be read off: a sample's level says which word it belongs to."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

import kwsd
from kwsd.errors import ConfigError, KwsdError
from kwsd.events import Detection
from kwsd.model import load

RATE_HZ = 1000  # so that a sample is a millisecond
LABELS = ("_silence_", "_unknown_", "stop", "go")
DEMO = Path(__file__).parents[1] / "examples" / "demo.flac"


class LevelModel:
    """A label's score is the part of the clip at its level: 0 is `_silence_`, 1/8 `_unknown_`, 2/8 `stop`, 3/8 `go`."""

    name, labels = "level", LABELS
    sample_rate_hz, clip_ms, clip_samples = RATE_HZ, 400, 400

    def __init__(self, **recognize):
        self.frontend = {"type": "waveform", "sample_rate_hz": RATE_HZ}
        self.recognize = recognize

    def scores(self, features):
        levels = np.rint(features * 8).astype(int)
        return (np.bincount(levels, minlength=len(LABELS)) / len(levels)).astype(np.float32)


class RowModel(LevelModel):
    """The same behind a front end with rows, so that strides have to be multiples; it hears nothing."""

    def __init__(self, stride_ms=20, **recognize):
        super().__init__(**recognize)
        self.frontend = {"type": "average", "window_ms": 40, "stride_ms": stride_ms, "bins": 5, "sample_rate_hz": 1000}

    def scores(self, features):
        assert features.shape[0] == 1 + (400 - 40) // self.frontend["stride_ms"]
        return np.array([1, 0, 0, 0], np.float32)


def speech(*parts):
    """Samples of ``(label, duration_ms)``, one after the other."""
    return np.concatenate([np.full(ms, LABELS.index(label) / 8, np.float32) for label, ms in parts])


def pause(duration_ms):
    return ("_silence_", duration_ms)


SENTENCE = speech(pause(700), ("stop", 450), pause(600), ("go", 500), pause(500), ("_unknown_", 500), pause(900))
QUICK = {"average_window_ms": 100, "suppression_ms": 200, "detection_threshold": 0.7}


def words(detections):
    return [detection.label for detection in detections]


def test_words_are_heard_in_order_with_the_end_of_their_window():
    detections = kwsd.Spotter(LevelModel(), **QUICK).push(SENTENCE)
    assert words(detections) == ["stop", "go"]
    for detection, end_ms in zip(detections, (1150, 2250), strict=True):
        assert isinstance(detection, Detection)
        assert end_ms - 200 < detection.audio_ms <= end_ms + 200
        assert (detection.audio_ms - 400) % 30 == 0
        assert 0.7 < detection.score <= 1


def test_silence_and_unknown_make_no_detections():
    assert kwsd.Spotter(LevelModel(), **QUICK).push(speech(pause(2000), ("_unknown_", 2000), pause(2000))) == []


@settings(deadline=None)
@given(st.lists(st.integers(0, 900), max_size=30), st.sampled_from([10, 30, 45]))
def test_blocks_of_any_size_give_the_same_detections(sizes, clip_stride_ms):
    said = {**QUICK, "clip_stride_ms": clip_stride_ms}
    whole = kwsd.Spotter(LevelModel(), **said)
    expected = whole.push(SENTENCE)
    parts = kwsd.Spotter(LevelModel(), **said)
    detections = []
    for block in np.split(SENTENCE, np.minimum(np.cumsum(sizes, dtype=int), len(SENTENCE))):
        detections += parts.push(block)
    assert detections == expected
    assert words(expected) == ["stop", "go"]
    assert (parts.position_ms, parts.strides) == (whole.position_ms, whole.strides)
    assert parts.strides == 1 + (len(SENTENCE) - 400) // clip_stride_ms
    np.testing.assert_array_equal(parts.averages, whole.averages)


def test_int16_is_heard_as_float32_is():
    spotter = kwsd.Spotter(LevelModel(), **QUICK)
    assert spotter.push((SENTENCE * 32768).astype(np.int16)) == kwsd.Spotter(LevelModel(), **QUICK).push(SENTENCE)


@pytest.mark.parametrize("lost_samples", [0, 1, 5000])
def test_after_a_gap_nothing_is_joined_and_the_lost_samples_count(lost_samples):
    """Two halves of a word on either side of a gap are no word; what comes later is stamped as if nothing was lost."""
    before, after = speech(pause(800), ("stop", 250)), speech(("stop", 250), pause(800), ("go", 500), pause(500))
    assert words(kwsd.Spotter(LevelModel(), **QUICK).push(np.concatenate((before, after)))) == ["stop", "go"]

    spotter = kwsd.Spotter(LevelModel(), **QUICK)
    assert spotter.push(before) == []
    spotter.reset(lost_samples)
    assert spotter.averages is None
    assert spotter.position_ms == len(before) + lost_samples
    heard = spotter.push(after)

    alone = kwsd.Spotter(LevelModel(), **QUICK).push(after)
    assert words(heard) == words(alone) == ["go"]
    assert heard[0].audio_ms - alone[0].audio_ms == len(before) + lost_samples
    assert spotter.position_ms == len(before) + lost_samples + len(after)


def test_after_a_gap_the_first_clip_is_a_whole_one():
    spotter = kwsd.Spotter(LevelModel())
    spotter.push(np.zeros(500, np.float32))
    scored = spotter.strides
    spotter.reset()
    spotter.push(np.zeros(399, np.float32))
    assert spotter.strides == scored
    spotter.push(np.zeros(1, np.float32))
    assert spotter.strides == scored + 1


def test_a_gap_of_a_negative_length_is_refused():
    spotter = kwsd.Spotter(LevelModel())
    with pytest.raises(ValueError, match="lost_samples is -1"):
        spotter.reset(-1)
    assert spotter.position_ms == 0


@pytest.mark.parametrize(
    "samples, error, text",
    [
        (np.zeros(10), TypeError, "samples are float64, but"),
        (np.zeros(10, np.int32), TypeError, "samples are int32, but"),
        ([0.0, 0.1], TypeError, "samples are list, but"),
        (b"1234", TypeError, "samples are bytes, but"),
        (np.zeros((10, 1), np.float32), ValueError, r"samples have shape \(10, 1\), but"),
        (np.zeros((2, 5), np.int16), ValueError, r"samples have shape \(2, 5\), but"),
        (np.array(0, np.float32), ValueError, r"samples have shape \(\), but"),
    ],
)
def test_other_samples_are_refused_in_one_line_and_change_nothing(samples, error, text):
    spotter = kwsd.Spotter(LevelModel())
    with pytest.raises(error, match=text) as caught:
        spotter.push(samples)
    assert "\n" not in str(caught.value)
    assert spotter.position_ms == 0


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_scores_that_are_not_finite_end_with_70(bad):
    model = LevelModel()
    model.scores = lambda features: np.array([0.1, bad, 0.2, 0.3], np.float32)
    with pytest.raises(KwsdError, match="model level: its scores are not finite") as caught:
        kwsd.Spotter(model).push(SENTENCE)
    assert caught.value.exit_code == 70


def test_settings_come_from_the_call_then_the_model_then_the_defaults():
    model = LevelModel(**QUICK, thresholds={"go": 1.0}, clip_stride_ms=50)
    spotter = kwsd.Spotter(model)
    assert spotter.clip_stride_ms == 50
    assert words(spotter.push(SENTENCE)) == ["stop"]  # an average is never above 1
    assert words(kwsd.Spotter(model, thresholds={"go": 0.7}).push(SENTENCE)) == ["stop", "go"]
    assert words(kwsd.Spotter(model, thresholds={"stop": 1.0}).push(SENTENCE)) == []
    assert words(kwsd.Spotter(model, detection_threshold=0.6).push(SENTENCE)) == ["stop", "go"]
    assert kwsd.Spotter(model, clip_stride_ms=40, max_clip_stride_ms=80, thresholds=None).clip_stride_ms == 40


@pytest.mark.parametrize("row_stride_ms, clip_stride_ms", [(10, 30), (20, 40), (40, 40)])
def test_the_default_stride_fits_the_rows(row_stride_ms, clip_stride_ms):
    spotter = kwsd.Spotter(RowModel(row_stride_ms))
    spotter.push(np.zeros(400 + 2 * clip_stride_ms, np.float32))
    assert (spotter.clip_stride_ms, spotter.strides) == (clip_stride_ms, 3)


@pytest.mark.parametrize(
    "said, text",
    [
        ({"mode": "magic"}, "recognize: mode is 'magic', but must be one of"),
        ({"thresholds": {"halt": 0.5}}, "recognize: thresholds name halt, but the labels are _silence_"),
        ({"clip_stride_ms": 30}, "clip_stride_ms: 30 ms is not a multiple of the model's row stride, 20 ms"),
    ],
)
def test_settings_that_do_not_fit_the_model_are_refused_with_78(said, text):
    with pytest.raises(ConfigError, match=text) as caught:
        kwsd.Spotter(RowModel(), **said)
    assert caught.value.exit_code == 78
    spotter = kwsd.Spotter(RowModel())
    with pytest.raises(ConfigError, match=text):
        spotter.configure(**said)
    assert spotter.clip_stride_ms == 40


def test_a_setting_that_does_not_exist_is_a_type_error():
    with pytest.raises(TypeError, match="threshold_detection"):
        kwsd.Spotter(LevelModel(), threshold_detection=0.5)


def test_the_stride_can_be_widened_and_narrowed_while_it_listens():
    spotter = kwsd.Spotter(LevelModel())
    spotter.push(np.zeros(400, np.float32))
    spotter.clip_stride_ms = 100
    spotter.push(np.zeros(1000, np.float32))
    assert (spotter.clip_stride_ms, spotter.strides) == (100, 11)
    spotter.clip_stride_ms = 30
    spotter.push(np.zeros(300, np.float32))
    assert (spotter.clip_stride_ms, spotter.strides) == (30, 21)
    with pytest.raises(ConfigError, match="clip_stride_ms"):
        spotter.clip_stride_ms = 1
    assert spotter.clip_stride_ms == 30


@given(st.integers(0, len(SENTENCE)))
@settings(deadline=None)
def test_taking_new_settings_loses_no_sample_and_no_word(at):
    """The same settings again, at any moment, change nothing."""
    spotter = kwsd.Spotter(LevelModel(), **QUICK)
    detections = spotter.push(SENTENCE[:at])
    spotter.configure(**QUICK)
    detections += spotter.push(SENTENCE[at:])
    assert detections == kwsd.Spotter(LevelModel(), **QUICK).push(SENTENCE)


def test_new_settings_hold_at_once():
    spotter = kwsd.Spotter(LevelModel(), **QUICK)
    assert words(spotter.push(SENTENCE[:1500])) == ["stop"]
    spotter.configure(**{**QUICK, "detection_threshold": 1.0})
    assert spotter.push(SENTENCE[1500:]) == []


def test_a_real_recording_gives_the_same_words_however_it_is_cut():
    samples, rate_hz = soundfile.read(DEMO, dtype="int16", frames=8 * 16000)
    model = load("default")
    assert rate_hz == model.sample_rate_hz
    expected = kwsd.Spotter(model).push(samples)
    assert len(expected) >= 3  # examples/demo.txt has four words there
    for block_samples in (37, 320, 16000):
        spotter = kwsd.Spotter(model)
        blocks = [samples[at : at + block_samples] for at in range(0, len(samples), block_samples)]
        assert [detection for block in blocks for detection in spotter.push(block)] == expected


def test_importing_kwsd_is_cheap_until_something_is_asked_of_it():
    code = (
        "import sys, kwsd; print('numpy' in sys.modules); kwsd.Spotter; kwsd.watch;"
        "print('kwsd.spotter' in sys.modules, 'kwsd.client' in sys.modules, 'yaml' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "True", "False"]
    with pytest.raises(AttributeError, match="has no attribute 'Listener'"):
        _ = kwsd.Listener


def test_a_model_may_be_named():
    spotter = kwsd.Spotter("tiny", detection_threshold=0.7)
    assert spotter.model.name == "kwsd-tiny" and kwsd.Spotter(spotter.model.path).labels == spotter.labels
    with pytest.raises(kwsd.errors.ModelError, match="no bundled model of that name"):
        kwsd.Spotter("teeny")
