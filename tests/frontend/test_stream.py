"""A stream gives the rows of the whole signal, however it is cut into blocks."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kwsd.frontend import create

blocks = st.lists(st.integers(0, 3000) | st.sampled_from([1, 159, 160, 161, 320, 640]), min_size=1, max_size=30)
fixtures_stay = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def in_blocks(frontend, signal, sizes):
    stream, begin = frontend.stream(), 0
    rows = [stream.push(signal[:0])]
    while begin < len(signal):
        for size in sizes if any(sizes) else [1000]:
            rows.append(stream.push(signal[begin : begin + size]))
            begin += size
    return np.concatenate(rows)


@fixtures_stay
@given(sizes=blocks, samples=st.integers(0, 24_000))
def test_rows_equal_those_of_the_whole_signal_to_the_last_bit(params, signal, sizes, samples):
    """For any block sizes and any length; psf_mfcc's filled-up last frame is the whole signal's alone."""
    if sum(sizes) < 50 * len(sizes):
        samples = min(samples, 2000)
    frontend = create(params)
    whole = frontend.compute(signal[:samples])
    rows = in_blocks(frontend, signal[:samples], sizes)
    assert rows.dtype == np.float32
    assert len(rows) == frontend.whole_frames(samples)
    assert rows.tobytes() == whole[: len(rows)].tobytes()


def test_one_sample_at_a_time(params, signal):
    """The smallest blocks there are."""
    frontend = create(params)
    rows = in_blocks(frontend, signal[:3000], [1])
    assert rows.tobytes() == frontend.compute(signal[:3000])[: len(rows)].tobytes()


@fixtures_stay
@given(samples=st.integers(0, 24_000))
def test_frames_tells_how_many_rows_there_will_be(params, signal, samples):
    """Also for signals shorter than a window."""
    frontend = create(params)
    rows = frontend.compute(signal[:samples])
    assert len(rows) == frontend.frames(samples)
    if params["type"] != "waveform":
        assert rows.shape[1] == frontend.width


@fixtures_stay
@given(begin=st.integers(0, 20_000))
def test_a_row_depends_on_its_own_frame_alone(signal, begin):
    """What lets rows be kept and clips be cut from them."""
    frontend = create({**MFCC, "stride_ms": 10})
    rows = frontend.compute(signal[begin : begin + 4000])
    for index in (0, 1, len(rows) - 1):
        start = begin + index * frontend.stride_samples
        assert frontend.compute(signal[start : start + frontend.window_samples]).tobytes() == rows[index].tobytes()


MFCC = {"type": "mfcc", "window_ms": 40, "lower_hz": 20, "upper_hz": 7600, "mel_bins": 40, "coefficients": 40}


@pytest.mark.parametrize("wrong", [np.zeros((100, 1), np.float32), np.zeros(100, np.int16), np.float32(1)])
def test_what_are_no_float_samples_is_refused(params, wrong):
    """int16 taken for floats would be 32768 times too loud."""
    frontend = create(params)
    with pytest.raises(ValueError, match="samples are float32"):
        frontend.compute(wrong)
    with pytest.raises(ValueError, match="samples are float32"):
        frontend.stream().push(wrong)


def test_samples_need_not_be_contiguous_or_float32(params, signal):
    """One channel of an interleaved recording goes, and so do float64 samples."""
    frontend = create(params)
    stereo = np.stack((signal, -signal), axis=1)
    assert frontend.compute(stereo[:, 0]).tobytes() == frontend.compute(signal).tobytes()
    assert frontend.compute(signal.astype(np.float64)).tobytes() == frontend.compute(signal).tobytes()


def test_compute_leaves_the_signal_alone_and_shares_no_memory(params, signal):
    """Callers may keep both."""
    frontend, kept = create(params), signal.copy()
    rows = frontend.compute(signal)
    rows[:] = 0
    assert frontend.compute(signal).any()
    assert (signal == kept).all()
