"""Change a .tflite file without knowing all of its schema: unchanged parts keep their bytes.

Unsigned offsets of a flatbuffer only point forward. So new objects that refer to old tables (the root table, the lists
of buffers and of metadata) go in front of the old bytes, and new objects without references go behind them::

    root, lists of buffers and metadata | old bytes, some offsets changed | shapes, scales, data

Replaced objects stay in the old bytes, where nothing refers to them.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kwsd.model.tflite.flatbuffer import MalformedError
from kwsd.model.tflite.schema import IDENTIFIER, SCHEMA

ALIGNMENT = 16
"""Alignment of a buffer's data, and hence of the old bytes, as required by schema.fbs."""

_ROOT_ROOM, _TABLE_ROOM = 128, 32

_VERSION, _SUBGRAPHS, _BUFFERS, _METADATA = 0, 2, 4, 6
_TENSORS, _SHAPE, _QUANTIZATION, _SHAPE_SIGNATURE = 0, 0, 4, 7
_BUFFER_VTABLE = struct.pack("<3H", 6, 8, 4)
_ENTRY_VTABLE = struct.pack("<4H", 8, 12, 4, 8)
_QUANTIZATION_VTABLE = struct.pack("<9H", 18, 16, 0, 0, 4, 8, 0, 0, 12)


@dataclass(frozen=True, slots=True)
class TensorChange:
    """New properties of a tensor of the first graph.

    Attributes:
        shape: its new sizes.
        scales, zero_points: its new quantisation, one of each, or one per size along ``axis``; none to leave it.
    """

    shape: Sequence[int]
    scales: Sequence[float] = ()
    zero_points: Sequence[int] = ()
    axis: int = 0


def rewrite(
    data: bytes,
    *,
    buffers: Mapping[int, bytes],
    tensors: Mapping[int, TensorChange],
    entries: Mapping[str, bytes],
) -> bytes:
    """``data`` with other contents.

    Args:
        data: a .tflite file that `kwsd.model.tflite.graph.read` has accepted.
        buffers: index of a buffer -> its new content.
        tensors: index of a tensor of the first graph -> its new shape and quantisation.
        entries: name of a metadata entry -> its content; other entries stay.

    Raises:
        MalformedError: the file has no metadata, or has data outside the flatbuffer.
    """
    return _Rewriter(data, len(buffers) + len(entries), len(entries)).written(buffers, tensors, entries)


