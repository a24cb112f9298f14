"""Where recordings are: on this machine, or at an address for fsspec (``s3://``, ``gs://``, ``sftp://`` ...)."""

import contextlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kwsd.errors import InputError, UnavailableError

COPY_BYTES = 1 << 20
_WILDCARD = re.compile(r"[*?[]")
MEND = "pip install 'kwsd[scan]'"


def is_local(address: str) -> bool:
    """Whether it is a path, not an address."""
    return "://" not in address


@contextlib.contextmanager
def local(address: str) -> Iterator[str]:
    """The path of a recording: its own, or that of a temporary copy. Raises InputError."""
    if is_local(address):
        yield address
        return
    with tempfile.TemporaryDirectory(prefix="kwsd-scan-") as folder:
        copy = Path(folder) / "recording"
        with unreadable(address), _fsspec().open(address, "rb") as source, copy.open("wb") as file:
            while data := source.read(COPY_BYTES):
                file.write(data)
        yield str(copy)


def listed(address: str) -> tuple[list[tuple[str, int | None]], str | None]:
    """The files at an address or below it, each with its size in bytes where that is known; the folder searched, or
    None for a file.

    ``*``, ``?`` and ``[..]`` are wildcards, except in the name of something that exists. Raises InputError,
    UnavailableError.
    """
    with unreadable(address):
        system, path = _fsspec().core.url_to_fs(address)
        folder: str | None = None
        if (wildcard := _WILDCARD.search(path)) and not system.exists(path):
            found, folder = system.glob(path, detail=True), path[: wildcard.start()].rpartition("/")[0]
        elif system.isdir(path):
            found, folder = system.find(path, detail=True), path
        else:
            found = {path: system.info(path)}
    files = [
        (system.unstrip_protocol(name), details.get("size"))
        for name, details in sorted(found.items())
        if details.get("type") != "directory"
    ]
    return files, None if folder is None else system.unstrip_protocol(folder).rstrip("/")


@contextlib.contextmanager
def unreadable(address: str) -> Iterator[None]:
    """Turns any exception of a storage into an InputError: they raise their own, and those of their libraries."""
    try:
        yield
    except (InputError, UnavailableError):
        raise
    except ImportError as error:
        raise UnavailableError(address, str(error), "Install the package that it names.") from error
    except Exception as error:
        raise InputError(address, str(error) or type(error).__name__) from error


def _fsspec() -> Any:
    try:
        import fsspec
    except ImportError as error:
        raise UnavailableError("fsspec", "addresses need it, and it is not installed", MEND) from error
    return fsspec
