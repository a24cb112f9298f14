"""Results as whole files."""

import os
import tempfile
from pathlib import Path
from typing import Any

from kwsd.errors import OutputError

OUTPUTS = frozenset(
    {"output_file", "weights_file", "json", "png", "csv", "errors", "write_config", "write_model", "output_image"}
    | {"output_audio_file", "output_labels_file", "output_c_file", "output_npz_file", "output_csv_file"}
)
"""Names of the flags that say where a command writes a file."""


def check_outputs(flags: dict[str, Any]) -> None:
    """Whether the files can be written that a command is asked for: looked at before its work, not after it.

    Raises:
        OutputError: why not.
    """
    for name in sorted(OUTPUTS & flags.keys()):
        if flags[name] is not None:
            path = Path(flags[name])
            if path.is_dir():
                raise OutputError(str(path), "cannot be written: it is a folder", f"Name a file by --{name}.")
            check_folder(path.parent, str(path), "Make room or name another file.")
    if folder := flags.get("output_dir"):
        check_folder(Path(folder), str(folder), "Name another --output_dir.")


def check_folder(folder: Path, what: str, mend: str) -> None:
    """Whether files can be made in a folder, or in the nearest one above that is there.

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
    """Write under a temporary name, then rename, so that no half file is ever seen. A missing folder is made.

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
        if temporary.parent.is_dir():
            temporary.unlink(missing_ok=True)
