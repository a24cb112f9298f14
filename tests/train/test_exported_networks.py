"""Every network becomes a .tflite file of builtin operators that kwsd runs, with Keras's scores."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed (pip install 'kwsd[train]')")

import keras
from kwsd_train import networks
from kwsd_train.cli import main
from kwsd_train.commands import freeze
from kwsd_train.export import convert
from kwsd_train.export.metadata_writer import write

from kwsd.errors import ModelError, UsageError
from kwsd.model import load
from tests.helpers import other_runtime

EXAMPLE = f"{Path(__file__).parents[2] / 'examples' / 'own_network.py'}:two_convolutions"
FRAMES, WIDTH, LABELS = 24, 40, ["_silence_", "_unknown_", "up", "down"]
METADATA = {
    "format": 1,
    "name": "exported",
    "labels": LABELS,
    "sample_rate_hz": 16000,
    "clip_ms": 1000,
    "frontend": {
        "type": "log_mel",
        "window_ms": 40,
        "stride_ms": 41,
        "lower_hz": 20,
        "upper_hz": 7600,
        "mel_bins": WIDTH,
        "power": 2,
        "floor": 1e-6,
    },
    "scores": "probabilities",
}
"""Few frames, for each of them is a step of the unrolled recurrent networks, which take long to convert."""


@pytest.fixture
def in_this_process(monkeypatch):
    """Convert here: to start TensorFlow once more for each network would take most of the time."""

    def here(saved_model, quantize, representative, float_layers):
        shown, result = saved_model / "shown.npz", saved_model / "model.tflite"
        np.savez(shown, **representative)
        convert.convert_here(str(saved_model), quantize, str(shown), str(result), str(float_layers))
        return result.read_bytes()

    monkeypatch.setattr(freeze, "convert", here)


@pytest.mark.parametrize("name", [*networks.FAMILIES, pytest.param(EXAMPLE, id="own_network.py")])
def test_kwsd_runs_what_is_exported_and_scores_as_keras_does(name, tmp_path, in_this_process):
    """Weights drawn at random, and large enough that each clip has scores of its own."""
    draw = np.random.default_rng(1)
    network = networks.build(name, FRAMES, WIDTH, len(LABELS))
    for variable in network.trainable_variables:
        variable.assign_add(0.02 * draw.normal(size=variable.shape))
    scorer = freeze.scoring(network)
    clips = draw.normal(0, 3, (3, FRAMES, WIDTH)).astype(np.float32)
    path = tmp_path / "exported.tflite"
    path.write_bytes(write(freeze.to_tflite(scorer, "none", clips), METADATA))
    model = load(path)
    assert model.graph.subgraphs == 1
    assert not any(operator.custom for operator in model.graph.operators)
    for clip in clips:
        np.testing.assert_allclose(model.scores(clip), np.asarray(scorer(clip[None]))[0], atol=1e-5)
    if other_runtime.PYTHON:  # set by `make test` where tflite-runtime can be had
        here = [model.scores(clip) for clip in clips]
        np.testing.assert_allclose(other_runtime.scores(path, clips, tmp_path), here, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "frames", "width", "thousands", "millions"),
    [
        ("matchboxnet_3x1x64", 98, 40, 71.6, 6.71),
        ("matchboxnet_3x2x64", 98, 40, 87, 8.2),
        ("matchboxnet_6x2x64", 98, 40, 133, 12.6),
        ("crnn_s", 49, 10, 76, 1.5),
        ("crnn_m", 49, 10, 190, 3.8),
        ("crnn_l", 49, 10, 486, 9.6),
        ("att_rnn", 98, 40, 180, 15.3),
        ("mhatt_rnn", 98, 40, 757, 42.5),
        ("gru", 49, 10, 78.6, 3.71),
        ("lstm", 49, 10, 62.3, 2.96),
        ("tc_resnet8_1_5", 98, 40, 144, 3.28),
        ("tc_resnet14_1_5", 98, 40, 303, 6.68),
        ("bc_resnet_1_5", 101, 40, 17.2, 4.7),
        ("bc_resnet_2", 101, 40, 27.3, 7.44),
        ("bc_resnet_6", 101, 40, 188, 50.6),
    ],
)
def test_networks_have_the_sizes_of_their_papers(name, frames, width, thousands, millions):
    """Within 1 % of published or recounted figures; recurrent cells and attention are counted too."""
    model = networks.build(name, frames, width, 12)
    assert networks.parameters(model) == pytest.approx(thousands * 1e3, rel=0.01)
    assert networks.multiply_adds(model) == pytest.approx(millions * 1e6, rel=0.01)


def test_a_frozen_batch_changes_no_weights():
    """Recurrent cells are unrolled there: the same numbers must fit."""
    open_batch, fixed = (networks.build("crnn_s", 49, 10, 12, batch_size) for batch_size in (None, 1))
    assert [one.shape for one in open_batch.weights] == [one.shape for one in fixed.weights]


class TestOwnNetwork:
    """--model_architecture path/to/file.py:function."""

    def test_trained_resumed_frozen_and_listed(self, data_dir, tmp_path, monkeypatch, capsys):
        """From another folder too, for the checkpoint knows where the file lies; it is named by the function."""
        flags = ["--wanted_words=up,down", "--window_stride_ms=20", f"--data_dir={data_dir}"]
        flags += ["--unknown_percentage=100", "--validation_percentage=20"]
        flags += [f"--cache_dir={tmp_path / 'cache'}", f"--train_dir={tmp_path}"]
        steps = ["--learning_rate=0.01", "--batch_size=16", "--workers=0"]
        monkeypatch.chdir(Path(__file__).parents[2])
        own = "--model_architecture=examples/own_network.py:two_convolutions"
        assert main(["train", *flags, *steps, own, "--how_many_training_steps=2"]) == 0
        assert main(["train", *flags, *steps, own, "--how_many_training_steps=3", "--start_checkpoint=latest"]) == 0
        assert (tmp_path / "two_convolutions.ckpt-3").exists()
        assert (tmp_path / "two_convolutions_labels.txt").exists()
        monkeypatch.chdir(tmp_path)
        freeze_it = ["freeze", *flags, "--start_checkpoint=latest", "--output_file=own.tflite"]
        for refused in (
            freeze_it,
            ["train", *flags, *steps, "--how_many_training_steps=4", "--start_checkpoint=latest"],
        ):
            assert main(refused) == 2
            assert "it names a program that builds its network" in capsys.readouterr().err
        assert main([*freeze_it, "--trust-architecture"]) == 0
        model = load(tmp_path / "own.tflite")
        assert model.metadata["training"]["architecture"] == "two_convolutions"
        assert model.labels == tuple(LABELS)
        capsys.readouterr()
        assert main(["models", f"--model_architecture={EXAMPLE}"]) == 0
        assert capsys.readouterr().out.splitlines()[1].split()[0] == "two_convolutions"

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            (None, "FileNotFoundError"),
            ("def other(features, labels): pass", "has no attribute 'net'"),
            ("import nosuch_module", "No module named 'nosuch_module'"),
            ("def net(features, labels)", "SyntaxError"),
            ("def net(features, labels): return features", "not (batch, 4)"),
            ("def net(features, labels): return 1 / 0", "ZeroDivisionError"),
        ],
    )
    def test_a_file_that_builds_no_network_is_told_in_one_line(self, tmp_path, content, told):
        path = tmp_path / "mine.py"
        if content is not None:
            path.write_text(content)
        with pytest.raises(UsageError) as caught:
            networks.build(f"{path}:net", FRAMES, WIDTH, 4)
        assert told in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "most"), [("single_fc", 0.5), ("tiny_conv", 0.5), ("conv", 1.2), ("gru", 1.2)])
def test_a_column_that_dwarfs_the_others_costs_less_when_the_first_layer_stays_in_floats(
    name, most, tmp_path, in_this_process
):
    """Coefficient 0 of mfcc is such a column. The rest is in 8 bits, and kwsd runs it.

    Deep networks of random weights, other than trained ones, lose most on the way.
    """
    draw = np.random.default_rng(1)
    keras.utils.set_random_seed(1)
    network = networks.build(name, FRAMES, WIDTH, len(LABELS))
    clips = draw.normal(0, 1, (60, FRAMES, WIDTH)).astype(np.float32)
    for variable in network.trainable_variables:
        variable.assign_add(0.03 * draw.normal(size=variable.shape))
    clips[:, :, 0] = -100 + 50 * clips[:, :, 0]
    scorer = freeze.scoring(network)
    expected = np.concatenate([scorer(clip[None]) for clip in clips])
    plain, better = (freeze.to_tflite(scorer, "int8", clips, layers) for layers in (0, 1))
    costs = [freeze.score_difference(tflite, clips, expected, 16000) for tflite in (plain, better)]
    assert costs[1] < most * costs[0]
    path = tmp_path / "exported.tflite"
    path.write_bytes(write(better, METADATA))
    model = load(path)
    kinds = [tensor.type for tensor in (model.graph.inputs[0], model.graph.outputs[0])]
    assert kinds == ["float32", "int8"]
    heard = [model.scores(clip) for clip in clips]
    assert np.abs(heard - expected).max(axis=1).mean() == pytest.approx(costs[1], abs=0.004)


@pytest.mark.parametrize("quantize", ["none", "int8"])
def test_the_features_before_the_last_layer_are_a_second_output(quantize, tmp_path, in_this_process):
    draw = np.random.default_rng(1)
    network = networks.build("res2d1d_tiny", FRAMES, WIDTH, len(LABELS))
    clips = draw.normal(0, 3, (40, FRAMES, WIDTH)).astype(np.float32)
    scorer = freeze.scoring(network)
    both = freeze.embedding_too(scorer)
    tflite = freeze.to_tflite(both, quantize, clips)
    name = convert.output_name(tflite, "embedding")
    path = tmp_path / "exported.tflite"
    path.write_bytes(write(tflite, METADATA | {"embedding": name}))
    model = load(path)
    near = 1e-4 if quantize == "none" else 0.05
    for clip in clips[:3]:
        expected = {key: np.asarray(value)[0] for key, value in both(clip[None]).items()}
        np.testing.assert_allclose(model.scores(clip), expected["scores"], atol=near)
        embedding = model.embedding(clip)
        assert embedding.shape == (42,)
        np.testing.assert_allclose(embedding, expected["embedding"], atol=near * max(1, expected["embedding"].max()))
    path.write_bytes(write(tflite, METADATA | {"embedding": "x"}))
    with pytest.raises(ModelError, match="no output has the name"):
        load(path)
