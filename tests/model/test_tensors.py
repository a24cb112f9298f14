"""Which shapes of an input take a clip."""

import pytest

from kwsd.model.tensors import fit
from kwsd.model.tflite.graph import Tensor

ROWS, SAMPLES = (49, 10), (16000,)


@pytest.mark.parametrize(
    ("own", "clip", "fitted"),
    [
        ((1, 49, 10), ROWS, (1, 49, 10)),
        ((1, 49, 10, 1), ROWS, (1, 49, 10, 1)),
        ((1, 490), ROWS, (1, 490)),
        ((49, 10), ROWS, (49, 10)),
        ((490,), ROWS, (490,)),
        ((1, 1, 49, 10), ROWS, (1, 1, 49, 10)),
        ((-1, 49, 10), ROWS, (1, 49, 10)),
        ((-1, -1, -1, -1), ROWS, (1, 1, 49, 10)),
        ((-1, -1, 10, 1), ROWS, (1, 49, 10, 1)),
        ((-1, -1), ROWS, (49, 10)),
        ((1, 16000), SAMPLES, (1, 16000)),
        ((16000, 1), SAMPLES, (16000, 1)),
        ((-1, 1), SAMPLES, (16000, 1)),
        ((1, -1), SAMPLES, (1, 16000)),
        ((-1, -1), SAMPLES, (1, 16000)),
        ((1, 1), SAMPLES, (1, 16000)),
        ((-1,), SAMPLES, (16000,)),
        ((1, 49, 40), ROWS, None),
        ((-1, 49, 40), ROWS, None),
        ((1, 8000), SAMPLES, None),
        ((-1, 8000), SAMPLES, None),
        ((), SAMPLES, None),
        ((0, 10), ROWS, None),
    ],
)
def test_a_clip_goes_into_any_shape_of_its_size_and_into_open_sizes(own, clip, fitted):
    assert fit(Tensor("x", own, "float32", (), (), None), clip) == fitted
