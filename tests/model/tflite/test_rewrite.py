"""Changed .tflite files: what was asked for is changed, whatever else was in the file is still there."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kwsd import model as models
from kwsd.model.metadata import ENTRY
from kwsd.model.tflite import graph
from kwsd.model.tflite.flatbuffer import MalformedError
from kwsd.model.tflite.rewrite import TensorChange, rewrite

ROOT = Path(__file__).parents[3]
FIXTURES = ROOT / "tests" / "fixtures" / "models"
FILES = {
    path.stem: path.read_bytes()
    for path in (*sorted(FIXTURES.glob("*.tflite")), *sorted((ROOT / "models").glob("tiny*.tflite")))
    if path.stem != "foreign"  # it has no metadata
}
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)


@given(st.sampled_from(sorted(FILES)), st.dictionaries(NAMES, st.binary(max_size=500), max_size=4))
@settings(max_examples=60, deadline=None)
def test_entries_are_added_and_replaced_and_all_else_stays(name, entries):
    before = graph.read(FILES[name])
    after = graph.read(rewrite(FILES[name], buffers={}, tensors={}, entries=entries))
    assert (after.tensors, after.operators, after.inputs, after.outputs) == (
        before.tensors,
        before.operators,
        before.inputs,
        before.outputs,
    )
    assert {key: bytes(value) for key, value in after.metadata.items()} == {
        **{key: bytes(value) for key, value in before.metadata.items()},
        **entries,
    }


@given(st.sampled_from(sorted(FILES)), st.lists(st.dictionaries(NAMES, st.binary(max_size=60), max_size=2), max_size=4))
@settings(max_examples=20, deadline=None)
def test_a_changed_file_can_be_changed_again(name, steps):
    data, wanted = FILES[name], {}
    for entries in steps:
        data = rewrite(data, buffers={}, tensors={}, entries=entries)
        wanted |= entries
    found = graph.read(data).metadata
    assert {key: bytes(found[key]) for key in wanted} == wanted


@pytest.mark.parametrize("name", [name for name in FILES if name not in ("waveform-nan", "waveform-unknown-op")])
def test_an_unchanged_model_gives_its_scores(name, tmp_path):
    path = tmp_path / f"{name}.tflite"
    old = models.load(FIXTURES / path.name if (FIXTURES / path.name).exists() else ROOT / "models" / path.name)
    path.write_bytes(rewrite(FILES[name], buffers={}, tensors={}, entries={"more": b"x" * 99}))
    new = models.load(path)
    clip = np.random.default_rng(1).normal(0, 0.1, old.clip_samples).astype(np.float32)
    np.testing.assert_array_equal(new.scores(new.features(clip)), old.scores(old.features(clip)))


def test_shape_and_quantisation_of_a_tensor_are_what_was_asked_for():
    data = FILES["tiny"]
    found = graph.read(data)
    place = next(i for i, tensor in enumerate(found.tensors) if len(tensor.scales) == 12 and len(tensor.shape) == 2)
    width = found.tensors[place].shape[1]
    scales = tuple(float(np.float32(0.01 * (i + 1))) for i in range(3))
    content = bytes(3 * width)
    changed = rewrite(
        data,
        buffers={found.tensors[place].buffer: content},
        tensors={place: TensorChange((3, width), scales, (0, 0, 0))},
        entries={},
    )
    tensor = graph.read(changed).tensors[place]
    assert (tensor.shape, tensor.scales, tensor.zero_points) == ((3, width), scales, (0, 0, 0))
    others = [tensor for i, tensor in enumerate(graph.read(changed).tensors) if i != place]
    assert others == [tensor for i, tensor in enumerate(found.tensors) if i != place]


def test_data_lies_where_the_runtime_wants_it():
    """At multiples of 16 from the file's beginning."""
    content = bytes(range(1, 100))
    changed = rewrite(FILES["tiny"], buffers={}, tensors={}, entries={ENTRY: content, "more": content[::-1]})
    assert changed.index(content) % 16 == 0
    assert changed.index(content[::-1]) % 16 == 0


def test_a_file_without_metadata_is_refused():
    data = bytearray(FILES["tiny"])
    root = struct.unpack_from("<I", data, 0)[0]
    vtable = root - struct.unpack_from("<i", data, root)[0]
    struct.pack_into("<H", data, vtable + 4 + 2 * 6, 0)  # the root table's field of metadata
    with pytest.raises(MalformedError, match="no metadata"):
        rewrite(bytes(data), buffers={}, tensors={}, entries={})
