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
from kwsd.whole_file import write_whole

KEPT = 5
"""Older checkpoints of a run are removed."""

LATEST = "latest"
"""For ``--start_checkpoint``; also the file in the folder that names the checkpoint saved last, whose step need not be
the highest: the folder may hold another run's. A time of change would not survive a copy.
"""

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
    """Write under a temporary name, sync, rename; then name it as the latest, and remove all but ``KEPT`` of those up
    to its step. Higher ones are of another run, and stay. Raises OutputError.
    """
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
    write_whole(path.with_name(LATEST), f"{path.name}\n")
    architecture = _NAME.sub("", path.name)
    done = [old for step, old in _complete(path.parent, f"{architecture}.ckpt-*") if step <= checkpoint.step]
    for old in done[:-KEPT]:
        old.unlink(missing_ok=True)


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
    """The checkpoint saved last in ``train_dir``; the highest step if that is unknown. ModelError if there is none."""
    found = [path for _, path in _complete(train_dir, "*")]
    if not found:
        raise ModelError(str(train_dir), "no checkpoint there", "Train first, or name another --train_dir.")
    try:
        named = train_dir / (train_dir / LATEST).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return found[-1]
    return named if named in found else found[-1]


def find(name: str, train_dir: Path) -> Path:
    """The file for ``--start_checkpoint``: a path, or ``latest`` of ``train_dir``."""
    return latest(train_dir) if name == LATEST else Path(name)


def _complete(folder: Path, pattern: str) -> list[tuple[int, Path]]:
    """Checkpoints of a folder and their steps, lowest first. A file that is being written has a different name."""
    found = []
    for path in folder.glob(pattern):
        match = _NAME.search(path.name)
        if match and not path.name.startswith("."):
            found.append((int(match[1]), path))
    return sorted(found)
