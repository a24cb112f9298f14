"""The folder of recordings: one folder per word; the oldest recordings are deleted by size and age.

A recording is called ``20261129-09_nohash_3000125.flac``, by the UTC time of its event: the part before
``_nohash_``, the hour, stands for Speech Commands' speaker, so that words said together are not split between training
and testing. Names sort by time. Files with other names are never counted or deleted.
"""

import contextlib
import os
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from kwsd.errors import ConfigError
from kwsd.sinks.place import why_unmakable
from kwsd.whole_file import folder_name

NEAR_MISSES = "_peak_"
LEFT_FREE = 0.1
"""Share of the allowed size to which the folder is reduced, so that it is not searched again for each recording."""

_NAME = re.compile(r"(\d{8}-\d{2})_nohash_(\d{4})\d{3}\.flac(\.part)?")


class Recording(NamedTuple):
    """An existing recording; ordered by age, oldest first."""

    name: str
    path: str
    bytes: int


def check_place(folder: str) -> None:
    """Raises ConfigError if recordings could not be kept there; creates nothing."""
    if (why := why_unmakable(Path(folder))) is not None:
        raise ConfigError(why)


class Shelf:
    """Keeps recordings in a folder, which it creates for its own user only. Used by one thread at a time.

    Args:
        max_bytes: limit of all recordings together.
        max_age_s: limit of a recording's age.

    Raises:
        ConfigError: the folder cannot be created or used.
    """

    def __init__(self, folder: str, max_bytes: int, max_age_s: float) -> None:
        self._folder, self._max_bytes, self._max_age_s = Path(folder), max_bytes, max_age_s
        try:
            self._folder.mkdir(0o700, exist_ok=True)
            for left in [found for found in self._recordings() if found.path.endswith(".part")]:  # of a killed kwsd
                _delete(left.path)
        except OSError as error:
            raise ConfigError(f"sinks: clips: folder: {folder!r} cannot be used: {error.strerror}") from error
        self._bytes = 0  # of all recordings, as far as known

    def keep(self, word: str, is_near_miss: bool, when: datetime, data: bytes) -> Path:
        """Writes a recording, which appears complete. Raises OSError."""
        top = self._folder / NEAR_MISSES if is_near_miss else self._folder
        folder = top / folder_name(word)
        path = _free_path(folder, when)
        part = f"{path}.part"
        if self._bytes + len(data) > self._max_bytes:
            self.tidy(len(data))
        for each in (self._folder, top, folder):
            each.mkdir(0o700, exist_ok=True)
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.rename(part, path)  # noqa: PTH104 - as strings, like all else here
        except OSError:
            _delete(part)
            raise
        self._bytes += len(data)
        return path

    def tidy(self, room_bytes: int = 0) -> int:
        """Deletes recordings that are too old, and the oldest until there is room; returns how many. Raises OSError."""
        found = sorted(self._recordings())
        self._bytes = sum(each.bytes for each in found)
        oldest = datetime.fromtimestamp(max(0.0, time.time() - self._max_age_s), UTC).strftime("%Y%m%d-%H_nohash_%M%S")
        allowed = self._max_bytes - room_bytes
        if self._bytes > allowed:
            allowed -= int(LEFT_FREE * self._max_bytes)
        deleted = 0
        for each in found:
            if self._bytes <= allowed and each.name >= oldest:
                break
            _delete(each.path)
            self._bytes -= each.bytes
            deleted += 1
        return deleted

    def _recordings(self) -> Iterator[Recording]:
        """kwsd's recordings, wherever in the folders of words the user has moved them."""
        for top in (self._folder, self._folder / NEAR_MISSES):
            for folder in _entries(top):
                if not folder.is_dir(follow_symlinks=False):
                    continue
                for entry in _entries_if_open(folder.path):
                    if _NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                        with contextlib.suppress(FileNotFoundError):
                            yield Recording(entry.name, entry.path, entry.stat(follow_symlinks=False).st_size)


def _entries(folder: str | Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def _entries_if_open(folder: str) -> list["os.DirEntry[str]"]:
    """None of a folder that is closed to kwsd, such as the lost+found of a mounted disk: no recording is kept there."""
    try:
        return _entries(folder)
    except PermissionError:
        return []


def _delete(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108


def _free_path(folder: Path, when: datetime) -> Path:
    """The path for a recording of that time, or of the next free millisecond."""
    moment = when.astimezone(UTC)
    number = int(f"{moment:%M%S}{moment.microsecond // 1000:03}")
    while (path := folder / f"{moment:%Y%m%d-%H}_nohash_{number:07}.flac").exists():
        number += 1
    return path
