"""A folder of results: one file of JSON lines per recording, and what is needed to resume after an interruption.

A file appears by rename once its recording was processed completely; an Audacity label track, if wanted, before it. So
existing files are complete, and a recording without a file is yet to be processed.
"""

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kwsd import __version__
from kwsd.errors import OutputError, UsageError
from kwsd.events import encode
from kwsd.scan import storage
from kwsd.scan.inputs import Recording
from kwsd.scan.words import Word
from kwsd.scan.work import Hearing

SETTINGS = ".kwsd-scan.json"


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary path to write to; the file appears at ``path`` once it is complete. Raises OutputError."""
    part = path.with_name(f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}.part")  # never too long
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise OutputError(str(path), error.strerror or str(error)) from error
    finally:  # after Ctrl-C too
        with contextlib.suppress(OSError):  # renamed, or never created
            part.unlink()


class Results:
    """The folder that ``--output`` names.

    Args:
        folder: created if missing.
        roots: the folders of the recordings; a result has the same path in ``folder`` as its recording below their
            common part.
        hearing: how recordings are processed.
        model: the model's name.
        labels: whether a label track is written beside each file.
        resume: skip recordings that were processed before.

    Raises:
        UsageError: another scan is writing there or, with ``resume``, one with other settings did.
        OutputError: it cannot be written.
    """

    def __init__(
        self, folder: Path, roots: Sequence[str], hearing: Hearing, model: str, *, labels: bool, resume: bool
    ) -> None:
        self.folder, self._model, self._labels, self._resume = folder, model, labels, resume
        self._common = common_root(roots)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._settings = (folder / SETTINGS).open("a+b")
            fcntl.flock(self._settings, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"--output {folder}", "another kwsd scan writes there") from error
        except OSError as error:
            raise OutputError(str(folder), error.strerror or str(error)) from error
        self._check_settings(hearing)

    def close(self) -> None:
        self._settings.close()

    def _check_settings(self, hearing: Hearing) -> None:
        """Stores the settings for a scan that resumes this one, which must have the same.

        With them, since when all scans here have had them: results from before are of others.
        """
        now = json.loads(json.dumps(_settings(hearing, self._model)))
        self._settings.seek(0)
        try:
            before = json.loads(self._settings.read())
        except ValueError:  # empty, or cut off by a crash
            before = {}
        changed = [key for key in now if before.get(key) != now[key] and key != "version"]
        if before and changed and self._resume:
            self.close()
            why = f"it holds results of a scan with another {', '.join(changed)}"
            raise UsageError(f"--resume {self.folder}", why, "Name another folder, or leave out --resume.")
        self._settings.truncate(0)
        now_s = os.fstat(self._settings.fileno()).st_mtime  # by the clock that results are stamped by
        self._since_s = now_s if changed else before.get("since_s", 0.0)
        self._settings.write(json.dumps({**now, "since_s": self._since_s}, indent=1).encode() + b"\n")
        self._settings.flush()

    def path(self, recording: Recording) -> Path:
        """The path of a recording's results."""
        parts = _parts(recording.address)[len(self._common) :]
        return self.folder.joinpath(*parts[:-1], f"{parts[-1]}.jsonl")

    def is_done(self, recording: Recording) -> bool:
        """Whether it was processed before, with these settings, and has not changed since; with its label track, if
        wanted.
        """
        if not self._resume:
            return False
        try:
            path = self.path(recording)
            files = (path, path.with_suffix(".txt")) if self._labels else (path,)
            done_s = min(file.stat().st_mtime for file in files)
            if done_s < self._since_s:
                return False
            return not storage.is_local(recording.address) or Path(recording.address).stat().st_mtime <= done_s
        except OSError:
            return False

    def before(self, recording: Recording) -> list[dict[str, Any]]:
        """The results of a recording that is done. Raises OutputError."""
        path = self.path(recording)
        try:
            return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]
        except (OSError, ValueError) as error:
            raise OutputError(str(path), f"it cannot be read ({error})", "Remove it, and resume.") from error

    def write(self, recording: Recording, words: Sequence[Word]) -> None:
        path = self.path(recording)
        if self._labels:
            with whole(path.with_suffix(".txt")) as part:
                part.write_text(audacity(words), "utf-8")
        with whole(path) as part:
            rows = (encode(word.to_dict(recording.address, self._model)) for word in words)
            part.write_text("".join(f"{row}\n" for row in rows), "utf-8")


def audacity(words: Sequence[Word]) -> str:
    """A label track: start and end in seconds and the word, with tabs between them (File > Import > Labels)."""
    return "".join(f"{word.start_ms / 1000:.3f}\t{word.end_ms / 1000:.3f}\t{word.label}\n" for word in words)


def common_root(roots: Sequence[str]) -> tuple[str, ...]:
    """The common parent folder, as its parts."""
    first, *others = [_parts(root) for root in roots] or [()]
    common = 0
    while common < len(first) and all(each[common : common + 1] == first[common : common + 1] for each in others):
        common += 1
    return first[:common]


def _parts(address: str) -> tuple[str, ...]:
    if storage.is_local(address):
        return Path(os.path.abspath(address)).parts  # noqa: PTH100 - links stay as they are named
    return tuple(part.replace(".", "_") if part in (".", "..") else part for part in address.split("/") if part)


def _settings(hearing: Hearing, model: str) -> dict[str, Any]:
    return {
        "version": __version__,
        "model": model,
        "model_sha256": hearing.sha256,
        "only": sorted(hearing.only),
        "channel": hearing.channel,
        "gain_db": hearing.gain_db,
        "recognize": asdict(hearing.settings),
    }