class _Rewriter:
    """Positions are those in the new file.

    Args:
        data: the old file.
        new_buffers, new_entries: their maximum numbers.
    """

    def __init__(self, data: bytes, new_buffers: int, new_entries: int) -> None:
        root = _follow(data, 0)
        for field, name in ((_BUFFERS, "buffers"), (_METADATA, "metadata"), (_SUBGRAPHS, "graphs")):
            if _slot(data, root, field) is None:
                raise MalformedError(f"it has no {name}")
        old_buffers, old_entries = _tables(data, root, _BUFFERS), _tables(data, root, _METADATA)
        room = _ROOT_ROOM + 4 * (len(old_buffers) + len(old_entries)) + _TABLE_ROOM * (new_buffers + new_entries)
        self._front = -(-room // ALIGNMENT) * ALIGNMENT
        self._out = bytearray(self._front) + data
        self._end = 8  # of the part in front
        self._root = root + self._front
        self._old_buffers = [table + self._front for table in old_buffers]
        self._old_entries = [table + self._front for table in old_entries]

    def written(
        self, buffers: Mapping[int, bytes], tensors: Mapping[int, TensorChange], entries: Mapping[str, bytes]
    ) -> bytes:
        places = {_name(self._out, table): self._buffer_of(table) for table in self._old_entries}
        contents = dict(buffers)
        new = [name for name in entries if name not in places]
        places |= {name: len(self._old_buffers) + i for i, name in enumerate(new)}
        contents |= {places[name]: content for name, content in entries.items()}
        for index, change in tensors.items():
            self._change(index, change)
        root = self._new_root()
        buffer_list = self._list(len(self._old_buffers) + len(new))
        entry_list = self._list(len(self._old_entries) + len(new))
        for i in range(len(self._old_buffers) + len(new)):
            table = self._new_buffer(contents[i]) if i in contents else self._old_buffers[i]
            self._point(buffer_list + 4 + 4 * i, table)
        kept = [*self._old_entries, *(self._new_entry(name, places[name]) for name in new)]
        for i, table in enumerate(kept):
            self._point(entry_list + 4 + 4 * i, table)
        for field, place in ((_BUFFERS, buffer_list), (_METADATA, entry_list)):
            slot = _slot(self._out, root, field)
            assert slot is not None
            self._point(slot, place)
        return bytes(self._out)

    def _buffer_of(self, entry: int) -> int:
        slot = _slot(self._out, entry, 1)
        return 0 if slot is None else _number(self._out, slot)

    def _new_root(self) -> int:
        """A copy of the root table whose offsets refer to the same targets."""
        out, old = self._out, self._root
        vtable = old - _signed(out, old)
        vtable_bytes, table_bytes = struct.unpack_from("<2H", out, vtable)
        if vtable_bytes > 4 + 2 * len(SCHEMA["Model"]):
            raise MalformedError("its root table has fields that are not known")
        new = self._table(bytes(out[vtable : vtable + vtable_bytes]), table_bytes)
        for field in range(vtable_bytes // 2 - 2):
            source, target = _slot(out, old, field), _slot(out, new, field)
            if source is None or target is None:
                continue
            if field == _VERSION:
                out[target : target + 4] = out[source : source + 4]
            else:
                self._point(target, _follow(out, source))
        struct.pack_into("<I4s", out, 0, new, IDENTIFIER)
        return new

    def _change(self, index: int, change: TensorChange) -> None:
        graph = _tables(self._out, self._root, _SUBGRAPHS)[0]
        tensor = _tables(self._out, graph, _TENSORS)[index]
        for field in (_SHAPE, _SHAPE_SIGNATURE):
            if (slot := _slot(self._out, tensor, field)) is not None:
                self._point(slot, self._vector("i", change.shape))
        if not change.scales:
            return
        slot = _slot(self._out, tensor, _QUANTIZATION)
        if slot is None:
            raise MalformedError(f"tensor {index} is not quantised")
        table = self._tail_table(_QUANTIZATION_VTABLE, 16)
        self._point(slot, table)
        self._point(table + 4, self._vector("f", change.scales))
        self._point(table + 8, self._vector("q", change.zero_points))
        struct.pack_into("<i", self._out, table + 12, change.axis)

    def _new_buffer(self, content: bytes) -> int:
        table = self._table(_BUFFER_VTABLE, 8)
        self._point(table + 4, self._vector("B", content))
        return table

    def _new_entry(self, name: str, buffer: int) -> int:
        table = self._table(_ENTRY_VTABLE, 12)
        self._point(table + 4, self._vector("B", name.encode(), after=b"\0"))
        struct.pack_into("<I", self._out, table + 8, buffer)
        return table

    # In front of the old bytes.

    def _claim(self, count: int) -> int:
        place = -(-self._end // 4) * 4
        self._end = place + count
        assert self._end <= self._front
        return place

    def _list(self, count: int) -> int:
        place = self._claim(4 + 4 * count)
        struct.pack_into("<I", self._out, place, count)
        return place

    def _table(self, vtable: bytes, size: int) -> int:
        place = self._claim(len(vtable))
        self._out[place : place + len(vtable)] = vtable
        table = self._claim(size)
        struct.pack_into("<i", self._out, table, table - place)
        return table

    # Behind them.

    def _tail_table(self, vtable: bytes, size: int) -> int:
        self._align(4)
        place = len(self._out)
        self._out += vtable
        self._align(4)
        table = len(self._out)
        self._out += struct.pack("<i", table - place) + bytes(size - 4)
        return table

    def _vector(self, code: str, values: Sequence[float] | bytes, after: bytes = b"") -> int:
        """A vector whose first item is at a multiple of ALIGNMENT."""
        self._align(ALIGNMENT, before=4)
        place = len(self._out)
        content = values if isinstance(values, bytes) else struct.pack(f"<{len(values)}{code}", *values)
        self._out += struct.pack("<I", len(values)) + content + after
        self._align(4)
        return place

    def _align(self, multiple: int, before: int = 0) -> None:
        self._out += bytes(-(len(self._out) + before) % multiple)

    def _point(self, slot: int, target: int) -> None:
        struct.pack_into("<I", self._out, slot, target - slot)


Content = bytes | bytearray


def _number(data: Content, at: int) -> int:
    return int(struct.unpack_from("<I", data, at)[0])


def _signed(data: Content, at: int) -> int:
    return int(struct.unpack_from("<i", data, at)[0])


def _follow(data: Content, slot: int) -> int:
    return slot + _number(data, slot)


def _slot(data: Content, table: int, field: int) -> int | None:
    """Where a field of a table is; None if it does not have it."""
    vtable = table - _signed(data, table)
    if 4 + 2 * field + 2 > struct.unpack_from("<H", data, vtable)[0]:
        return None
    offset = struct.unpack_from("<H", data, vtable + 4 + 2 * field)[0]
    return table + offset if offset else None


def _tables(data: Content, table: int, field: int) -> list[int]:
    """The tables listed by a field."""
    slot = _slot(data, table, field)
    if slot is None:
        return []
    vector = _follow(data, slot)
    return [_follow(data, vector + 4 + 4 * i) for i in range(_number(data, vector))]


def _name(data: Content, entry: int) -> str:
    slot = _slot(data, entry, 0)
    if slot is None:
        return ""
    place = _follow(data, slot)
    return bytes(data[place + 4 : place + 4 + _number(data, place)]).decode()
