"""Read a flatbuffer without trusting it: every offset, length and vtable is checked before it is followed.

Layout as in the flatbuffers project's "FlatBuffer internals": a table begins with a signed offset back to its vtable
(u16 size of the vtable, u16 size of the table, u16 offset of each field, 0 where absent); a field that is no scalar
holds an unsigned offset from itself to its target. These only lead forward, so no cycle is possible; the number of
tables is bounded, since many offsets may share one target.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

TABLES_MAX = 100_000
VTABLE_BYTES_MAX = 1024
"""Room for 510 fields; tables of TFLite's schema have a dozen."""


class MalformedError(Exception):
    """The bytes are not a flatbuffer of the expected schema; the message says why."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number inside the table; ``code`` as in the struct module."""

    code: str
    default: int = 0


@dataclass(frozen=True, slots=True)
class Numbers:
    """A vector of numbers, read as a numpy array; ``code`` as numpy names it."""

    code: str


@dataclass(frozen=True, slots=True)
class String:
    """UTF-8 that ends with a NUL, read as str."""


@dataclass(frozen=True, slots=True)
class Table:
    """Another table."""

    name: str


@dataclass(frozen=True, slots=True)
class Tables:
    """A vector of tables."""

    name: str


@dataclass(frozen=True, slots=True)
class Union:
    """A table whose kind is in the u8 field ``type_field``; of other kinds only the frame is checked."""

    type_field: int
    names: Mapping[int, str]


Field = Scalar | Numbers | String | Table | Tables | Union
Schema = Mapping[str, Mapping[int, tuple[str, Field]]]
UNKNOWN: Mapping[int, tuple[str, Field]] = {}


class Reader:
    """Reads ``data`` according to ``schema``.

    Attributes:
        end: position after the last byte of everything read so far.
    """

    def __init__(self, data: bytes, schema: Schema) -> None:
        self.end = 0
        self._data = data
        self._schema = schema
        self._tables = 0
        self._read_bytes = 0

    def root(self, name: str) -> dict[str, Any]:
        """The root table as a dict of its fields; absent ones are None (tables, strings), empty, or their default."""
        self._claim(0, 8)
        return self._table(self._target(0), name)

    def _claim(self, at: int, count: int) -> None:
        if at < 0 or at + count > len(self._data):
            raise MalformedError(f"it points to byte {at + count} of {len(self._data)}: truncated or damaged")
        self.end = max(self.end, at + count)

    def _number(self, code: str, at: int) -> Any:
        self._claim(at, struct.calcsize(code))
        return struct.unpack_from(code, self._data, at)[0]

    def _target(self, at: int) -> int:
        """The target of the offset at ``at``."""
        offset = self._number("<I", at)
        if offset == 0:
            raise MalformedError(f"the offset at byte {at} leads nowhere")
        return int(at + offset)

    def _vector(self, at: int, item_bytes: int) -> tuple[int, int]:
        """Position of the first item, number of items."""
        count = self._number("<I", at)
        self._claim(at + 4, count * item_bytes)
        self._read_bytes += 4 + count * item_bytes
        if self._read_bytes > 2 * len(self._data):  # many offsets may lead to one vector, read again each time
            raise MalformedError("its vectors and strings overlap: they hold more than the file")
        return at + 4, count

    def _table(self, at: int, name: str) -> dict[str, Any]:
        self._tables += 1
        if self._tables > TABLES_MAX:
            raise MalformedError(f"it has more than {TABLES_MAX} tables")
        vtable = at - self._number("<i", at)
        if at % 4:
            raise MalformedError(f"the table at byte {at} is not aligned")
        vtable_bytes, table_bytes = self._number("<H", vtable), self._number("<H", vtable + 2)
        if not 4 <= vtable_bytes <= VTABLE_BYTES_MAX or vtable_bytes % 2 or table_bytes < 4:
            raise MalformedError(f"the table at byte {at} has a broken vtable")
        self._claim(vtable, vtable_bytes)
        self._claim(at, table_bytes)
        offsets = struct.unpack_from(f"<{vtable_bytes // 2 - 2}H", self._data, vtable + 4)
        if any(offset >= table_bytes or 0 < offset < 4 for offset in offsets):
            raise MalformedError(f"the table at byte {at} has a field outside of itself")
        fields = self._schema.get(name, UNKNOWN)
        values: dict[str, Any] = {}
        for index, (key, field) in fields.items():
            offset = offsets[index] if index < len(offsets) else 0
            kind = 0
            if isinstance(field, Union) and field.type_field < len(offsets) and offsets[field.type_field]:
                kind = self._data[at + offsets[field.type_field]]
            values[key] = self._field(at + offset if offset else None, field, kind)
        return values

    def _field(self, at: int | None, field: Field, union_kind: int) -> Any:
        match field:
            case Scalar(code, default):
                return default if at is None else self._number("<" + code, at)
            case Numbers(code):
                kind = np.dtype("<" + code)
                if at is None:
                    return np.empty(0, kind)
                first, count = self._vector(self._target(at), kind.itemsize)
                return np.frombuffer(self._data, kind, count, first)
            case String():
                return None if at is None else self._string(self._target(at))
            case Table(name):
                return None if at is None else self._table(self._target(at), name)
            case Tables(name):
                if at is None:
                    return []
                first, count = self._vector(self._target(at), 4)
                return [self._table(self._target(first + 4 * i), name) for i in range(count)]
            case Union(_, names):
                return None if at is None else self._table(self._target(at), names.get(union_kind, ""))

    def _string(self, at: int) -> str:
        first, count = self._vector(at, 1)
        if self._number("<B", first + count) != 0:
            raise MalformedError(f"the string at byte {at} has no end")
        try:
            return self._data[first : first + count].decode()
        except UnicodeDecodeError as error:
            raise MalformedError(f"the string at byte {at} is not UTF-8") from error
