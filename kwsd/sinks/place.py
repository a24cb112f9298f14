"""Whether kwsd's user could put files into a folder, told before anything is started.

Python's ``Path.exists`` and ``Path.is_dir`` raise PermissionError beneath a folder that may not be entered.
"""

import os
import stat
from pathlib import Path

ENTER_AND_WRITE = os.W_OK | os.X_OK


def why_unusable(folder: Path, rights: int = ENTER_AND_WRITE, purpose: str = "") -> str | None:
    """Why files cannot be put into an existing folder; None if nothing speaks against it.

    Args:
        rights: as `os.access` takes them.
        purpose: follows the name of a folder that is missing.
    """
    try:
        is_folder = stat.S_ISDIR(folder.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        is_folder = False
    except OSError as error:
        return f"{str(folder)!r} cannot be looked at: {error.strerror}"
    if is_folder:
        return None if os.access(folder, rights) else f"folder {str(folder)!r} cannot be written to by kwsd's user"
    if os.path.lexists(folder):
        return f"{str(folder)!r} exists and is not a folder"
    return f"there is no folder {str(folder)!r}{purpose}"


def why_unmakable(folder: Path) -> str | None:
    """The same for a folder that kwsd creates if it is missing, in an existing one; creates nothing."""
    try:
        folder.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return why_unusable(folder.parent, purpose=f" to make {folder.name!r} in")
    except OSError as error:
        return f"{str(folder)!r} cannot be looked at: {error.strerror}"
    return why_unusable(folder, os.R_OK | ENTER_AND_WRITE)
