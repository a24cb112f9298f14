"""The networks have the reference's sizes."""

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed (pip install 'kwsd[train]')")

from kwsd_train import architectures
from kwsd_train.freeze import scoring, to_tflite
from kwsd_train.metadata_writer import write

from kwsd.errors import UsageError
from kwsd.model import load

REFERENCE = {  # name: frames -> parameters, multiplications, with 40 bins and 12 labels
    "single_fc": {98: (47_052, 47_040), 49: (23_532, 23_520)},
    "conv": {98: (926_860, 201_456_640), 49: (558_220, 102_374_400)},
    "low_latency_conv": {98: (949_862, 5_615_776), 49: (876_950, 3_209_680)},
    "low_latency_svdf": {98: (751_372, 10_682_368), 49: (625_932, 5_539_328)},
    "tiny_conv": {98: (94_740, 721_280), 49: (48_660, 368_000)},
    "tiny_embedding_conv": {98: (7_804, 736_736), 49: (6_940, 382_592)},
}


@pytest.mark.parametrize(
    ("name", "frames", "expected"),
    [(name, frames, sizes) for name, by_frames in REFERENCE.items() for frames, sizes in by_frames.items()],
)
def test_the_tutorials_networks_have_its_sizes(name, frames, expected):
    model = architectures.build(name, frames, 40, 12)
    assert (architectures.parameters(model), architectures.multiply_adds(model)) == expected


def test_micro_speechs_network_has_its_size():
    assert architectures.parameters(architectures.build("tiny_conv", 49, 40, 4)) == 16_652


@pytest.mark.parametrize(
    ("name", "frames", "width", "thousands", "millions"),
    [
        ("ds_cnn_s", 49, 10, 23.2, 2.66),
        ("ds_cnn_m", 49, 10, 136.6, 9.82),
        ("ds_cnn_l", 49, 10, 413.7, 28.3),
        ("tc_resnet8", 98, 40, 65.2, 1.52),
        ("tc_resnet14", 98, 40, 135.9, 3.03),
        ("bc_resnet_1", 101, 40, 9.23, 2.54),
        ("bc_resnet_3", 101, 40, 54.2, 14.7),
        ("bc_resnet_8", 101, 40, 321.1, 86.4),
    ],
)
def test_published_networks_have_their_sizes(name, frames, width, thousands, millions):
    """Within 1 % of the papers' own or recounted figures."""
    model = architectures.build(name, frames, width, 12)
    assert architectures.parameters(model) == pytest.approx(thousands * 1e3, rel=0.01)
    assert architectures.multiply_adds(model) == pytest.approx(millions * 1e6, rel=0.01)


def test_the_bundled_networks_size_is_within_its_limits():
    model = architectures.build("res2d1d", 49, 40, 12)
    assert architectures.parameters(model) <= 100_000
    assert architectures.multiply_adds(model) <= 10_000_000


def test_an_unknown_name_is_told_with_those_there_are():
    with pytest.raises(UsageError, match=r'argument "deep" not recognized.*"single_fc", "conv"'):
        architectures.build("deep", 49, 40, 12)


@pytest.mark.parametrize("name", ["low_latency_svdf", "tc_resnet8", "bc_resnet_1", "res2d1d"])
def test_kwsd_runs_what_is_exported_and_scores_as_keras_does(name, tmp_path):
    """One of each family that is more than convolutions in a row; weights drawn at random."""
    draw = np.random.default_rng(1)
    network = architectures.build(name, 49, 40, 4)
    for variable in network.trainable_variables:
        variable.assign_add(0.02 * draw.normal(size=variable.shape))
    scorer = scoring(network)
    clips = draw.normal(0, 3, (5, 49, 40)).astype(np.float32)
    front = {"type": "mfcc", "window_ms": 30, "stride_ms": 20, "lower_hz": 20, "upper_hz": 4000}
    metadata = {
        "format": 1,
        "name": name,
        "labels": ["_silence_", "_unknown_", "up", "down"],
        "sample_rate_hz": 16000,
        "clip_ms": 1000,
        "frontend": {**front, "mel_bins": 40, "coefficients": 40},
        "scores": "probabilities",
    }
    path = tmp_path / f"{name}.tflite"
    path.write_bytes(write(to_tflite(scorer, "none", clips), metadata))
    model = load(path)
    for clip in clips:
        np.testing.assert_allclose(model.scores(clip), np.asarray(scorer(clip[None]))[0], atol=1e-5)
