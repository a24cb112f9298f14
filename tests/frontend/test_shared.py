"""Rows that several readers share are those that each would make for itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kwsd.frontend import create
from kwsd.frontend.shared import SharedRows
from kwsd.frontend.window import ClipWindow

MFCC = {"type": "mfcc", "window_ms": 40, "stride_ms": 20, "lower_hz": 20, "upper_hz": 7600}
MFCC |= {"mel_bins": 40, "coefficients": 10, "sample_rate_hz": 16000}
MICRO = {"type": "micro", "window_ms": 30, "stride_ms": 20, "bins": 40, "sample_rate_hz": 16000}
APART = {**MFCC, "window_ms": 20, "stride_ms": 30}  # frames further apart than they are long
STRIDES = {"mfcc": (20, 60), "apart": (30, 90), "micro": (20, 40)}


@pytest.mark.parametrize(("name", "params"), [("mfcc", MFCC), ("apart", APART), ("micro", MICRO)])
@given(cuts=st.lists(st.integers(1, 9000), min_size=1, max_size=6), seed=st.integers(0, 99), gap=st.integers(0, 5))
@settings(max_examples=15, deadline=None)
def test_windows_of_other_lengths_and_strides_share_rows(name, params, cuts, seed, gap):
    samples = np.random.default_rng(seed).standard_normal(sum(cuts)).astype(np.float32) * np.float32(0.1)
    shared = SharedRows(create(params))
    clips = ((8000, STRIDES[name][0]), (16000, STRIDES[name][1]))
    together = [ClipWindow(params, length, stride, shared) for length, stride in clips]
    alone = [ClipWindow(params, length, stride) for length, stride in clips]
    shared.reset()
    for window in together:
        window.reset()
    at = 0
    for number, cut in enumerate(cuts):
        if number == gap:
            shared.reset()
            for window in (*together, *alone):
                window.reset()
        block, at = samples[at : at + cut], at + cut
        for one, other in zip(together, alone, strict=True):
            heard = [(clip.features.copy(), clip.end_sample) for clip in one.push(block)]
            wanted = [(clip.features.copy(), clip.end_sample) for clip in other.push(block)]
            assert [end for _, end in heard] == [end for _, end in wanted]
            for (features, _), (same, _) in zip(heard, wanted, strict=True):
                np.testing.assert_array_equal(features, same)
