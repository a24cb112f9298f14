"""ClipWindow: every clip's features equal those of its samples alone."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kwsd.errors import ConfigError
from kwsd.frontend import create
from kwsd.frontend.window import ClipWindow

fixtures_stay = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
blocks = st.lists(st.integers(1, 5000) | st.sampled_from([160, 320, 333, 640]), min_size=1, max_size=8)


def clips_of(window, signal, sizes):
    begin, turn = 0, 0
    while begin < len(signal):
        for features, end_sample in window.push(signal[begin : begin + sizes[turn % len(sizes)]]):
            yield features.copy(), end_sample
        begin += sizes[turn % len(sizes)]
        turn += 1


@fixtures_stay
@given(sizes=blocks, strides=st.integers(1, 12), clip_samples=st.integers(640, 16_000))
def test_clips_equal_compute_to_the_last_bit(params, signal, sizes, strides, clip_samples):
    """For any blocks, clip lengths and legal strides, also ones longer than a clip."""
    sizes = [max(size, 100) for size in sizes]
    clip_stride_ms = strides * params.get("stride_ms", 10)
    window, frontend = ClipWindow(params, clip_samples, clip_stride_ms), create(params)
    ends = []
    for features, end_sample in clips_of(window, signal, sizes):
        expected = frontend.compute(signal[end_sample - clip_samples : end_sample])
        assert features.shape == expected.shape
        assert features.tobytes() == expected.tobytes()
        ends.append(end_sample)
    assert ends == list(range(clip_samples, len(signal) + 1, clip_stride_ms * 16))


def test_the_first_clip_comes_with_its_last_sample(params, signal):
    """Not a sample later, and not earlier."""
    window = ClipWindow(params, 8000, 40)
    assert not list(window.push(signal[:7999]))
    [(_, end_sample)] = window.push(signal[7999:8000])
    assert end_sample == 8000


def test_reset_starts_afresh(params, signal):
    """Nothing is joined across a gap, and samples are counted from 0 again."""
    window = ClipWindow(params, 8000, 40)
    list(window.push(signal[:11_111]))
    window.reset()
    assert not list(window.push(signal[5000:12_999]))
    [(features, end_sample)] = window.push(signal[12_999:13_000])
    assert end_sample == 8000
    assert features.tobytes() == create(params).compute(signal[5000:13_000]).tobytes()


def test_the_stride_changes_without_losing_what_was_heard(params, signal):
    """A wider stride counts from the last clip; so does a smaller one, from the first end that is still to come."""
    window, frontend, ends = ClipWindow(params, 8000, 20), create(params), []

    def hear(begin, end):
        for features, end_sample in window.push(signal[begin:end]):
            assert features.tobytes() == frontend.compute(signal[end_sample - 8000 : end_sample]).tobytes()
            ends.append(end_sample)

    hear(0, 8400)
    window.clip_stride_ms = 200
    assert window.clip_stride_ms == 200
    hear(8400, 11_000)  # 8320 + 3200 is still to come
    window.clip_stride_ms = 20
    hear(11_000, 14_000)  # 11200 is the first of 8320, 8640, ... that is not over
    window.clip_stride_ms = 60
    hear(14_000, 16_000)
    assert ends == [8000, 8320, *range(11_200, 14_001, 320), 13_760 + 960, 13_760 + 1920]


def test_clips_may_be_changed_in_the_middle_of_a_block(signal):
    """Who hears a clip may ask for another stride before the next."""
    window = ClipWindow({"type": "micro", "window_ms": 30, "stride_ms": 20, "bins": 8}, 8000, 20)
    ends = []
    for _, end_sample in window.push(signal):
        ends.append(end_sample)
        window.clip_stride_ms = 100
    assert ends == list(range(8000, 24_001, 1600))


@pytest.mark.parametrize("clip_stride_ms", [30, 10, 0, -20, 20.5, float("nan"), float("inf")])
def test_a_stride_that_is_no_multiple_of_the_row_stride_is_refused(clip_stride_ms):
    """With both numbers, at the start and later, when the old one stays."""
    params = {"type": "micro", "window_ms": 30, "stride_ms": 20, "bins": 40}
    with pytest.raises(ConfigError, match=rf"clip_stride_ms: {clip_stride_ms:g} ms is not a multiple of .* 20 ms"):
        ClipWindow(params, 16_000, clip_stride_ms)
    window = ClipWindow(params, 16_000, 40)
    with pytest.raises(ConfigError):
        window.clip_stride_ms = clip_stride_ms
    assert window.clip_stride_ms == 40


def test_samples_take_any_stride_from_10_ms(signal):
    """A network that takes samples has no rows to keep to."""
    ends = [end_sample for _, end_sample in ClipWindow({"type": "waveform"}, 16_000, 12.5).push(signal)]
    assert ends == list(range(16_000, 24_001, 200))
    with pytest.raises(ConfigError, match="9 ms is below 10 ms"):
        ClipWindow({"type": "waveform"}, 16_000, 9)


def test_strides_are_whole_rows_where_the_rate_makes_no_whole_samples(signal):
    """At 22050 Hz 10 ms are 220.5 samples: rows are 220 apart, and clips of 30 ms three rows."""
    band = {"lower_hz": 20, "upper_hz": 8000, "mel_bins": 20, "power": 1, "floor": 1e-6}
    params = {"type": "log_mel", "sample_rate_hz": 22_050, "window_ms": 25, "stride_ms": 10, **band}
    frontend = create(params)
    clips = [(features.copy(), end) for features, end in ClipWindow(params, 11_025, 30).push(signal)]
    assert [end for _, end in clips] == list(range(11_025, 24_001, 660))
    for features, end in clips:
        assert features.tobytes() == frontend.compute(signal[end - 11_025 : end]).tobytes()


def test_a_clip_shorter_than_a_window_is_refused():
    """There would be no row in it."""
    with pytest.raises(ConfigError, match="a clip of 400 samples is shorter than a window of 480"):
        ClipWindow({"type": "micro", "window_ms": 30, "stride_ms": 20, "bins": 40}, 400, 20)


def test_samples_of_another_type_are_refused_at_once():
    """Not only when the first clip is asked for."""
    window = ClipWindow({"type": "waveform"}, 1600, 20)
    with pytest.raises(ValueError, match="samples are float32"):
        window.push(np.zeros(100, np.int16))


@pytest.mark.parametrize("clip_samples", [1, 300, 400, 401])
def test_psf_mfcc_fills_up_clips_about_as_short_as_a_window(signal, clip_samples):
    """As python_speech_features does, which has no signal too short."""
    band = {"lower_hz": 0, "upper_hz": 8000, "nfft": 512, "filters": 26, "coefficients": 13}
    more = {"preemphasis": 0.97, "lifter": 22, "append_energy": True, "window": "hann"}
    params = {"type": "psf_mfcc", "window_ms": 25, "stride_ms": 10, **band, **more}
    frontend, clips = create(params), 0
    for features, end in ClipWindow(params, clip_samples, 10).push(signal):
        assert features.tobytes() == frontend.compute(signal[end - clip_samples : end]).tobytes()
        clips += 1
    assert clips == 1 + (24_000 - clip_samples) // 160
