"""Checkpoints come back as they were, and are never seen half written."""

import numpy as np
import pytest
from kwsd_train.training import checkpoint
from kwsd_train.training.checkpoint import Checkpoint

from kwsd.errors import ModelError, OutputError

NUMBERS = {"model": [np.arange(6.0).reshape(2, 3), np.array(7)], "optimizer": [np.ones(3, np.float32)]}


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    path = checkpoint.path_of(tmp_path, "conv", 400)
    checkpoint.save(path, Checkpoint(400, {"wanted_words": "yes,no"}, NUMBERS))
    loaded = checkpoint.load(path)
    assert path.name == "conv.ckpt-400"
    assert (loaded.step, loaded.settings) == (400, {"wanted_words": "yes,no"})
    assert loaded.variables.keys() == NUMBERS.keys()
    for name, arrays in NUMBERS.items():
        for stored, array in zip(loaded.variables[name], arrays, strict=True):
            np.testing.assert_array_equal(stored, array)


def saved(folder, architecture, *steps):
    for step in steps:
        checkpoint.save(checkpoint.path_of(folder, architecture, step), Checkpoint(step, {}, NUMBERS))


def steps_of(folder, architecture):
    return sorted(int(path.name.rpartition("-")[2]) for path in folder.glob(f"{architecture}.ckpt-*"))


def test_the_newest_are_kept_and_the_last_is_the_latest(tmp_path):
    saved(tmp_path, "conv", *range(1, 12))
    assert steps_of(tmp_path, "conv") == [7, 8, 9, 10, 11]
    assert checkpoint.latest(tmp_path).name == "conv.ckpt-11"


def test_a_new_run_keeps_its_checkpoints_among_those_of_a_longer_one_and_has_the_latest(tmp_path):
    saved(tmp_path, "conv", *range(1, 13))
    saved(tmp_path, "conv", 1, 2, 3)
    assert steps_of(tmp_path, "conv") == [1, 2, 3, 8, 9, 10, 11, 12]
    assert checkpoint.find("latest", tmp_path).name == "conv.ckpt-3"
    saved(tmp_path, "conv", *range(4, 10))
    assert steps_of(tmp_path, "conv") == [5, 6, 7, 8, 9, 10, 11, 12]


def test_a_network_leaves_alone_the_checkpoints_of_one_whose_name_begins_alike(tmp_path):
    saved(tmp_path, "res2d1d", *range(1, 6))
    saved(tmp_path, "res2d1d_large", *range(11, 16))
    saved(tmp_path, "res2d1d", 6)
    assert steps_of(tmp_path, "res2d1d_large") == [11, 12, 13, 14, 15]
    assert steps_of(tmp_path, "res2d1d") == [2, 3, 4, 5, 6]
    assert checkpoint.latest(tmp_path).name == "res2d1d.ckpt-6"


def test_the_highest_step_is_the_latest_where_the_last_one_has_been_removed_or_is_not_known(tmp_path):
    saved(tmp_path, "conv", 1, 9, 2)
    checkpoint.path_of(tmp_path, "conv", 2).unlink()
    assert checkpoint.latest(tmp_path).name == "conv.ckpt-9"
    (tmp_path / "latest").unlink()
    assert checkpoint.latest(tmp_path).name == "conv.ckpt-9"


def test_a_file_that_was_being_written_is_not_taken_for_one(tmp_path):
    checkpoint.save(checkpoint.path_of(tmp_path, "conv", 1), Checkpoint(1, {}, NUMBERS))
    (tmp_path / ".conv.ckpt-2.tmp").write_bytes(b"half")
    assert checkpoint.latest(tmp_path).name == "conv.ckpt-1"


def test_what_is_no_checkpoint_is_told(tmp_path):
    with pytest.raises(ModelError, match="no checkpoint there"):
        checkpoint.latest(tmp_path)
    wrong = tmp_path / "conv.ckpt-1"
    wrong.write_bytes(b"PK\x03\x04 but truncated")
    for path in (wrong, tmp_path / "missing"):
        with pytest.raises(ModelError, match="no checkpoint of kwsd-train"):
            checkpoint.load(path)


def test_arrays_of_something_else_are_no_checkpoint(tmp_path):
    for header in (b"{}", b"[]", b"1"):
        path = tmp_path / "other.npz"
        np.savez(path, header=np.frombuffer(header, np.uint8))
        with pytest.raises(ModelError, match="no checkpoint of kwsd-train"):
            checkpoint.load(path)


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        checkpoint.save(tmp_path / "missing" / "conv.ckpt-1", Checkpoint(1, {}, NUMBERS))
