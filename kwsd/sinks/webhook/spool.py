"""A webhook's undelivered events, kept in a file so that a restart or SIGKILL does not lose them.

The file mirrors the sink's backlog: `mirror` makes it equal to the current queue. An event that is delivered before the
next update never touches the disk, and nothing else has to keep the two in step.

Whatever happens to the file, delivery continues: damaged rows are dropped and counted, a damaged file is set aside, and
while it is busy, full or gone, kwsd continues without it.
"""

import contextlib
import errno
import logging
import sqlite3
from collections.abc import Collection, Mapping, Set
from typing import NamedTuple

from kwsd.errors import ConfigError
from kwsd.events import DetectionEvent
from kwsd.sinks.webhook.spool_file import SpoolFile

log = logging.getLogger(__name__)

READER_S, READER_AGAIN_S = 0.5, 0.1
"""How long to wait for another program that reads the file: at the start, and later."""

PASSING = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM}
)
PASSING_ERRNOS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOLCK}
)
"""Errors that need no change of the settings: a disk that is full or fails, another program that reads the file."""

REFUSED = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH})
"""Errors of the folder or its permissions. All other codes mean that the file is damaged."""


class Found(NamedTuple):
    """The content of a newly opened file: events, oldest first, and the number of damaged rows."""

    events: list[DetectionEvent]
    damaged: int


class Spool:
    """Undelivered detections in a file. Used by one thread at a time.

    Args:
        path: the file; created if missing, in an existing folder.

    Attributes:
        unspooled: how many events could not be written; they are still delivered from memory.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: SpoolFile | None = None
        self._troubled = False
        self.unspooled = 0
        self._refused: set[str] = set()

    @property
    def ids(self) -> Set[str]:
        """The events in the file."""
        return self._file.positions.keys() if self._file is not None else frozenset()

    @property
    def is_open(self) -> bool:
        return self._file is not None

    def open(self) -> Found:
        """Opens the file. Raises ConfigError if the user has to fix something; temporary problems are only logged."""
        try:
            return self._open(READER_S)
        except (sqlite3.Error, OSError) as error:
            if (error.errno not in PASSING_ERRNOS) if isinstance(error, OSError) else (code_of(error) in REFUSED):
                raise ConfigError(f"spool {self._path}: {_words(error)}") from None
            self._complain(_words(error))
            return Found([], 0)

    def attend(self) -> Found:
        """Checks the file: opens it if that failed before, or if it has gone."""
        if self._file is not None:
            if self._file.is_there():
                return Found([], 0)
            log.warning("spool %s: it was removed or replaced; a new one is created", self._path)
            self.close()
        try:
            return self._open(READER_AGAIN_S)
        except (sqlite3.Error, OSError) as error:
            self._complain(_words(error))
        except ConfigError as error:
            self._complain(str(error).removeprefix(f"spool {self._path}: "))
        return Found([], 0)

    def mirror(self, backlog: Mapping[str, DetectionEvent]) -> None:
        """Makes the file contain exactly these events by id, if possible."""
        gone = [id for id in self.ids if id not in backlog]
        new = {id: event for id, event in backlog.items() if id not in self.ids}
        if not gone and not new:
            return
        if self._file is not None and self._change(self._file, gone, new):
            if self._troubled:
                log.info("spool %s: works again; %d events were kept in memory only", self._path, self.unspooled)
            self._troubled = False
            self._refused.clear()
            return
        self.unspooled += len(new.keys() - self._refused)
        self._refused = set(new)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self, wait_s: float) -> Found:
        """Opens the file, or a new one in place of a damaged one."""
        file = SpoolFile(self._path, wait_s)
        try:
            file.prepare()
            rows = list(file.read())
        except sqlite3.Error as error:
            try:
                if not is_damage(error):
                    raise
                file.check_whose()
            except BaseException:
                file.close()
                raise
            rows = self._set_aside(file, error)
            file = SpoolFile(self._path, wait_s)
            file.prepare()
        except BaseException:
            file.close()
            raise
        self._file = file
        found = Found([row for row in rows if row is not None], rows.count(None))
        if found.damaged:
            log.warning("spool %s: %d damaged rows dropped", self._path, found.damaged)
        return found

    def _change(self, file: SpoolFile, gone: Collection[str], new: Mapping[str, DetectionEvent]) -> bool:
        """Writes the changes; returns whether that succeeded. A damaged file is set aside; `attend` creates another."""
        try:
            file.change(gone, new)
        except (sqlite3.Error, OSError) as error:
            if isinstance(error, OSError) or not is_damage(error):
                self._complain(_words(error))
                return False
            self._file = None
            try:
                self._set_aside(file, error)
            except OSError as trouble:
                self._complain(_words(trouble))
            return False
        return True

    def _set_aside(self, file: SpoolFile, why: sqlite3.Error) -> list[DetectionEvent | None]:
        """Closes and renames a damaged file; returns what could still be read from it."""
        rows: list[DetectionEvent | None] = []
        with contextlib.suppress(sqlite3.Error):
            for row in file.read():
                rows.append(row)
        readable = len(rows) - rows.count(None)
        log.warning(
            "spool %s: is damaged (%s); set aside as %s, %d events of it can be read",
            self._path,
            why,
            file.set_aside(),
            readable,
        )
        return rows

    def _complain(self, trouble: str) -> None:
        if not self._troubled:
            log.warning("spool %s: %s; events wait in memory only, until it takes them again", self._path, trouble)
        self._troubled = True


def code_of(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 if the module itself raised the error."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the error is in the file itself."""
    return code_of(error) not in PASSING | REFUSED


def _words(error: sqlite3.Error | OSError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return "another program has it open" if code_of(error) == sqlite3.SQLITE_BUSY else str(error)
