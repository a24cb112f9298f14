"""freeze --input waveform: the front end inside the file."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed (pip install 'kwsd[train]')")

import keras
from kwsd_train import networks
from kwsd_train.batches import features
from kwsd_train.cli import main
from kwsd_train.commands.freeze import BOUNDS, scoring
from kwsd_train.export import waveform
from kwsd_train.export.metadata_writer import write
from kwsd_train.flags.options import FEATURE_DEFAULTS

from kwsd.audio.clip import read_clip
from kwsd.errors import UsageError
from kwsd.frontend import create
from kwsd.model import load
from tests.helpers import other_runtime

RATE_HZ = 16000
LABELS = ["_silence_", "_unknown_", "up", "down"]
CLIPS = sorted((Path(__file__).parents[1] / "data" / "clips").glob("*/*.flac"))[::8]
FRONTENDS = {
    "mfcc": {"feature_bin_count": 13},
    "average": {},
    "log_mel": {"window_size_ms": 25.0, "log_floor": 1e-6},
}


@pytest.fixture(scope="module", params=FRONTENDS)
def frozen(request, tmp_path_factory):
    """A small network with drawn weights behind each front end: (settings, Keras's scorer, the file)."""
    settings = {**FEATURE_DEFAULTS, "preprocess": request.param, "window_stride_ms": 20.0, **FRONTENDS[request.param]}
    keras.utils.set_random_seed(1)
    # the first layer brings each front end's numbers to where the others have slopes
    network = networks.build("res2d1d", *features.shape(settings), len(LABELS))
    clips = [features.create(settings).compute(read_clip(str(path), RATE_HZ, RATE_HZ)) for path in CLIPS]
    scaling = next(layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization))
    gamma, beta, _, _ = scaling.get_weights()
    scaling.set_weights([gamma, beta, np.mean(clips, (0, 1)), np.var(clips, (0, 1)) + 1e-3])
    scorer = scoring(network)
    path = tmp_path_factory.mktemp("waveform") / f"{request.param}.tflite"
    tflite = waveform.to_tflite(scorer, settings, "none", np.zeros((1, RATE_HZ), np.float32))
    metadata = {"format": 1, "name": "inside", "labels": LABELS, "sample_rate_hz": RATE_HZ, "clip_ms": 1000}
    path.write_bytes(write(tflite, {**metadata, "frontend": waveform.FRONTEND, "scores": "probabilities"}))
    return settings, scorer, path


def signals():
    """Speech, noise, a tone, clicks and silence, float32 (16000,)."""
    draw, t = np.random.default_rng(1), np.arange(RATE_HZ) / RATE_HZ
    yield from (read_clip(str(path), RATE_HZ, RATE_HZ) for path in CLIPS)
    yield draw.normal(0, 0.1, RATE_HZ).astype(np.float32)
    yield (0.9 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)
    yield (np.arange(RATE_HZ) % 4000 == 0).astype(np.float32)
    yield np.zeros(RATE_HZ, np.float32)


def test_scores_equal_those_on_kwsds_features(frozen):
    """Within the bound of freeze, for each clip and not in the mean alone."""
    settings, scorer, path = frozen
    model, front = load(path), features.create(settings)
    told = []
    for signal in signals():
        expected = np.asarray(scorer(front.compute(signal)[None]))[0]
        told.append(expected)
        np.testing.assert_allclose(model.scores(signal), expected, atol=BOUNDS["none"])
    assert np.ptp(told, axis=0).max() > 100 * BOUNDS["none"]  # so that another signal's scores would not do


def test_inputs_are_those_of_the_android_app(frozen):
    """Samples first, then their rate."""
    inputs, outputs = load(frozen[2]).details()
    assert [(one["shape"], one["type"]) for one in inputs] == [([RATE_HZ, 1], "float32"), ([1], "int32")]
    assert [(one["shape"], one["type"]) for one in outputs] == [([1, len(LABELS)], "float32")]


@pytest.mark.skipif(other_runtime.PYTHON is None, reason=other_runtime.MISSING)
def test_the_other_runtime_scores_the_same(frozen, tmp_path):
    t = np.arange(RATE_HZ) / RATE_HZ
    chirp = (0.5 * np.sin(5000 * t * t)).astype(np.float32)
    expected = load(frozen[2]).scores(chirp)
    np.testing.assert_allclose(other_runtime.scores(frozen[2], chirp[None], tmp_path)[0], expected, atol=1e-5)


def test_micro_has_no_operator():
    with pytest.raises(UsageError, match=r"--input: .*micro"):
        waveform.check({"preprocess": "micro"})


@pytest.mark.parametrize("quantize", ["none", "int8"])
def test_frozen_from_a_checkpoint(data_dir, tmp_path, quantize):
    """As a person does it: the file says what it is, and hears what the file that takes features hears."""
    flags = ["--wanted_words=up,down", "--window_stride_ms=20", "--model_architecture=tiny_conv"]
    flags += ["--unknown_percentage=100", "--validation_percentage=20", f"--data_dir={data_dir}"]
    flags += [f"--cache_dir={tmp_path / 'cache'}", f"--train_dir={tmp_path}"]
    steps = ["--how_many_training_steps=20", "--learning_rate=0.01", "--optimizer=adam", "--batch_size=16"]
    assert main(["train", *flags, *steps, "--workers=0", "--time_masks=1"]) == 0
    files = {kind: tmp_path / f"{kind}.tflite" for kind in ("waveform", "features")}
    for kind, path in files.items():
        source = ["--start_checkpoint=latest", f"--output_file={path}", f"--quantize={quantize}", f"--input={kind}"]
        assert main(["freeze", *flags, *source]) == 0
    whole, part = load(files["waveform"]), load(files["features"])
    assert whole.metadata["frontend"] == {"type": "waveform"}
    for path in sorted(data_dir.glob("*/speaker1*.wav")):
        clip = read_clip(str(path), RATE_HZ, RATE_HZ)
        expected = part.scores(create(part.frontend).compute(clip))
        np.testing.assert_allclose(whole.scores(clip), expected, atol=2 * BOUNDS[quantize])
