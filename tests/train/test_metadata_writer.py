"""The training tool's writer of metadata: kwsd reads back what was written, and the model stays what it was."""

from pathlib import Path

import pytest

from kwsd.errors import ModelError
from kwsd.model import load, metadata
from kwsd.model.tflite import graph

pytest.importorskip("ai_edge_litert", reason="the writer needs the schema in ai-edge-litert")
from kwsd_train.export import metadata_writer

MODELS = Path(__file__).parents[1] / "fixtures" / "models"


@pytest.fixture
def described():
    """A model's metadata, as a dict of its own."""
    return metadata.parse(graph.read((MODELS / "rows-logits.tflite").read_bytes()).metadata["KWSD"], "rows-logits")


@pytest.mark.parametrize("name", ["foreign", "rows-int8", "rows", "waveform"])
def test_what_was_written_is_read_and_nothing_else_changed(name, described):
    model = (MODELS / f"{name}.tflite").read_bytes()
    written = metadata_writer.write(model, described | {"name": "Wörter"})
    before, after = graph.read(model), graph.read(written)
    assert metadata.parse(after.metadata["KWSD"], name) == described | {"name": "Wörter"}
    assert after.operators == before.operators and after.tensors == before.tensors
    assert {**after.metadata, "KWSD": b""} == {**before.metadata, "KWSD": b""}


def test_the_same_metadata_gives_the_same_bytes_whatever_was_there_before(described):
    model = (MODELS / "foreign.tflite").read_bytes()
    other = metadata_writer.write(model, described | {"licence": "another, longer one"})
    assert metadata_writer.write(other, described) == metadata_writer.write(model, described)


def test_a_written_model_is_cut_off_nowhere_unnoticed(described):
    written = metadata_writer.write((MODELS / "rows-int8.tflite").read_bytes(), described)
    for length in range(len(written)):
        with pytest.raises(graph.MalformedError):
            graph.read(written[:length])


def test_a_written_model_scores_as_before(tmp_path, described, monkeypatch):
    import numpy as np

    monkeypatch.delenv("KWSD_BACKEND", raising=False)
    (tmp_path / "m.tflite").write_bytes(metadata_writer.write((MODELS / "foreign.tflite").read_bytes(), described))
    rows = np.sin(np.arange(490, dtype=np.float32)).reshape(49, 10)
    new, old = load(tmp_path / "m.tflite"), load(MODELS / "rows-logits.tflite")
    assert new.scores(rows).tolist() == old.scores(rows).tolist()


def test_metadata_that_kwsd_would_refuse_is_not_written(described):
    with pytest.raises(ModelError, match="unknown key 'colour'"):
        metadata_writer.write((MODELS / "foreign.tflite").read_bytes(), described | {"colour": "red"})
