"""Files that are written completely or not at all, and folders named after words."""

import contextlib
import errno
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

from kwsd.errors import OutputError

_NAME_BYTES = 200


def folder_name(word: str) -> str:
    """A word as the name of a folder; a model's labels may be anything."""
    name = re.sub(r"[/\x00-\x1f\x7f]", "_", word)
    name = name.encode("utf-8", "replace")[:_NAME_BYTES].decode("utf-8", "ignore")
    return f"_{name[1:]}" if name.startswith(".") or not name else name


def check_folder(folder: Path, what: str, mend: str) -> None:
    """Checks that files can be created in a folder, or in its nearest existing parent.

    Raises:
        OutputError: why not.
    """
    try:  # a relative path has no parents where the working folder was deleted
        nearest = next(one for one in (folder, *folder.absolute().parents) if os.path.lexists(one))
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise OutputError(what, f"cannot be written: {error.strerror}", mend) from error


def check_file(path: Path, mend: str) -> None:
    """Checks that `write_whole` could write a file, before work that would be lost otherwise.

    Raises:
        OutputError: why not.
    """
    try:
        target, _ = _target(path)
    except OSError as error:
        raise OutputError(str(path), f"cannot be written: {error.strerror}", mend) from error
    check_folder(target.parent, str(path), mend)


def write_whole(path: Path, content: bytes | str, accept: Callable[[Path], object] | None = None) -> None:
    """Write under a temporary name, then rename, so that a partial file is never seen. Creates a missing folder.

    A link stays a link: the file that it names is written. An existing file keeps its mode, and its owner and group as
    far as this user may give files away.

    Args:
        accept: called with the temporary file; what it raises leaves the file as it was.

    Raises:
        OutputError: why not.
    """
    temporary: Path | None = None
    try:
        target, before = _target(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name[:40]}.{secrets.token_hex(4)}.tmp")
        _write(temporary, content.encode() if isinstance(content, str) else content, before)
        if accept is not None:
            accept(temporary)
        temporary.replace(target)
    except OSError as error:
        mend = "Make room or name another file."
        raise OutputError(str(path), f"cannot be written: {error.strerror or error}", mend) from error
    finally:  # after Ctrl-C too
        if temporary is not None:
            with contextlib.suppress(OSError):  # renamed, or never created
                temporary.unlink()


def _target(path: Path) -> tuple[Path, os.stat_result | None]:
    """The file that a path stands for, and what is there; None if nothing. Raises OSError if it is no regular file."""
    target = Path(os.path.realpath(path))
    try:
        found = target.stat()
    except FileNotFoundError:
        return target, None
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a device, pipe or socket"
        raise OSError(errno.EEXIST, f"it is {kind}")
    return target, found


def _write(temporary: Path, content: bytes, before: os.stat_result | None) -> None:
    """Writes a new file, which nobody may read who may not read the one that it is to replace."""
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666 if before is None else 0o600)
    with os.fdopen(fd, "wb") as file:
        if before is not None:
            for owner_and_group in ((before.st_uid, -1), (-1, before.st_gid)):
                with contextlib.suppress(OSError):  # only root gives files to other users
                    os.fchown(fd, *owner_and_group)
            os.fchmod(fd, stat.S_IMODE(before.st_mode))
        file.write(content)
