"""Downloads a large file over HTTP, in as many connections as needed.

Partial downloads are in PATH.part and are resumed, in the same run or a later one. PATH.part.etag identifies the
version of the file (RFC 9110, If-Range), so that two versions are never joined.
"""

import hashlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from kwsd.errors import InputError, KwsdError, OutputError, UsageError

TRIES = 6
"""Number of successive connections that may bring nothing new."""

_BLOCK = 1 << 18
_TIMEOUT_S = 30.0

PAUSE_S = 1.0
"""Pause before the second attempt; doubled before each further one, up to 30 s."""

_PAUSE_MAX_S = 30.0

Progress = Callable[[int, int | None], None]


class _Answer(NamedTuple):
    start: int
    """Where in the file the body begins."""
    total: int | None
    version: str
    """A strong ETag, or the time of the last change; empty if the server sends neither."""


def fetch(url: str, path: Path, progress: Progress) -> None:
    """Download ``url`` to ``path``, which appears when it is complete.

    Args:
        progress: called with the bytes so far, and their total.

    Raises:
        UsageError: not an http or https address.
        InputError: the server rejects the request, or always breaks off.
        OutputError: it cannot be written. The partial file stays for the next run.
    """
    if not url.lower().startswith(("http://", "https://")):
        raise UsageError("--data_url", f"{url!r} is not an http or https address")
    part = path.with_name(path.name + ".part")
    failures, before = 0, _size(part)
    while True:
        try:
            complete = _go_on(url, part, progress)
            why = "it broke off"
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500 and error.code not in (408, 429):
                raise InputError(url, f"the server says {error.code} {error.reason}", "Check --data_url.") from error
            complete, why = False, f"the server says {error.code} {error.reason}"
        except http.client.InvalidURL as error:
            raise UsageError("--data_url", str(error)) from error
        except (urllib.error.URLError, http.client.HTTPException, ValueError, OSError) as error:
            complete, why = False, str(getattr(error, "reason", error)) or type(error).__name__
        if complete:
            break
        now = _size(part)
        failures = 1 if now > before else failures + 1
        before = now
        if failures >= TRIES:
            raise InputError(url, f"cannot be downloaded: {why}", "Run it again to resume.")
        time.sleep(min(PAUSE_S * 2 ** (failures - 1), _PAUSE_MAX_S))
    try:
        part.replace(path)
    except OSError as error:
        raise OutputError(str(path), f"cannot be written: {error.strerror}") from error
    _etag_file(part).unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """The file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _go_on(url: str, part: Path, progress: Progress) -> bool:
    """One connection; returns whether the file is complete."""
    there, version = _size(part), _version(part)
    headers = {"Accept-Encoding": "identity", "User-Agent": "kwsd-train"}
    if there and version:
        headers |= {"Range": f"bytes={there}-", "If-Range": version}
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not there:
            raise
        error.close()
        if error.headers.get("Content-Range", "").rpartition("/")[2] == str(there):
            return True  # it was complete already
        _forget(part)
        return False
    with response:
        answer = _understood(response)
        if answer.start and (answer.start != there or answer.version != version):
            _forget(part)  # a part of another version, or not the requested part
            return False
        _write(part, answer, response, progress)
    return answer.total is None or _size(part) == answer.total


def _understood(response: Any) -> _Answer:
    etag = response.headers.get("ETag", "")
    version = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")
    if response.status == 206:  # Content-Range: bytes 100-199/200
        unit_and_range, _, total = response.headers.get("Content-Range", "").partition("/")
        start = int(unit_and_range.removeprefix("bytes ").partition("-")[0])
        return _Answer(start, int(total), version)
    length = response.headers.get("Content-Length", "")
    return _Answer(0, int(length) if length.isdecimal() else None, version)


def _write(part: Path, answer: _Answer, response: Any, progress: Progress) -> None:
    """Write the body at its place. Raises OutputError, or errors of reading."""

    def told(error: OSError) -> KwsdError:
        return OutputError(str(part), f"cannot be written: {error.strerror}", "Make room, then run it again to resume.")

    try:
        _etag_file(part).write_text(answer.version)
        file = part.open("r+b" if answer.start else "wb")
    except OSError as error:
        raise told(error) from error
    with file:
        file.seek(answer.start)
        there = answer.start
        while block := response.read(_BLOCK):
            try:
                file.write(block)
                file.flush()
            except OSError as error:
                raise told(error) from error
            there += len(block)
            progress(there, answer.total)


def _etag_file(part: Path) -> Path:
    return part.with_name(part.name + ".etag")


def _version(part: Path) -> str:
    try:
        return _etag_file(part).read_text()
    except FileNotFoundError:
        return ""


def _size(part: Path) -> int:
    try:
        return part.stat().st_size
    except FileNotFoundError:
        return 0


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _etag_file(part).unlink(missing_ok=True)
