"""Fine-tuning: what is taken over from a trained model, and what is refused."""

import numpy as np
import pytest
from kwsd_train import checkpoint, finetune
from kwsd_train.cli import main

pytest.importorskip("tensorflow", reason="TensorFlow is not installed (pip install 'kwsd[train]')")

FEATURES = ["--window_stride_ms", "20", "--preprocess", "log_mel", "--upper_hz", "7000", "--feature_bin_count", "24"]
FLAGS = ["--optimizer", "adam", "--learning_rate", "0.003", "--batch_size", "16", "--workers", "0", "--seed", "1"]
SETS = ["--unknown_percentage", "100", "--validation_percentage", "0", "--testing_percentage", "0"]


@pytest.fixture(scope="module")
def shipped(data_dir, tmp_path_factory):
    """A folder with words.tflite and words.weights.h5, trained on ``up``; and the flags that say where data lies."""
    folder = tmp_path_factory.mktemp("shipped")
    places = ["--data_dir", str(data_dir), "--cache_dir", str(folder / "cache")]
    common = ["--wanted_words", "up", "--model_architecture", "tc_resnet8", *FEATURES, *SETS, *places]
    run = ["--how_many_training_steps", "30", "--train_dir", str(folder)]
    assert main(["train", *common, *FLAGS, *run]) == 0
    files = ["--output_file", str(folder / "words.tflite"), "--weights_file", str(folder / "words.weights.h5")]
    assert main(["freeze", "--start_checkpoint", "latest", "--train_dir", str(folder), *places, *files]) == 0
    return folder, places


def tune(shipped, train_dir, steps, *more):
    """Fine-tune; the last checkpoint."""
    folder, places = shipped
    start = ["--start_checkpoint", str(folder / "words.weights.h5"), "--train_dir", str(train_dir)]
    assert main(["train", *places, *SETS, *FLAGS, *start, "--how_many_training_steps", str(steps), *more]) == 0
    return checkpoint.load(checkpoint.latest(train_dir))


def test_features_and_network_come_from_the_model_and_training_begins_at_step_1(shipped, tmp_path, caplog):
    caplog.set_level("INFO", "kwsd_train")
    tuned = tune(shipped, tmp_path, 1, "--wanted_words", "down,bird")
    assert tuned.step == 1
    assert tuned.settings["model_architecture"] == "tc_resnet8"
    assert tuned.settings["preprocess"] == "log_mel"
    assert (tuned.settings["feature_bin_count"], tuned.settings["upper_hz"]) == (24, 7000)
    assert tuned.settings["wanted_words"] == "down,bird"
    assert any(line.startswith("Step #1: ") for line in caplog.messages)
    assert any(line.endswith("new labels: down, bird") for line in caplog.messages)


def test_the_backbone_and_known_labels_are_taken_over_and_new_words_drawn_anew(shipped, tmp_path):
    """With a learning rate of zero the weights stay what they were at the start."""
    still = ["--learning_rate", "0", "--optimizer", "gradient_descent"]
    folder, _ = shipped
    before = checkpoint.load(checkpoint.latest(folder)).variables
    after = tune(shipped, tmp_path, 1, "--wanted_words", "down,up", *still).variables
    kernels = [group["model"] for group in (before, after)]
    last = max(place for place, array in enumerate(kernels[0]) if array.ndim == 2 and array.shape[-1] == 3)
    for place, (old, new) in enumerate(zip(*kernels, strict=True)):
        if place != last and old.ndim in (2, 4):  # kernels; batch norm goes on counting
            np.testing.assert_array_equal(old, new)
    old, new = kernels[0][last], kernels[1][last]
    assert new.shape[-1] == 4
    for old_label, new_label in ((0, 0), (1, 1), (2, 3)):  # _silence_, _unknown_, up
        np.testing.assert_array_equal(old[:, old_label], new[:, new_label])
    assert not any(np.array_equal(new[:, 2], old[:, label]) for label in range(3))


def test_without_words_the_models_own_are_trained_on(shipped, tmp_path, caplog):
    caplog.set_level("INFO", "kwsd_train")
    assert tune(shipped, tmp_path, 1).settings["wanted_words"] == "up"
    assert any(line.endswith("new labels: none") for line in caplog.messages)


def test_a_fine_tuned_run_is_resumed_like_any_other(shipped, tmp_path, caplog):
    tune(shipped, tmp_path, 1, "--wanted_words", "down")
    caplog.set_level("INFO", "kwsd_train")
    tuned = tune(shipped, tmp_path, 2, "--wanted_words", "down", "--start_checkpoint", "latest")
    assert tuned.step == 2
    assert any(line.startswith("Step #2: ") for line in caplog.messages)


def test_a_bundled_name_means_its_float_weights(shipped, monkeypatch):
    folder, _ = shipped
    monkeypatch.setattr("kwsd.model.catalogue.bundled", lambda: {"words": folder / "words.tflite"})
    donor = finetune.find("words")
    assert donor is not None
    assert donor.weights == folder / "words.weights.h5"
    assert tuple(donor.labels) == ("_silence_", "_unknown_", "up")


@pytest.mark.parametrize(
    ("start", "more", "code", "told"),
    [
        ("absent.weights.h5", [], 78, "absent.weights.h5: no such file"),
        ("alone.weights.h5", [], 78, "no alone.tflite beside it"),
        ("broken.weights.h5", [], 78, "these are no weights of tc_resnet8"),
        ("words.weights.h5", ["--preprocess", "mfcc"], 2, "--preprocess: mfcc does not agree"),
        ("words.weights.h5", ["--model_architecture", "conv"], 2, "--model_architecture: conv does not agree"),
    ],
)
def test_what_cannot_be_fine_tuned_is_one_line(shipped, tmp_path, capsys, start, more, code, told):
    folder, places = shipped
    (folder / "alone.weights.h5").write_bytes(b"")
    (folder / "broken.weights.h5").write_bytes(b"no HDF5")
    (folder / "broken.tflite").write_bytes((folder / "words.tflite").read_bytes())
    flags = ["--start_checkpoint", str(folder / start), "--train_dir", str(tmp_path), "--how_many_training_steps", "1"]
    capsys.readouterr()
    assert main(["train", *places, *SETS, "--wanted_words", "down", *FLAGS, *flags, *more]) == code
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("kwsd-train: ")]
    assert len(errors) == 1
    assert told in errors[0]
