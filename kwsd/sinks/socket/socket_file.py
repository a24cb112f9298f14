"""The file of a UNIX socket: its creation, permissions, replacement and removal."""

import contextlib
import errno
import fcntl
import grp
import os
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kwsd.errors import ConfigError
from kwsd.sinks.place import why_unmakable
from kwsd.validation.kinds import SOCKET_PATH_MAX_BYTES

NAME_KEPT_BYTES = 40  # of the socket's name, in the one it is bound to: /proc/self/fd/N/NAME must fit into an address
LOCK_S = 2.0  # how long another process may hold the folder before this one gives up


class Identity(NamedTuple):
    """Which file it is, whatever its name."""

    device: int
    inode: int


class Listener(NamedTuple):
    """A listening socket and its file."""

    socket: socket.socket
    identity: Identity


def listen(path: str, group: str | None = None) -> Listener:
    """Creates the socket ``path``, mode 0600, or 0660 with ``group``. Creates its folder if missing.

    The socket is bound, given its mode and set listening under another name in the same folder, then moved into place
    in one step, so that clients that find the file can connect. A stale socket is replaced; raises ConfigError for a
    live one, for anything that is not a socket (such as a symlink), and for errors of the system.
    """
    gid = None if group is None else group_id(path, group)
    folder, name = Path(path).parent, Path(path).name
    if not name or "\0" in path:
        raise _refusal(path, "this is not the name of a file")
    if len(os.fsencode(path)) > SOCKET_PATH_MAX_BYTES:
        raise _refusal(path, f"it is longer than {SOCKET_PATH_MAX_BYTES} bytes, which no client can connect to")
    try:
        _make_folder(folder, gid)
        with _locked(path, folder) as folder_fd:
            return _place(path, folder_fd, name, gid)
    except OSError as error:
        raise _refusal(path, f"it cannot be made: {error.strerror}") from error


def set_access(path: str, identity: Identity, group: str | None) -> None:
    """Gives the file the mode and group that `listen` would; leaves it alone if it is another file by now."""
    gid = None if group is None else group_id(path, group)
    try:
        with _held(path) as (file, found):
            if found == identity:
                _set_access(file, gid)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _refusal(path, f"its group cannot be changed: {error.strerror}") from error


def remove(path: str, identity: Identity) -> None:
    """Removes the file if it is that one. Call it while the socket is open, so that its inode is not reused."""
    if identify(path) == identity:
        with contextlib.suppress(FileNotFoundError):  # it was removed meanwhile
            Path(path).unlink()


