"""The last layer of a shipped model, read and put back with other rows: old logits are what they were."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kwsd import model as models
from kwsd.errors import ModelError
from kwsd.learn import last_layer
from kwsd.learn.fit import log_sum_exp
from kwsd.model.metadata import ENTRY

NAMES = ("tiny", "tiny-float32", "default", "default-float32", "accurate", "accurate-float32")


@pytest.fixture(scope="module")
def shipped():
    """Name -> (model, its bytes, its last layer)."""
    found = {}
    for name in NAMES:
        model = models.load(name)
        data = model.path.read_bytes()
        found[name] = model, data, last_layer.load(data, model.metadata["embedding"], name)
    return found


def heard(model, seed, level=0.05):
    """The features of a clip that is neither silence nor speech."""
    draw = np.random.default_rng(seed)
    noise = np.cumsum(draw.normal(0, 1, model.clip_samples)) * np.hanning(model.clip_samples)
    return model.features((level * noise / np.abs(noise).max()).astype(np.float32))


def changed(shipped, name, rows, labels, folder, highest=0.0):
    model, data, _ = shipped[name]
    metadata = {**model.metadata, "labels": labels, "recognize": {}}
    entry = {ENTRY: json.dumps(metadata).encode()}
    path = folder / f"{name}.tflite"
    path.write_bytes(last_layer.replace(data, metadata["embedding"], rows, entry, highest))
    return models.load(path)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_read_gives_the_models_own_scores(shipped, name):
    model, _, layer = shipped[name]
    for seed in range(5):
        rows = heard(model, seed)
        logits = layer.logits(model.embedding(rows).astype(np.float64)[None])[0]
        expected = np.exp(logits - log_sum_exp(logits[None]))
        np.testing.assert_allclose(model.scores(rows), expected, atol=0.02 if layer.highest < np.inf else 1e-5)


@given(data=st.data(), name=st.sampled_from(NAMES), more=st.integers(0, 25), seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_old_logits_are_what_they_were_before_they_share_with_new_ones(
    shipped, tmp_path_factory, data, name, more, seed
):
    """Any old labels in any order, any number of new ones; scores divided by their sum are the old ones'."""
    model, _, layer = shipped[name]
    kept = data.draw(st.lists(st.integers(0, 11), min_size=1, max_size=12, unique=True))
    draw = np.random.default_rng(seed)
    new = [(draw.normal(0, 0.2, layer.weights.shape[1]), float(draw.normal())) for _ in range(more)]
    labels = [model.labels[i] for i in kept] + [f"new {i}" for i in range(more)]
    learned = changed(shipped, name, [*kept, *new], labels, tmp_path_factory.mktemp("m"))
    rows = heard(model, seed)
    np.testing.assert_array_equal(learned.embedding(rows), model.embedding(rows))
    weights = np.concatenate([layer.weights[kept], *[row[None] for row, _ in new]])
    bias = np.concatenate([layer.bias[kept], [offset for _, offset in new]])
    logits = weights @ model.embedding(rows).astype(np.float64) + bias
    expected = np.exp(logits - log_sum_exp(logits[None]))
    whole = layer.highest == np.inf
    np.testing.assert_allclose(learned.scores(rows), expected, atol=1e-5 if whole else 0.04)
    read = last_layer.load(learned.path.read_bytes(), model.metadata["embedding"], "learned")
    np.testing.assert_array_equal(read.weights[: len(kept)], layer.weights[kept])
    np.testing.assert_array_equal(read.bias[: len(kept)], layer.bias[kept])
    np.testing.assert_allclose(read.weights, weights, atol=1e-7 if whole else np.abs(weights).max() / 127)


@pytest.mark.parametrize("name", ("tiny", "default", "accurate"))
def test_the_range_of_eight_bits_moves_up_for_a_row_that_needs_it(shipped, tmp_path, name):
    model, _, layer = shipped[name]
    rows = heard(model, 3)
    embedding = model.embedding(rows).astype(np.float64)
    wanted = layer.highest + 4
    row = wanted * embedding / (embedding @ embedding)
    old = [*range(12)]
    learned = changed(shipped, name, [*old, (row, 0.0)], [*model.labels, "lumos"], tmp_path, highest=wanted + 0.5)
    logits = np.append(layer.logits(embedding[None])[0], wanted)
    expected = np.exp(logits - log_sum_exp(logits[None]))
    np.testing.assert_allclose(learned.scores(rows), expected, atol=0.06)
    read = last_layer.load(learned.path.read_bytes(), model.metadata["embedding"], "learned")
    assert wanted <= read.highest < wanted + 1


@pytest.mark.parametrize("name", ("rows", "rows-int8", "waveform"))
def test_a_model_without_an_embedding_is_refused_in_one_line(name):
    path = Path(__file__).parents[1] / "fixtures" / "models" / f"{name}.tflite"
    with pytest.raises(ModelError, match=r"it has no embedding.*kwsd-train freeze --embedding") as refusal:
        last_layer.load(path.read_bytes(), "", str(path))
    assert len(refusal.value.lines) == 1
