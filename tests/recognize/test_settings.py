"""The layers of recogniser settings."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwsd.recognize.settings import RecognizeSettings, default_clip_stride_ms, layer_recognize


def test_what_nobody_says_is_kwsds_default():
    settings = layer_recognize(row_stride_ms=20)
    assert (settings.mode, settings.clip_stride_ms, settings.max_clip_stride_ms) == ("rearm", 40, 200)
    assert (settings.average_window_ms, settings.suppression_ms, settings.minimum_count) == (500, 700, 3)
    assert (settings.detection_threshold, settings.thresholds) == (0.8, {})


@pytest.mark.parametrize(
    "row_stride_ms, clip_stride_ms",
    [(1, 30), (10, 30), (12.5, 37.5), (16, 32), (20, 40), (30, 30), (40, 40), (None, 30)],
)
def test_the_default_stride_is_the_smallest_multiple_of_the_row_stride_from_30_ms(row_stride_ms, clip_stride_ms):
    assert default_clip_stride_ms(row_stride_ms) == clip_stride_ms
    assert layer_recognize(row_stride_ms=row_stride_ms).clip_stride_ms == clip_stride_ms


def test_a_stride_above_the_widest_moves_that_too():
    assert layer_recognize(RecognizeSettings(clip_stride_ms=500), row_stride_ms=20).max_clip_stride_ms == 500


def test_a_nearer_layer_wins_key_by_key():
    flags = RecognizeSettings(suppression_ms=0)
    config = RecognizeSettings(suppression_ms=100, minimum_count=1, mode="android")
    model = RecognizeSettings(minimum_count=9, average_window_ms=300, clip_stride_ms=60)
    settings = layer_recognize(flags, config, model, row_stride_ms=20)
    assert (settings.suppression_ms, settings.minimum_count, settings.mode) == (0, 1, "android")
    assert (settings.average_window_ms, settings.clip_stride_ms) == (300, 60)


def test_thresholds_merge_word_by_word():
    near, far = RecognizeSettings(thresholds={"on": 0.7}), RecognizeSettings(thresholds={"go": 0.9, "on": 0.9})
    assert layer_recognize(near, far, row_stride_ms=20).thresholds == {"on": 0.7, "go": 0.9}


def test_a_detection_threshold_moves_the_thresholds_of_farther_layers_only():
    flags = RecognizeSettings(thresholds={"on": 0.7})
    config = RecognizeSettings(detection_threshold=0.7, thresholds={"up": 0.5})
    model = RecognizeSettings(
        detection_threshold=0.6, thresholds={"up": 0.8, "go": 0.8, "no": 0.95}, speech_threshold=0.85
    )
    settings = layer_recognize(flags, config, model, row_stride_ms=20)
    assert settings.detection_threshold == 0.7
    assert settings.thresholds == {"on": 0.7, "up": 0.5, "go": 0.9, "no": 1.0}
    assert settings.speech_threshold == 0.85


def test_what_the_farther_layers_leave_out_is_kwsds_default():
    """A model that names thresholds alone means them beside the default of 0.8."""
    settings = layer_recognize(
        RecognizeSettings(detection_threshold=0.7), RecognizeSettings(thresholds={"up": 0.9}), row_stride_ms=20
    )
    assert settings.thresholds == {"up": 0.8}


maybe = st.none() | st.floats(0, 1)
layers = st.builds(
    RecognizeSettings,
    detection_threshold=maybe,
    thresholds=st.dictionaries(st.sampled_from("abc"), st.floats(0, 1)),
    speech_threshold=maybe,
)


@given(st.lists(layers, max_size=4))
def test_a_words_threshold_is_the_nearest_thing_said_of_it_moved_by_what_comes_before(said):
    """Looked up word by word, from the far end: a layer names the word, or moves it along with all the others."""
    settings = layer_recognize(*said, row_stride_ms=20)
    for word in "abc":
        shared = expected = 0.8
        for layer in reversed(said):
            if layer.detection_threshold is not None:
                expected = min(1, max(0, expected + layer.detection_threshold - shared))
                shared = layer.detection_threshold
            expected = layer.thresholds.get(word, expected)
        got = settings.thresholds.get(word, settings.detection_threshold)
        # a word that nobody named keeps to detection_threshold, whatever was cut
        assert got == (pytest.approx(expected, abs=1e-8) if word in settings.thresholds else shared)


@given(st.lists(layers, max_size=3), st.floats(0, 1), st.floats(0, 1))
def test_a_stricter_setting_is_stricter_for_every_word(far, one, other):
    lax, strict = (
        layer_recognize(RecognizeSettings(detection_threshold=value), *far, row_stride_ms=20)
        for value in sorted((one, other))
    )
    for word in "abc":
        needed = [settings.thresholds.get(word, settings.detection_threshold) for settings in (lax, strict)]
        assert needed[0] <= needed[1]
    assert lax.speech_threshold == strict.speech_threshold


def test_layering_needs_no_library():
    """A Spotter without a configuration file needs no PyYAML, and check-config no numpy."""
    code = "import sys, kwsd.recognize.settings; print(sorted({'numpy', 'yaml'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
