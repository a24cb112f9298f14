"""The networks have the reference's sizes."""

import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed (pip install 'kwsd[train]')")

from kwsd_train import networks

from kwsd.errors import UsageError

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
    model = networks.build(name, frames, 40, 12)
    assert (networks.parameters(model), networks.multiply_adds(model)) == expected


def test_micro_speechs_network_has_its_size():
    assert networks.parameters(networks.build("tiny_conv", 49, 40, 4)) == 16_652


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
    model = networks.build(name, frames, width, 12)
    assert networks.parameters(model) == pytest.approx(thousands * 1e3, rel=0.01)
    assert networks.multiply_adds(model) == pytest.approx(millions * 1e6, rel=0.01)


def test_the_bundled_networks_size_is_within_its_limits():
    model = networks.build("res2d1d", 49, 40, 12)
    assert networks.parameters(model) <= 100_000
    assert networks.multiply_adds(model) <= 10_000_000


def test_an_unknown_name_is_told_with_those_there_are():
    with pytest.raises(UsageError, match=r'argument "deep" not recognized.*"single_fc", "conv"'):
        networks.build("deep", 49, 40, 12)
