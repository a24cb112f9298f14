"""Finds the recordings: files, folders, lists of them, addresses."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kwsd.errors import InputError
from kwsd.scan import storage

_BY_LIBSNDFILE = ".wav .wave .flac .ogg .oga .opus .mp3 .aif .aiff .aifc .au .snd .caf .w64 .rf64"
_BY_FFMPEG = ".m4a .aac .mp4 .m4b .3gp .amr .wma .webm .mkv .mka .mov .avi .ac3"
ENDINGS = frozenset(f"{_BY_LIBSNDFILE} {_BY_FFMPEG}".split())
"""Extensions of recordings in a folder. A file that is named itself is read regardless of its extension."""


@dataclass(frozen=True)
class Recording:
    """A recording that was found.

    Attributes:
        address: its path, or its address for fsspec.
        bytes: its size, if known.
        root: the folder that was searched, or its own folder.
    """

    address: str
    bytes: int | None
    root: str


def find(named: Iterable[str], told: Callable[[InputError, bool], None]) -> Iterator[Recording]:
    """The named recordings, each once; folders are searched recursively, in order of names.

    Args:
        told: called with what cannot be read, and whether it counts as a failed recording.
    """
    seen: set[str] = set()
    for name in named:
        faults: list[InputError] = []

        def tell(error: InputError, counts: bool, faults: list[InputError] = faults) -> None:
            faults.append(error)
            told(error, counts)

        try:
            each = None
            for each in _of(name, tell):
                if (key := _key(each.address)) not in seen:
                    seen.add(key)
                    yield each
            if each is None and not faults:
                raise InputError(name, "there is no recording in it")
        except InputError as error:
            told(error, True)


def _key(address: str) -> str:
    """The same for each spelling of a path."""
    return os.path.abspath(address) if storage.is_local(address) else address  # noqa: PTH100 - links stay as they are


def read_list(path: str) -> list[str]:
    """The lines of a list of files, without empty ones and those that begin with #. Raises InputError."""
    try:
        data = Path(path).read_bytes() if path != "-" else os.fdopen(os.dup(0), "rb").read()
    except OSError as error:
        raise InputError(path, error.strerror or str(error)) from error
    lines = [os.fsdecode(line.rstrip(b"\r")) for line in data.split(b"\n")]
    return [line for line in lines if line.strip() and not line.startswith("#")]


def _of(name: str, told: Callable[[InputError, bool], None]) -> Iterator[Recording]:
    if not storage.is_local(name):
        files, root = storage.listed(name)
        for address, size in files:
            if root is None:
                yield Recording(address, size, address.rpartition("/")[0])
            elif _is_recording(address) and "/." not in address.removeprefix(root):
                yield Recording(address, size, root)
        return
    if os.path.isdir(name):  # noqa: PTH112 - False, not an error, where a name is too long
        yield from _below(name, told)
        return
    _check_name(name)
    try:
        yield Recording(name, Path(name).stat().st_size, str(Path(name).parent))
    except OSError as error:
        raise InputError(name, error.strerror or str(error)) from error
    except ValueError as error:  # a zero byte in a list
        raise InputError(name, str(error)) from error


def _below(root: str, told: Callable[[InputError, bool], None]) -> Iterator[Recording]:
    visited: set[tuple[int, int]] = set()

    def failed(error: OSError) -> None:
        told(InputError(_shown(str(error.filename)), error.strerror or str(error)), True)

    for folder, folders, files in os.walk(root, followlinks=True, onerror=failed):
        status = Path(folder).stat()
        if (status.st_dev, status.st_ino) in visited:
            told(InputError(_shown(folder), "leads back to a folder that was searched before; left out"), False)
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for file in sorted(each for each in files if _is_recording(each)):
            path = os.path.join(folder, file)  # noqa: PTH118 - a Path would drop a leading ./
            try:
                _check_name(path)
                yield Recording(path, Path(path).stat().st_size, root)
            except InputError as error:
                told(error, True)
            except OSError as error:
                told(InputError(path, error.strerror or str(error)), True)


def _is_recording(name: str) -> bool:
    base = name.rpartition("/")[2]
    return not base.startswith(".") and os.path.splitext(base)[1].lower() in ENDINGS  # noqa: PTH122


def _check_name(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            _shown(name), "its name is not UTF-8, so that no result could name it", "Rename it."
        ) from error


def _shown(name: str) -> str:
    return os.fsencode(name).decode(errors="backslashreplace")
