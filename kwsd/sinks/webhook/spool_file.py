"""The file of a spool: an SQLite database of undelivered detections, mode 0600, for one process at a time.

Each row has a checksum, since SQLite has none: a flipped bit may leave a row readable but wrong. Files that cannot be
used are handled in `kwsd.sinks.webhook.spool`.
"""

import contextlib
import errno
import fcntl
import json
import os
import sqlite3
import stat
import time
import zlib
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from kwsd.errors import ConfigError
from kwsd.events import DetectionEvent, json_line
from kwsd.sinks.place import why_unusable
from kwsd.uptime import uptime_s

APPLICATION_ID = 0x6B777364  # "kwsd", to recognise databases of other programs
ID_AT = 68  # in the file, big endian
DAMAGED_ID_BITS = 4  # how many bits may be flipped in it; a missing id differs in twenty
SCHEMA = (
    "CREATE TABLE events (position INTEGER PRIMARY KEY, id TEXT NOT NULL, body TEXT NOT NULL, crc INTEGER NOT NULL)"
)
SIDE_FILES = ("-journal", "-wal", "-shm")

_open_here: set[tuple[int, int]] = set()
"""Files that this process has open. Opening and closing one of them a second time would drop SQLite's locks."""


@contextlib.contextmanager
def _sqlite_errors_only() -> Iterator[None]:
    """Python's module cannot decode an error message that names a damaged table."""
    try:
        yield
    except UnicodeDecodeError:
        raise sqlite3.DatabaseError("database disk image is malformed") from None


class SpoolFile:
    """An open spool, locked until `close`. Used by one thread at a time.

    Args:
        path: the file; created if missing.
        wait_s: how long to wait for another program that reads the file.

    Attributes:
        positions: the row of each event in the file, by the event's id; filled by `read`.

    Raises:
        ConfigError: another kwsd uses it, or it is not a regular file.
        OSError, sqlite3.Error: it cannot be opened.
    """

    def __init__(self, path: str, wait_s: float) -> None:
        self._path = path
        self.positions: dict[str, int] = {}
        self._fd = _hold(path)
        found = os.fstat(self._fd)
        self._identity = found.st_dev, found.st_ino
        try:
            # check_same_thread: opened by the main thread, then used by the sink's.
            self._database = sqlite3.connect(path, timeout=wait_s, isolation_level=None, check_same_thread=False)
        except sqlite3.Error:
            os.close(self._fd)
            raise
        _open_here.add(self._identity)

    @_sqlite_errors_only()
    def prepare(self) -> None:
        """Prepares it for writing. Raises ConfigError if it belongs to another program, sqlite3.Error."""
        execute = self._database.execute
        execute("PRAGMA locking_mode = EXCLUSIVE")  # held from the first write until close
        tables = [sql for (sql,) in execute("SELECT CAST(sql AS BLOB) FROM sqlite_schema")]
        if not tables:
            self.check_whose()
        elif tables != [SCHEMA.encode()]:
            (application_id,) = execute("PRAGMA application_id").fetchone()
            if not _is_our_id(application_id):
                raise ConfigError(f"spool {self._path}: is another program's database. Name another file")
            raise sqlite3.DatabaseError("its table is damaged or of another version")
        (check,) = execute("PRAGMA quick_check").fetchone()
        if check != "ok":
            raise sqlite3.DatabaseError("database disk image is malformed")
        # Accessible only to its owner; SQLite gives its side files the same mode.
        os.fchmod(self._fd, 0o600)
        # A commit passes the rows to the kernel, which survives SIGKILL, and does not wait for the disk, which an SD
        # card would slow down: after a power cut a word is too old to be delivered. No write-ahead log, since SQLite
        # silently ignores damage there.
        execute("PRAGMA journal_mode = TRUNCATE")
        execute("PRAGMA synchronous = OFF")
        execute("BEGIN EXCLUSIVE")
        if not tables:
            execute(SCHEMA)
        execute(f"PRAGMA application_id = {APPLICATION_ID}")
        execute("COMMIT")

    def read(self) -> Iterator[DetectionEvent | None]:
        """The event of each row, oldest first; None for a damaged one. Raises sqlite3.Error, maybe after some."""
        query = "SELECT position, CAST(body AS BLOB), crc FROM events ORDER BY position"
        with _sqlite_errors_only():
            rows = self._database.execute(query)
        for position, body, crc in rows:
            event = revive(body, crc)
            if event is not None and event.id not in self.positions:
                self.positions[event.id] = position
                yield event
                continue
            self.positions[f"row {position}"] = position  # no event has this id, so it is removed with the next change
            if event is None:
                yield None

    @_sqlite_errors_only()
    def change(self, gone: Collection[str], new: Mapping[str, DetectionEvent]) -> None:
        """Removes and adds events, all or none. Raises sqlite3.Error, OSError."""
        execute = self._database.execute
        added: dict[str, int] = {}
        try:
            execute("BEGIN IMMEDIATE")
            for id in gone:
                execute("DELETE FROM events WHERE position = ?", (self.positions[id],))
            for id, event in new.items():
                body = json_line(event.to_dict())
                row = execute(
                    "INSERT INTO events (id, body, crc) VALUES (?, CAST(? AS TEXT), ?)", (id, body, zlib.crc32(body))
                )
                assert row.lastrowid is not None
                added[id] = row.lastrowid
            execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:  # SQLite has done it by itself after some errors
                execute("ROLLBACK")
            raise
        for id in gone:
            del self.positions[id]
        self.positions |= added

    def check_whose(self) -> None:
        """Raises ConfigError if nothing shows that kwsd created this file, which then must not be touched."""
        if not _may_be_ours(self._path, self._fd):
            raise _no_spool(self._path)

    def is_there(self) -> bool:
        """Whether its name still refers to it."""
        try:
            found = Path(self._path).lstat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):  # it may be damaged
            self._database.close()
        os.close(self._fd)
        _open_here.discard(self._identity)

    def set_aside(self) -> str:
        """Closes and renames it, replacing an earlier one; returns the new name. Raises OSError."""
        self.close()
        aside = f"{self._path}.damaged"
        Path(self._path).replace(aside)
        for suffix in SIDE_FILES:
            try:
                Path(self._path + suffix).replace(aside + suffix)
            except FileNotFoundError:
                Path(aside + suffix).unlink(missing_ok=True)
        return aside


