"""The structural check: what is no sound .tflite file is found before any runtime sees it."""

import struct
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kwsd.model.tflite import cost, flatbuffer, graph
from kwsd.model.tflite.flatbuffer import MalformedError

MODELS = Path(__file__).parents[2] / "fixtures" / "models"
FILES = {path.stem: path.read_bytes() for path in sorted(MODELS.glob("*.tflite"))}
DETECTABLE = ("rows-int8", "foreign", "waveform")


def refused(data: bytes, why: str) -> None:
    with pytest.raises(MalformedError, match=why):
        graph.read(data)


@pytest.mark.parametrize("name", FILES)
def test_a_sound_file_is_read_to_its_last_byte(name):
    found = graph.read(FILES[name])
    assert found.inputs and len(found.outputs) == 1
    assert ("KWSD" in found.metadata) == (name != "foreign")


@pytest.mark.parametrize("name", DETECTABLE)
def test_a_file_that_was_cut_off_is_refused_at_every_length(name):
    data = FILES[name]
    for length in range(len(data)):
        with pytest.raises(MalformedError):
            graph.read(data[:length])


def test_something_behind_the_model_is_refused_but_an_archive_is_not():
    data = FILES["rows"]
    refused(data + b"\1" * 4, "4 bytes follow")
    refused(data + b"\0" * 16 + b"more", "20 bytes follow")
    packed = BytesIO(data)
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("labels.txt", "yes\nno\n")
    with_labels = packed.getvalue()
    assert graph.read(with_labels) == graph.read(data)
    for length in range(len(data) + 1, len(with_labels)):
        with pytest.raises(MalformedError):
            graph.read(with_labels[:length])


def test_what_is_no_model_at_all_is_told_by_kind():
    refused(b"", "empty")
    refused(b"version https://git-lfs.github.com/spec/v1\n", "no TFL3")
    refused(b"\x00\x00\x00\x00TFL3", "leads nowhere")
    refused(b"\xff\xff\xff\xffTFL3", "truncated or damaged")
    refused(bytes(graph.FILE_BYTES_MAX + 1), "64 MiB")


def test_many_offsets_to_one_table_end_at_a_bound():
    """A file of 4 MB could otherwise name a million graphs, each a reader's work."""
    count = flatbuffer.TABLES_MAX + 10
    vtable = struct.pack("<5H", 10, 8, 0, 0, 4)  # one field: subgraphs
    subgraph_vtable = struct.pack("<2H", 4, 4)
    start = 20
    body = struct.pack("<i", start - 8) + struct.pack("<I", 4) + struct.pack("<I", count)
    vector_at = start + 12
    target = vector_at + 4 * count
    offsets = b"".join(struct.pack("<I", target - (vector_at + 4 * i)) for i in range(count))
    data = struct.pack("<I", start) + b"TFL3" + vtable + b"\0\0" + body + offsets
    data += struct.pack("<i", -4) + subgraph_vtable
    refused(data, "more than 100000 tables")


def patched(name: str, old: bytes, new: bytes) -> bytes:
    """The file with ``old``, which stands in it exactly once, made ``new``."""
    assert FILES[name].count(old) == 1 and len(old) == len(new)
    return FILES[name].replace(old, new)


def test_indices_that_name_nothing_and_constants_too_small_are_refused():
    shape = struct.pack("<5I", 4, 6, 8, 4, 1)  # of the convolution's filter: rank, sizes
    refused(patched("rows", shape, struct.pack("<5I", 4, 6, 8, 4, 2)), "needs 1536 bytes but its buffer has 768")
    refused(patched("rows", shape, struct.pack("<5I", 4, 60000, 60000, 4, 1)), "larger than 256 MiB")
    refused(patched("rows", shape, struct.pack("<2I3i", 4, 6, 8, 4, -2)), "impossible shape")


def test_every_changed_byte_gives_a_graph_or_a_reason():
    """No other exception, whatever byte of a file is wrong."""
    for name in ("rows-int8", "waveform-open"):
        data = FILES[name]
        for at in range(0, len(data), 3):
            for value in (0, data[at] ^ 1, 0x7F, 0xFF):
                try:
                    found = graph.read(data[:at] + bytes([value]) + data[at + 1 :])
                except MalformedError as error:
                    assert str(error)
                else:
                    assert found.operators is not None


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from(sorted(FILES)),
    changes=st.lists(st.tuples(st.integers(0, 2**31), st.integers(0, 255)), min_size=1, max_size=12),
)
def test_damage_in_many_places_gives_a_graph_or_a_reason(name, changes):
    data = bytearray(FILES[name])
    for at, value in changes:
        data[at % len(data)] = value
    try:
        graph.read(bytes(data))
    except MalformedError as error:
        assert str(error)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_noise_behind_the_identifier_is_refused(noise):
    with pytest.raises(MalformedError):
        graph.read(struct.pack("<I", 8) + b"TFL3" + noise)


def test_trained_numbers_and_multiply_adds_are_counted_by_hand():
    """rows: conv 6 x 8 x 4 x 1 + 6, depthwise 3 x 3 x 6 + 6, dense 264 x 4 + 4; 11 x 4 positions of the convolution."""
    parameters = 6 * 8 * 4 + 6 + 3 * 3 * 6 + 6 + 264 * 4 + 4
    multiply_adds = 11 * 4 * 6 * (8 * 4) + 11 * 4 * 6 * 9 + 264 * 4
    for name in ("rows", "rows-int8", "rows-batch", "rows-logits"):
        found = graph.read(FILES[name])
        assert (cost.parameters(found), cost.multiply_adds(found)) == (parameters, multiply_adds)
