"""Find a model: one that comes with kwsd, by its name, or any file."""

import os
import stat
from pathlib import Path

from kwsd.errors import ModelError
from kwsd.model.tflite.graph import FILE_BYTES_MAX

_PACKAGE = Path(__file__).parent.parent
FOLDERS = (_PACKAGE / "data" / "models", _PACKAGE.parent / "models")
"""In a wheel the models are in the package, in a source tree beside it."""

FLOAT32 = "-float32"

JOINT = "+"
"""Between a model and its verifier."""

SUMS = "SHA256SUMS"
"""The hashes of the bundled models, in the format of sha256sum."""


def bundled() -> dict[str, Path]:
    """The bundled models by name."""
    for folder in FOLDERS:
        if found := {path.stem: path for path in sorted(folder.glob("*.tflite"), key=lambda path: path.stem)}:
            return found
    return {}


def is_bundled(path: Path, sha256: str) -> bool:
    """Whether this is a bundled model as it was released."""
    if path.parent not in FOLDERS:
        return False
    try:
        lines = (path.parent / SUMS).read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return False
    return f"{sha256}  {path.name}" in lines


def parts(model: str) -> tuple[str, str | None]:
    """A model's name or file, and that of its verifier, for ``default+accurate``; None for a single model."""
    if JOINT not in model or _is_there(model):
        return model, None
    pluses = [at for at, letter in enumerate(model) if letter == JOINT]
    splits = [(model[:at], os.path.expanduser(model[at + 1 :])) for at in pluses]  # noqa: PTH111 - Path would tidy up
    splits = [split for split in splits if _is_there(split[0]) and split[1]]
    whole = [split for split in splits if _is_there(split[1])]
    return next(iter(whole or splits), (model, None))


def _is_there(model: str) -> bool:
    return model in bundled() or os.path.isfile(model)  # noqa: PTH113 - Path raises for names that are none


def find(model: str, backend: str) -> Path:
    """The file of a bundled model, or the file named ``model``; ModelError if there is neither.

    On tflite-runtime a bare name means the float32 file, since int8 is many times slower there.
    """
    names = bundled()
    if model in names:
        slow = backend == "tflite-runtime"
        return names.get(model + FLOAT32, names[model]) if slow else names[model]
    path = Path(model)
    try:
        if path.exists():
            return path
    except PermissionError as error:
        raise ModelError(model, f"cannot be read: {error.strerror}") from error
    except (OSError, ValueError) as error:  # a name too long, or with a NUL
        raise ModelError(repr(model), f"no model has such a name ({error})") from error
    known = ", ".join(names) or "none"
    raise ModelError(model or "''", "no such file, and no bundled model of that name", f"Bundled: {known}.")


def read_file(path: Path) -> bytes:
    """The bytes of a model file, at most one more than allowed; ModelError if it cannot be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe may block, a device may never end
            raise ModelError(str(path), "this is not a regular file")
        with path.open("rb") as file:
            return file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ModelError(str(path), f"cannot be read: {error.strerror or error}") from error