def check_place(path: str) -> None:
    """Raises ConfigError if a spool could not be opened, because of an existing file or its folder."""
    try:
        if _check_name(path) is not None:
            with Path(path).open("rb") as file:
                if not _may_be_ours(path, file.fileno()):
                    raise _no_spool(path)
    except OSError as error:
        raise ConfigError(f"spool {path}: cannot be looked at: {error.strerror}") from error
    if (why := why_unusable(Path(path).parent)) is not None:
        raise ConfigError(f"spool {path}: {why}")


def _may_be_ours(path: str, fd: int) -> bool:
    """Whether kwsd created a file, as far as its damage shows: by its id, by its mode and owner, or by a name that only
    a database should have."""
    found, header = os.fstat(fd), os.pread(fd, ID_AT + 4, 0)
    is_private = stat.S_IMODE(found.st_mode) == 0o600 and found.st_uid == os.geteuid()
    is_misnamed = Path(path).suffix in (".db", ".sqlite", ".sqlite3") and not header.startswith(b"SQLite format 3\0")
    return not header or is_private or is_misnamed or _is_our_id(int.from_bytes(header[ID_AT:], "big"))


def _is_our_id(application_id: int) -> bool:
    return ((application_id ^ APPLICATION_ID) & 0xFFFFFFFF).bit_count() <= DAMAGED_ID_BITS


def revive(body: bytes | None, crc: object) -> DetectionEvent | None:
    """The event of a row; None if the row is damaged, or from a version with other keys."""
    if body is None or zlib.crc32(body) != crc:
        return None
    try:
        fields = json.loads(body)
        fields.pop("type")
        age_s = time.time() - datetime.fromisoformat(fields["time"]).timestamp()
        return DetectionEvent(**fields, heard_s=uptime_s() - age_s)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _hold(path: str) -> int:
    """The file, open and locked against other kwsds. It must be a regular file, not a link."""
    found = _check_name(path)
    if found is not None and (found.st_dev, found.st_ino) in _open_here:
        raise _in_use(path)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        if error.errno == errno.EWOULDBLOCK:
            raise _in_use(path) from None
        raise
    return fd


def _check_name(path: str) -> os.stat_result | None:
    """The file of this name, which must be a regular file, not a link; None if there is none."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(found.st_mode):
        raise ConfigError(f"spool {path}: is a symbolic link. Name the file itself")
    if not stat.S_ISREG(found.st_mode):
        raise ConfigError(f"spool {path}: is not a regular file")
    return found


def _no_spool(path: str) -> ConfigError:
    return ConfigError(f"spool {path}: is not a spool of kwsd. Name another file, or move that away")


def _in_use(path: str) -> ConfigError:
    return ConfigError(f"spool {path}: is in use by another process. Give every hook of every kwsd a spool of its own")
