"""A small database of the events that a webhook still owes, so that a restart or SIGKILL loses none.

The table mirrors the sink's backlog: `mirror` makes it equal to what is queued now. An event that is delivered before
the mirror is next brought up to date never touches the disk, and nothing has to keep the two in step.
"""

import json
import logging
import os
import sqlite3
import stat
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from kwsd.errors import ConfigError
from kwsd.events import DetectionEvent
from kwsd.sinks.bus import json_line
from kwsd.uptime import uptime_s

log = logging.getLogger(__name__)

APPLICATION_ID = 0x6B777364  # "kwsd", so that somebody else's database is not written to


class Spool:
    """Undelivered detections, oldest first, in an SQLite file of mode 0600.

    One process at a time: the file stays locked until `close`. Used by one thread at a time.

    Args:
        path: the file; made where it is missing, in a folder that must be there.

    Attributes:
        ids: the events that the file holds now.
        unspooled: how many events the disk would not take; they are delivered from memory all the same.

    Raises:
        ConfigError: the file cannot be used: in use elsewhere, damaged, no file of kwsd's, not allowed.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._ready = False
        self._full = False
        self.ids: set[str] = set()
        self.unspooled = 0
        self._refused: set[str] = set()
        try:
            _make(Path(path))
            # check_same_thread: opened by the main thread, then used by the sink's.
            self._database = sqlite3.connect(path, timeout=0.0, isolation_level=None, check_same_thread=False)
        except OSError as error:
            raise ConfigError(f"spool {path}: {error.strerror or error}") from None
        except sqlite3.Error as error:
            raise ConfigError(f"spool {path}: {error}") from None
        try:
            self._prepare()
        except sqlite3.Error as error:
            if not _is_disk_trouble(error):
                self._database.close()
                raise ConfigError(f"spool {path}: {_explain(error)}") from None
            self._roll_back()
            self._complain(error)
        except OSError as error:
            self._database.close()
            raise ConfigError(f"spool {path}: {error.strerror or error}") from None
        except ConfigError:
            self._database.close()
            raise

    def load(self) -> list[DetectionEvent]:
        """What an earlier run left, oldest first; rows of a version that had other keys are left out, and told."""
        if not self._ready:
            return []
        rows = self._database.execute("SELECT id, body FROM events ORDER BY position").fetchall()
        self.ids = {id for id, _ in rows}
        events = [event for _, body in rows if (event := _revive(body)) is not None]
        if len(events) < len(rows):
            log.warning("spool %s: %d events of another version dropped", self._path, len(rows) - len(events))
        return events

    def mirror(self, backlog: Mapping[str, DetectionEvent]) -> bool:
        """Makes the file hold exactly these events by id. False where the disk would not take them (told once)."""
        gone = [(id,) for id in self.ids if id not in backlog]
        new = [(id, _body(event)) for id, event in backlog.items() if id not in self.ids]
        if not gone and not new:
            return True
        try:
            if not self._ready:
                self._prepare()
            self._database.execute("BEGIN")
            self._database.executemany("DELETE FROM events WHERE id = ?", gone)
            self._database.executemany("INSERT INTO events (id, body) VALUES (?, ?)", new)
            self._database.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            self._roll_back()
            self._complain(error)
            refused = {id for id, _ in new}
            self.unspooled += len(refused - self._refused)
            self._refused = refused
            return False
        if self._full:
            log.info("spool %s: works again; %d events were kept in memory only", self._path, self.unspooled)
        self._full = False
        self._refused.clear()
        self.ids = set(backlog)
        return True

    def close(self) -> None:
        self._database.close()

    def _prepare(self) -> None:
        execute = self._database.execute
        # Before anything is read: the lock is then held until close, and no shared-memory file is needed.
        execute("PRAGMA locking_mode = EXCLUSIVE")
        (application_id,) = execute("PRAGMA application_id").fetchone()
        (tables,) = execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if application_id != APPLICATION_ID and tables:
            raise ConfigError(f"spool {self._path}: is somebody else's database. Name another file")
        (check,) = execute("PRAGMA quick_check").fetchone()
        if check != "ok":
            raise sqlite3.DatabaseError("malformed")
        # It is ours, so its owner's alone; SQLite gives its side files the same mode.
        if stat.S_IMODE(Path(self._path).stat().st_mode) != 0o600:
            Path(self._path).chmod(0o600)
        # WAL and NORMAL: a commit hands the rows to the kernel, which outlives SIGKILL, without waiting for the disk,
        # which an SD card would make felt. Only a power cut can lose the last rows (never the file), and after one a
        # word is too old to be delivered anyway.
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = NORMAL")
        execute("BEGIN EXCLUSIVE")
        execute(
            "CREATE TABLE IF NOT EXISTS events"
            " (position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, body TEXT NOT NULL)"
        )
        execute(f"PRAGMA application_id = {APPLICATION_ID}")
        execute("COMMIT")
        self._ready = True

    def _roll_back(self) -> None:
        if self._database.in_transaction:  # SQLite has done it by itself after some errors
            self._database.execute("ROLLBACK")

    def _complain(self, error: sqlite3.Error | OSError) -> None:
        if not self._full:
            log.warning("spool %s: %s; events wait in memory only, until it takes them again", self._path, error)
        self._full = True


def _make(path: Path) -> None:
    """Makes the file, readable for its owner alone; one that is there must be a regular file, and no link to one."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        # Not opened, for closing it again would drop the locks that this process holds on it.
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            raise OSError(None, "is a symbolic link. Name the file itself") from None
        if not stat.S_ISREG(mode):
            raise OSError(None, "is no regular file") from None


def _body(event: DetectionEvent) -> str:
    return json_line(event.to_dict()).decode()


def _revive(body: str) -> DetectionEvent | None:
    try:
        fields = json.loads(body)
        fields.pop("type")
        age_s = time.time() - datetime.fromisoformat(fields["time"]).timestamp()
        return DetectionEvent(**fields, heard_s=uptime_s() - age_s)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _primary_code(error: sqlite3.Error) -> int:
    """SQLite's result code without the details in its upper bits; 0 where the module itself raised it."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _is_disk_trouble(error: sqlite3.Error) -> bool:
    return _primary_code(error) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


def _explain(error: sqlite3.Error) -> str:
    match _primary_code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return "is in use by another process. Give every hook of every kwsd a spool of its own"
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT | 0:
            return "is damaged or no spool. Move it away; a new one is made, and it held undelivered events only"
        case _:
            return str(error)
