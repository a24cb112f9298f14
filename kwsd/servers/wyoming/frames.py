"""The frames of the Wyoming protocol, with no I/O in it: https://github.com/OHF-Voice/wyoming

A frame is a line of JSON, ``{"type", "data", "data_length", "payload_length"}``, then ``data_length`` bytes of JSON,
which update ``data``, then ``payload_length`` bytes of payload. All three are bounded here.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

LINE_MAX_BYTES = 8192
DATA_MAX_BYTES = 65_536
PAYLOAD_MAX_BYTES = 65_536
PROTOCOL_VERSION = "1.7.0"
"""The type of a frame; later data do not override it."""


class FrameError(ValueError):
    """What is wrong with a frame; the next one cannot be found after it."""


@dataclass(frozen=True)
class Frame:
    """One message."""

    type: str
    data: Mapping[str, Any] = field(default_factory=dict)
    payload: bytes = b""

    def encode(self) -> bytes:
        data = json.dumps(self.data, ensure_ascii=False).encode(errors="replace")
        head = {
            "type": self.type,
            "version": PROTOCOL_VERSION,
            "data_length": len(data),
            "payload_length": len(self.payload),
        }
        return json.dumps(head).encode() + b"\n" + data + self.payload


class FrameReader:
    """Bytes in pieces of any size -> frames."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._head: dict[str, Any] | None = None

    def push(self, data: bytes) -> Iterator[Frame]:
        """The frames completed by the bytes. Raises FrameError."""
        self._received += data
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> Frame | None:
        if self._head is None:
            line, found, _ = self._received.partition(b"\n")
            if len(line) > LINE_MAX_BYTES:
                raise FrameError(f"a line is longer than {LINE_MAX_BYTES} bytes")
            if not found:
                return None
            self._head = _head(bytes(line))
            del self._received[: len(line) + 1]
        data_length, payload_length = self._head["data_length"], self._head["payload_length"]
        if len(self._received) < data_length + payload_length:
            return None
        more = _object(bytes(self._received[:data_length])) if data_length else {}
        payload = bytes(self._received[data_length : data_length + payload_length])
        del self._received[: data_length + payload_length]
        head, self._head = self._head, None
        return Frame(head["type"], {**head["data"], **more}, payload)


def _head(line: bytes) -> dict[str, Any]:
    head = _object(line)
    if not isinstance(head.get("type"), str):
        raise FrameError("a frame has no type")
    data = head.get("data")
    lengths = {
        name: _length(name, head.get(name), most)
        for name, most in (("data_length", DATA_MAX_BYTES), ("payload_length", PAYLOAD_MAX_BYTES))
    }
    return {"type": head["type"], "data": data if isinstance(data, dict) else {}, **lengths}


def _length(name: str, value: Any, most: int) -> int:
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise FrameError(f"{name} is not a number from 0 to {most}")
    return value


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise FrameError("this is not a JSON object")
    return value
