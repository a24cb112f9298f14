"""The flags that name output files, and a check that these can be written."""

from pathlib import Path
from typing import Any

from kwsd.errors import OutputError
from kwsd.whole_file import check_folder

OUTPUTS = frozenset(
    {"output_file", "weights_file", "json", "png", "csv", "errors", "write_config", "write_model", "output_image"}
    | {"output_audio_file", "output_labels_file", "output_c_file", "output_npz_file", "output_csv_file"}
)
"""Names of the flags for output files."""


def check_outputs(flags: dict[str, Any]) -> None:
    """Checks that a command's output files can be written, before its work rather than after it.

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
