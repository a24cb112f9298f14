"""The parts of an HTTP response that a webhook needs: the final status, and how long to wait.

A server that accepted an event must not get it again because of the form of its response: the status decides, whatever
headers follow. So interim responses (1xx) are skipped, and the number of headers is not limited.
"""

import re
from typing import BinaryIO, NamedTuple

HEAD_MAX_BYTES = 256 * 1024  # of everything before the body; nothing beyond it is read
SWITCHING_PROTOCOLS = 101  # final, although it begins with 1 (RFC 9110, 15.2.2)
BODILESS = frozenset({204, 304})

_STATUS_LINE = re.compile(rb"HTTP/[0-9]\.[0-9] ([1-9][0-9]{2})(?: [^\n]*)?\r?\n")


class NoAnswerError(Exception):
    """Not an HTTP response. The message says why, without showing any part of it."""


class Answer(NamedTuple):
    """The final status, and some headers as received.

    Attributes:
        body_bytes: length of the body; None if unknown.
    """

    status: int
    retry_after: str | None = None
    date: str | None = None
    body_bytes: int | None = None


def read_answer(stream: BinaryIO) -> Answer:
    """Reads up to the body. Raises NoAnswerError, and the stream's errors."""
    left_bytes = HEAD_MAX_BYTES
    while True:
        line = stream.readline(left_bytes)
        if not line:
            raise NoAnswerError("connection closed without an answer")
        match = _STATUS_LINE.fullmatch(line)
        if match is None:
            raise NoAnswerError("the answer is not HTTP")
        left_bytes -= len(line)
        headers: dict[bytes, str] = {}
        while (line := _header(stream, left_bytes)) not in (b"\r\n", b"\n", b""):
            left_bytes -= len(line)
            name, _, value = line.partition(b":")
            if (name := name.lower()) in (b"retry-after", b"date", b"content-length"):
                headers[name] = value.strip().decode("iso-8859-1")
        status = int(match[1])
        if status >= 200 or status == SWITCHING_PROTOCOLS:
            length = headers.get(b"content-length", "")
            body_bytes = int(length[:18]) if length.isascii() and length.isdigit() else None
            return Answer(
                status,
                headers.get(b"retry-after"),
                headers.get(b"date"),
                0 if status in BODILESS else body_bytes,
            )


def _header(stream: BinaryIO, limit_bytes: int) -> bytes:
    try:
        return stream.readline(limit_bytes)
    except ConnectionError:  # like the end of the stream: the status is known
        return b""
