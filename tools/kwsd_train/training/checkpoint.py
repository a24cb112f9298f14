"""Checkpoints: files with all variables of a run and its settings.

A file appears by rename, so existing ones are complete. It is a zip of numpy arrays, and does not contain code.
"""

import json
import os
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kwsd.errors import ModelError, OutputError

KEPT = 5
"""Older checkpoints of a run are removed."""

_NAME = re.compile(r"\.ckpt-(\d+)$")


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run: the last step, its settings, and the groups of variables."""

    step: int
    settings: Mapping[str, Any]
    variables: Mapping[str, Sequence[NDArray[Any]]]


def path_of(train_dir: Path, architecture: str, step: int) -> Path:
    """The path of a step's checkpoint."""
    return train_dir / f"{architecture}.ckpt-{step}"


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write under a temporary name, sync, rename; then remove all but the newest ``KEPT``. Raises OutputError."""
    arrays: dict[str, Any] = {
        f"{group}/{place:04d}": array
        for group, members in checkpoint.variables.items()
        for place, array in enumerate(members)
    }
    header = json.dumps({"step": checkpoint.step, "settings": checkpoint.settings}, sort_keys=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            np.savez(file, header=np.frombuffer(header.encode(), np.uint8), **arrays)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(
            str(path), f"cannot be written: {error.strerror or error}", "Make room or choose another folder."
        ) from error
    prefix = _NAME.sub("", path.name)
    for old in _complete(path.parent, prefix)[:-KEPT]:
        old.unlink()


def load(path: Path) -> Checkpoint:
    """Read a checkpoint. ModelError if it is not one."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            header = json.loads(arrays["header"].tobytes())
            variables: dict[str, list[NDArray[Any]]] = {}
            for name in sorted(arrays.files):
                group, slash, _ = name.partition("/")
                if slash:
                    variables.setdefault(group, []).append(arrays[name])
        return Checkpoint(header["step"], header["settings"], variables)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ModelError(
            str(path), f"no checkpoint of kwsd-train: {why}", "Name one as `Saving to` printed it."
        ) from error


def latest(train_dir: Path) -> Path:
    """The checkpoint of the highest step in ``train_dir``. ModelError if there is none."""
    found = _complete(train_dir, "")
    if not found:
        raise ModelError(str(train_dir), "no checkpoint there", "Train first, or name another --train_dir.")
    return found[-1]


def find(name: str, train_dir: Path) -> Path:
    """The file for ``--start_checkpoint``: a path, or ``latest`` of ``train_dir``."""
    return latest(train_dir) if name == "latest" else Path(name)


def _complete(folder: Path, prefix: str) -> list[Path]:
    """Checkpoints of a folder by step, lowest first. A file that is being written has a different name."""
    found = []
    for path in folder.glob(f"{prefix}*"):
        match = _NAME.search(path.name)
        if match and not path.name.startswith("."):
            found.append((int(match[1]), path))
    return [path for _, path in sorted(found)]
