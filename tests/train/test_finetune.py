"""Fine-tuning: what is taken over from a trained model, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from kwsd_train.cli import main
from kwsd_train.commands import freeze
from kwsd_train.flags import recipes
from kwsd_train.training import checkpoint, finetune

from kwsd import model as models
from kwsd.errors import OutputError

pytest.importorskip("tensorflow", reason="TensorFlow is not installed (pip install 'kwsd[train]')")

FEATURES = ["--window_stride_ms", "20", "--preprocess", "log_mel", "--upper_hz", "7000", "--feature_bin_count", "24"]
FLAGS = ["--optimizer", "adam", "--learning_rate", "0.003", "--batch_size", "16", "--workers", "0", "--seed", "1"]
SETS = ["--unknown_percentage", "30", "--validation_percentage", "0", "--testing_percentage", "0"]
ALONE = ["--synthesized_voices", "0", "--speech_percentage", "0", "--noise_frequency", "0"]
ALONE += ["--reverberation_frequency", "0"]
"""Nothing but the takes."""

RECOGNIZE = {"mode": "repeat", "detection_threshold": 0.6, "thresholds": {"up": 0.7}}


@pytest.fixture(scope="module")
def shipped(data_dir, tmp_path_factory):
    """A folder with words.tflite and words.weights.h5, trained on ``up``; and the flags that say where data lies."""
    folder = tmp_path_factory.mktemp("shipped")
    places = ["--data_dir", str(data_dir), "--cache_dir", str(folder / "cache")]
    common = ["--wanted_words", "up", "--model_architecture", "tc_resnet8", *FEATURES, *SETS, *places]
    run = ["--how_many_training_steps", "30", "--train_dir", str(folder)]
    assert main(["train", *common, *FLAGS, *run]) == 0
    files = ["--output_file", str(folder / "words.tflite"), "--weights_file", str(folder / "words.weights.h5")]
    (folder / "metadata.json").write_text(json.dumps({"recognize": RECOGNIZE}))
    files += ["--metadata", str(folder / "metadata.json")]
    assert main(["freeze", "--start_checkpoint", "latest", "--train_dir", str(folder), *places, *files]) == 0
    return folder, places


def tune(shipped, train_dir, steps, *more):
    """Fine-tune; the last checkpoint."""
    folder, places = shipped
    start = ["--start_checkpoint", str(folder / "words.weights.h5"), "--train_dir", str(train_dir)]
    run = ["--how_many_training_steps", str(steps), *more]
    assert main(["train", *places, *SETS, *FLAGS, *ALONE, *start, *run]) == 0
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


def test_what_is_frozen_lies_between_the_donor_and_what_was_trained(shipped, tmp_path):
    """Of the donor all but the row of the new word; another share at freezing needs no training; resuming goes on."""
    from kwsd_train import networks
    from kwsd_train.batches import features
    from kwsd_train.training.trainer import tested_model

    folder, places = shipped
    more = ["--wanted_words", "up,down", "--original_share", "0.25"]
    tune(shipped, tmp_path, 1, *more)
    tuned = tune(shipped, tmp_path, 3, *more, "--start_checkpoint", "latest")
    assert tuned.settings["original_share"] == 0.25
    shape = features.shape(tuned.settings)

    def weights(share):
        return tested_model(tuned.settings, shape, 4, tuned.variables, share).get_weights()

    def frozen(*more):
        files = ["--output_file", str(tmp_path / "own.tflite"), "--weights_file", str(tmp_path / "own.weights.h5")]
        run = ["--start_checkpoint", "latest", "--train_dir", str(tmp_path)]
        assert main(["freeze", *places, *run, *files, *more]) == 0
        model = networks.build("tc_resnet8", *shape, 4)
        model.load_weights(tmp_path / "own.weights.h5")
        return model.get_weights()

    original = networks.build("tc_resnet8", *shape, 3)
    original.load_weights(folder / "words.weights.h5")
    mixed, donor = frozen(), frozen("--original_share", "1")
    moved = 0
    for own, between, other, old in zip(weights(0), mixed, donor, original.get_weights(), strict=True):
        np.testing.assert_allclose(between, 0.75 * own + 0.25 * other, atol=1e-6)
        np.testing.assert_array_equal(other[..., : old.shape[-1]], old)
        if own.shape != old.shape:  # the last layer's, for four labels in place of three
            np.testing.assert_array_equal(other[..., 3], own[..., 3])
        moved += not np.array_equal(own, other)
    assert moved > 10


def test_a_full_disk_for_weights_is_one_line_and_leaves_nothing_half_written(tmp_path):
    class Model:
        def save_weights(self, path):
            path.write_bytes(b"half")
            raise OSError("Can't write data (No space left on device)\nmore of HDF5's")

    weights = tmp_path / "new folder" / "own.weights.h5"
    with pytest.raises(OutputError, match=r"written: Can.t write data \(No space left on device\)\. Make"):
        freeze.write_weights(Model(), weights)
    assert not list(weights.parent.iterdir())


def test_a_share_of_an_original_model_that_is_not_there_is_refused(shipped, tmp_path, capsys):
    folder, places = shipped
    run = ["--start_checkpoint", "latest", "--train_dir", str(folder), "--output_file", str(tmp_path / "own.tflite")]
    assert main(["freeze", *places, *run, "--original_share", "0.5"]) == 2
    assert "--original_share: the checkpoint holds no weights of an original model" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_batches_are_balanced_and_what_own_takes_lack_is_brought_unless_told_otherwise(shipped, tmp_path, monkeypatch):
    """Each by a flag of its own, all by --recipe tutorial; a folder that is not there is done without."""
    folder, places = shipped
    for name in ("noise", "running_speech/train"):
        (tmp_path / "root" / name).mkdir(parents=True)
    monkeypatch.setenv("KWSD_DATA", str(tmp_path / "root"))
    seen = {}
    monkeypatch.setattr(
        "kwsd_train.batches.training_data.load_data", lambda settings, *_, **__: seen.update(settings) or 1 / 0
    )
    start = ["--start_checkpoint", str(folder / "words.weights.h5"), "--train_dir", str(tmp_path / "run")]

    def settings_of(*more):
        with pytest.raises(ZeroDivisionError):
            main(["train", *places, *start, "--wanted_words", "up,down", *more])
        return dict(seen)

    settings, own = settings_of(), recipes.DEFAULTS[recipes.OWN_WORDS]
    assert settings["reverberation_frequency"] == 0  # no such folder
    balance = ("sampling", "noise_frequency", "speech_percentage", "same_voice_percentage", "synthesized_voices")
    for name in (*balance, "original_share"):
        assert settings[name] == own[name] != 0
        if name != "sampling":
            assert settings_of(f"--{name}", "0")[name] == 0
    assert settings["batch_size"] == own["batch_size"]
    assert settings["word_weights"] == ""  # one new word beside one old: equally often
    assert settings_of("--word_weights", "up=3")["word_weights"] == "up=3"
    assert settings_of("--sampling", "tutorial", "--same_voice_percentage", "0")["sampling"] == "tutorial"
    assert settings_of("--unknown_percentage", "150")["sampling"] == "tutorial"  # what else could it be
    plain = settings_of("--recipe", "tutorial")
    assert (plain["sampling"], plain["noise_frequency"], plain["batch_size"]) == ("tutorial", 0, 100)
    assert plain["original_share"] == 0
    assert settings_of("--wanted_words", "down")["original_share"] == 0  # no word that has to stay
    told = settings_of("--speech_dir", str(tmp_path / "no"))  # which load_data refuses
    assert told["speech_percentage"] == own["speech_percentage"]


def test_the_recognisers_settings_are_the_donors(shipped, tmp_path):
    """Thresholds of words that are left out go; --metadata beats them."""
    _, places = shipped
    for words, thresholds in (("down,up", {"up": 0.7}), ("down", {})):
        tune(shipped, tmp_path / words, 1, "--wanted_words", words)
        model = tmp_path / words / "tuned.tflite"
        frozen = ["freeze", *places, "--start_checkpoint", "latest", "--train_dir", str(tmp_path / words)]
        assert main([*frozen, "--output_file", str(model)]) == 0
        assert models.load(model).metadata["recognize"] == {**RECOGNIZE, "thresholds": thresholds}
    (tmp_path / "own.json").write_text('{"recognize": {"detection_threshold": 0.9}}')
    assert main([*frozen, "--output_file", str(model), "--metadata", str(tmp_path / "own.json")]) == 0
    assert models.load(model).metadata["recognize"] == {"detection_threshold": 0.9}


def test_new_words_come_nearly_half_as_often_as_all_old_ones_together():
    known = ["yes", "no", "up", "go", "on", "off"]
    donor = finetune.Donor(Path(), Path(), {}, ["_silence_", "_unknown_", *known], {})
    assert finetune.word_weights(donor, [*known, "lumos"]) == "lumos=2.4"
    assert finetune.word_weights(donor, [*known, "lumos", "nox"]) == "lumos=1.2,nox=1.2"
    assert finetune.word_weights(donor, ["yes", "lumos"]) == finetune.word_weights(donor, ["yes", "no"]) == ""


def test_the_donor_goes_on_saying_its_words_and_says_nothing_of_new_ones(shipped, tmp_path, monkeypatch):
    folder, places = shipped
    asked = []
    monkeypatch.setattr(
        "kwsd_train.batches.training_data.load_data", lambda *had, **how: asked.append((had[2], how)) or 1 / 0
    )
    start = ["--start_checkpoint", str(folder / "words.weights.h5"), "--train_dir", str(tmp_path)]
    for more in (["up,down"], ["down"], ["up,down", "--teacher_weight", "0"], ["up,down", "--recipe", "tutorial"]):
        with pytest.raises(ZeroDivisionError):
            main(["train", *places, *start, *ALONE, "--wanted_words", *more])
    (taught, how), *others = asked
    assert [Path(teacher) for teacher in taught] == [folder / "words.tflite"]
    assert how["teachers_hear_batches"]
    assert [teachers for teachers, _ in others] == [[], [], []]


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
        ("words.tflite", [], 78, "a frozen model, which cannot be trained further. Name its float weights: words"),
        ("alone.weights.h5", [], 78, "no alone.tflite beside it"),
        ("broken.weights.h5", [], 78, "these are not weights of tc_resnet8"),
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
