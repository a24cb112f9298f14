"""Files that are written completely or not at all, and folders named after words."""

import contextlib
import os
import re
import tempfile
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
    nearest = next(one for one in (folder, *folder.absolute().parents) if os.path.lexists(one))
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise OutputError(what, f"cannot be written: {error.strerror}", mend) from error


def write_whole(path: Path, content: bytes | str) -> None:
    """Write under a temporary name, then rename, so that a partial file is never seen. Creates a missing folder.

    Raises:
        OutputError: why not.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        temporary.replace(path)
    except OSError as error:
        mend = "Make room or name another file."
        raise OutputError(str(path), f"cannot be written: {error.strerror or error}", mend) from error
    finally:  # after Ctrl-C too
        with contextlib.suppress(OSError):  # renamed, or never created
            temporary.unlink()