def identify(path: str) -> Identity | None:
    """Which file has this name; None if there is none."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Identity(found.st_dev, found.st_ino)


def check_place(path: str) -> None:
    """Raises ConfigError if `listen` could not create ``path`` because of an existing file or its folder; creates
    nothing."""
    with contextlib.suppress(OSError):  # what speaks against its folder is told below
        _check_kind(path, os.lstat(path).st_mode)
    if (why := why_unmakable(Path(path).parent)) is not None:
        raise _refusal(path, why)


def group_id(path: str, group: str) -> int:
    """The number of a group to which this process may assign files. Raises ConfigError."""
    try:
        gid = grp.getgrnam(group).gr_gid
    except (KeyError, ValueError) as error:  # ValueError: a NUL in it
        raise _refusal(path, f"there is no group {group!r}", "Make it with groupadd, or name another") from error
    if os.geteuid() != 0 and gid not in {os.getegid(), *os.getgroups()}:
        raise _refusal(path, f"kwsd's user is not in the group {group!r}", f"Add it with usermod -aG {group}")
    return gid


def _make_folder(folder: Path, gid: int | None) -> None:
    """Creates the folder if it is missing: 0700, or 0750 with the group; its parent must exist."""
    try:
        folder.mkdir(0o700)
    except FileExistsError:
        return
    if gid is not None:
        folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fchown(folder_fd, -1, gid)
            os.fchmod(folder_fd, 0o750)
        finally:
            os.close(folder_fd)


@contextlib.contextmanager
def _locked(path: str, folder: Path) -> Iterator[int]:
    """The open folder, locked against other kwsds, which might replace the same stale file.

    The lock is on a file beside the socket that only its owner can open, since anybody can lock a readable folder.
    """
    lock = folder / f".{Path(path).name[:200]}.lock"
    folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        give_up_s = time.monotonic() + LOCK_S
        while (lock_fd := _lock(path, lock)) is None:
            if time.monotonic() > give_up_s:
                raise _refusal(path, f"another process keeps {lock} locked", "End it")
            time.sleep(0.02)
        try:
            yield folder_fd
        finally:
            lock.unlink(missing_ok=True)
            os.close(lock_fd)
    finally:
        os.close(folder_fd)


def _lock(path: str, lock: Path) -> int | None:
    """The lock file, open and locked; None if another process holds it or has just removed it."""
    try:
        lock_fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR) or lock.exists():
            raise _in_the_way(path, lock) from error
        raise
    try:
        found = os.fstat(lock_fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise _in_the_way(path, lock)
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if identify(str(lock)) == Identity(found.st_dev, found.st_ino):
            return lock_fd
    except BlockingIOError:
        pass
    except BaseException:
        os.close(lock_fd)
        raise
    os.close(lock_fd)
    return None


def _place(path: str, folder_fd: int, name: str, gid: int | None) -> Listener:
    passing = Path(path).with_name(f".{os.fsdecode(os.fsencode(name)[:NAME_KEPT_BYTES])}.{os.getpid()}")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        _clear(path, passing)
        _bind(listener, passing, folder_fd)
        try:
            with _held(str(passing)) as (file, identity):
                _set_access(file, gid)
            listener.listen(socket.SOMAXCONN)
            _make_way(path)
            passing.rename(path)
        except BaseException:
            passing.unlink(missing_ok=True)
            raise
    except BaseException:
        listener.close()
        raise
    return Listener(listener, identity)


def _clear(path: str, passing: Path) -> None:
    """Removes files left by a killed process of the same number."""
    try:
        found = passing.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid():
        raise _in_the_way(path, passing)
    passing.unlink()


def _bind(listener: socket.socket, passing: Path, folder_fd: int) -> None:
    """Binds to a name that may be too long for a socket, in that case through the open folder."""
    address = str(passing)
    if len(os.fsencode(address)) > SOCKET_PATH_MAX_BYTES:
        address = f"/proc/self/fd/{folder_fd}/{passing.name}"
    listener.bind(address)


@contextlib.contextmanager
def _held(path: str) -> Iterator[tuple[str, Identity]]:
    """A name that keeps referring to the socket ``path``, even if it is replaced meanwhile, and the file's identity."""
    file_fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(file_fd)
        if not stat.S_ISSOCK(found.st_mode):
            raise OSError(errno.ENOTSOCK, os.strerror(errno.ENOTSOCK))
        yield f"/proc/self/fd/{file_fd}", Identity(found.st_dev, found.st_ino)
    finally:
        os.close(file_fd)


def _set_access(file: str, gid: int | None) -> None:
    """The mode is restricted first and widened last, so that no other group has access at any time."""
    os.chmod(file, 0o600)  # noqa: PTH101 - a name of the kernel's, no path
    os.chown(file, -1, os.getegid() if gid is None else gid)
    if gid is not None:
        os.chmod(file, 0o660)  # noqa: PTH101


def _make_way(path: str) -> None:
    """Raises ConfigError unless the name is free, or that of a stale socket."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    _check_kind(path, mode)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        outcome = probe.connect_ex(path)
    if outcome == errno.ECONNREFUSED:
        return
    if outcome in (0, errno.EAGAIN):
        raise _refusal(path, "another process serves it", "End that one, or choose another path")
    raise _refusal(path, f"it is unknown whether it is in use: {os.strerror(outcome)}", "Remove it")


def _check_kind(path: str, mode: int) -> None:
    """Raises ConfigError if it is not a socket."""
    if stat.S_ISLNK(mode):
        raise _refusal(path, "it is a symbolic link", "Name the socket itself, or remove the link")
    if not stat.S_ISSOCK(mode):
        raise _refusal(path, "something of this name exists and is not a socket", "Choose another, or move that away")


def _in_the_way(path: str, what: Path) -> ConfigError:
    return _refusal(path, f"{what} is in the way", "Remove it, or choose another path")


def _refusal(path: str, why: str, mend: str = "Choose another path with --socket or `path`") -> ConfigError:
    return ConfigError(f"socket {path}: {why}. {mend}")
