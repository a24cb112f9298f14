"""Runs recordings through the daemon's pipeline, and keeps every clip's scores for replays.

Nothing here needs TensorFlow.
"""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kwsd import model as models
from kwsd.audio.file import open_source, tail
from kwsd.audio.source import Block, End
from kwsd.errors import InputError
from kwsd.frontend import create
from kwsd.model import Model
from kwsd.spotter import Spotter
from kwsd_train.data.recordings import is_audio
from kwsd_train.evaluation.score import Found


@dataclass(frozen=True)
class Heard:
    """A model's results for a recording.

    Attributes:
        labels: the model's.
        clip_ms: length of a clip.
        duration_ms: of the recording, without the tail.
        times_ms: ends of the clips, int64, shape (n,); those in the tail are after the recording's end.
        scores: of each clip, float32, shape (n, labels).
        found: the Spotter's detections; ``audio_ms`` is never after the recording's end.
    """

    labels: tuple[str, ...]
    clip_ms: int
    duration_ms: float
    times_ms: NDArray[np.int64]
    scores: NDArray[np.float32]
    found: tuple[Found, ...]


class _Listener:
    """A model that records its scores."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.kept: list[NDArray[np.float32]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def scores(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        scores = self._model.scores(features)
        self.kept.append(scores)
        return scores


def hear(model: Model, path: Path | str, recognize: Mapping[str, Any]) -> Heard:
    """Process a file like ``kwsd --source``, with its tail. Raises InputError, ConfigError."""
    listener = _Listener(model)
    spotter = Spotter(listener, **recognize)  # type: ignore[arg-type]
    source = open_source(str(path), model.sample_rate_hz, any_format=True)
    try:
        detections = []
        while not isinstance(item := source.read(1.0), End):
            if isinstance(item, Block):
                detections += spotter.push(item.samples)
    finally:
        source.close()
    end_ms = spotter.position_ms
    detections += spotter.push(tail(model.clip_samples))
    ends = model.clip_samples + np.arange(len(listener.kept), dtype=np.int64) * _stride_samples(spotter)
    return Heard(
        model.labels,
        model.clip_ms,
        end_ms,
        ends * 1000 // model.sample_rate_hz,
        np.array(listener.kept, np.float32).reshape(-1, len(model.labels)),
        tuple(Found(word.label, min(word.audio_ms, end_ms), word.score) for word in detections),
    )


def _stride_samples(spotter: Spotter) -> int:
    """The clip stride; a whole number of rows, each truncated to whole samples."""
    params, stride_ms = spotter.model.frontend, spotter.clip_stride_ms
    if "stride_ms" not in params:
        return int(params["sample_rate_hz"] * stride_ms / 1000)
    rows: int = round(stride_ms / params["stride_ms"])
    return rows * create(params).stride_samples


def audio_files(paths: Sequence[Path], flag: str) -> list[Path]:
    """The named files, and the audio files in the named folders, sorted. Raises InputError."""
    files: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        inside = sorted(file for file in path.iterdir() if is_audio(file))
        if not inside:
            raise InputError(str(path), "no audio file in this folder", f"Name another by {flag}.")
        files += inside
    return files


_model: Model | None = None


def _load(load_args: Mapping[str, Any]) -> None:
    global _model
    _model = models.load(**load_args)


def _hear_here(task: tuple[Path, Mapping[str, Any]]) -> Heard:
    assert _model is not None
    return hear(_model, *task)


def hear_all(
    load_args: Mapping[str, Any], tasks: Sequence[tuple[Path, Mapping[str, Any]]], workers: int | None = None
) -> list[Heard]:
    """`hear` each (file, recogniser's settings), in several processes if there are several files.

    Args:
        load_args: arguments of `kwsd.model.load`.
        workers: processes; by default one for each core.
    """
    count = min(workers or os.cpu_count() or 1, len(tasks))
    if count <= 1:
        model = models.load(**load_args)
        return [hear(model, *task) for task in tasks]
    with ProcessPoolExecutor(count, initializer=_load, initargs=(load_args,)) as pool:
        return list(pool.map(_hear_here, tasks))


def duration_ms(path: Path) -> float:
    """Length of a recording. Raises InputError."""
    import soundfile

    try:
        info = soundfile.info(path)
    except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
        raise InputError(str(path), f"cannot be read: {error}") from error
    return float(info.frames * 1000 / info.samplerate)
