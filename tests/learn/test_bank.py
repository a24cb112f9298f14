"""The bank of negatives: the shipped ones fit their models, and a damaged one is one line."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kwsd import model as models
from kwsd.errors import ModelError
from kwsd.learn import bank
from kwsd.model.catalogue import bundled

SHA = "0" * 64
FEATURES = 4


def content(**changes):
    arrays = {
        "sha256": np.array([SHA]),
        "scale": np.float32(0.1),
        "speech": np.arange(40, dtype=np.uint8).reshape(10, FEATURES),
        "ends": np.array([4, 10], np.int32),
        "stride_ms": np.int32(320),
        "words": np.ones((3, FEATURES), np.uint8),
        "labels": np.array(["yes", "Lumos", "_other_"]),
        "noise": np.zeros((2, FEATURES), np.uint8),
    } | changes
    file = io.BytesIO()
    np.savez_compressed(file, **{name: value for name, value in arrays.items() if value is not None})
    return file.getvalue()


def load(tmp_path, data):
    (tmp_path / "m.negatives.npz").write_bytes(data)
    return bank.load(tmp_path / "m-float32.tflite", SHA, FEATURES)


def refused(tmp_path, data):
    with pytest.raises(ModelError) as refusal:
        load(tmp_path, data)
    assert len(refusal.value.lines) == 1
    assert "m.negatives.npz" in str(refusal.value)
    return str(refusal.value)


@pytest.mark.parametrize("name", sorted(bundled()))
def test_every_shipped_model_has_negatives_of_at_most_a_megabyte(name):
    model = models.load(name)
    width = model.embedding(model.features(np.zeros(model.clip_samples, np.float32))).size
    found = bank.load(model.path, model.sha256, width)
    assert found.hours > 0.5
    assert {"yes", "no", "_other_"} <= set(found.labels)
    assert bank.path_of(model.path).stat().st_size <= 1_000_000


def test_numbers_are_real_ones_and_a_word_can_be_left_out(tmp_path):
    found = load(tmp_path, content())
    np.testing.assert_allclose(found.speech, 0.1 * np.arange(40).reshape(10, 4), rtol=1e-6)
    assert found.without("lumos").labels == ("yes", "_other_")
    assert len(found.without("lumos").words) == 2
    assert found.hours == pytest.approx(10 * 0.32 / 3600)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"speech": None}, "speech"),
        ({"labels": None}, "labels"),
        ({"speech": np.ones((10, 5), np.uint8)}, "not uint8 [n, 4]"),
        ({"words": np.ones((3, 4), np.float32)}, "not uint8 [n, 4]"),
        ({"noise": np.ones((0, 4), np.uint8)}, "noise"),
        ({"ends": np.array([10, 4], np.int32)}, "do not end"),
        ({"ends": np.array([4, 9], np.int32)}, "do not end"),
        ({"ends": np.array([[4, 10]], np.int32)}, "do not end"),
        ({"scale": np.float32(np.nan)}, "scale"),
        ({"scale": np.float32(-1)}, "scale"),
        ({"stride_ms": np.int32(0)}, "labels"),
        ({"labels": np.array(["yes"])}, "labels"),
        ({"labels": np.array([1, 2, 3])}, "labels"),
        ({"sha256": np.array(["1" * 64])}, "another version"),
        ({"speech": np.zeros((17_000_000, 4), np.uint8)}, "unpacks to more than 64 MiB"),
    ],
)
def test_a_wrong_bank_is_refused(tmp_path, changes, told):
    assert told in refused(tmp_path, content(**changes))


def test_none_at_all_is_refused(tmp_path):
    with pytest.raises(ModelError, match="no negatives beside it"):
        bank.load(tmp_path / "m.tflite", SHA, FEATURES)


def test_one_that_is_cut_off_is_refused_at_every_length(tmp_path):
    data = content()
    for length in range(0, len(data), 7):
        refused(tmp_path, data[:length])


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_whatever_is_no_archive_is_refused(tmp_path_factory, data):
    refused(tmp_path_factory.mktemp("b"), data)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_damaged_byte_is_refused_or_makes_no_difference(tmp_path_factory, data):
    whole = bytearray(content())
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        load(tmp_path_factory.mktemp("b"), bytes(whole))
    except ModelError as error:
        assert len(error.lines) == 1
