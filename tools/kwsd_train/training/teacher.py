"""Scores of other models for the training clips, so that a small network can learn from larger ones.

Either once, for the original clips, while the student gets them augmented (Hinton et al., arXiv 1503.02531); or for
each clip of each batch, exactly as the student gets it (Beyer et al., arXiv 2106.05237).
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kwsd import model as models
from kwsd.errors import UsageError
from kwsd_train.batches import augment
from kwsd_train.data.folders import SILENCE, UNKNOWN
from kwsd_train.data.recordings import Recordings, Windows, save_whole

Scores = NDArray[np.float32]


def blend(
    teachers: Sequence[str],
    weight: float,
    clips: Recordings,
    rate_hz: int,
    numbers: NDArray[np.int64],
    targets: Scores,
    labels: Sequence[str],
    cache_dir: Path,
) -> Scores:
    """``targets`` (n, labels), rows with a single 1, moved by ``weight`` towards the mean of the teachers' scores.

    A teacher's additional labels count as ``_unknown_``; clips whose label it lacks, and silence (``numbers`` below 0),
    are skipped. Rows still add up to 1.
    """
    truth = targets.argmax(axis=1)
    asked = np.flatnonzero(numbers >= 0)
    total, count = np.zeros_like(targets), np.zeros(len(targets), np.float32)
    for teacher in teachers:
        known, scores = _scores(teacher, clips, rate_hz, numbers[asked], cache_dir)
        seen = folded(scores, known, labels)
        able = np.isin(truth[asked], [labels.index(label) for label in known if label in labels])
        total[asked[able]] += seen[able]
        count[asked[able]] += 1
    taught = count > 0
    blended = targets.copy()
    blended[taught] = (1 - weight) * targets[taught] + weight * total[taught] / count[taught, None]
    return blended


def of_unlabelled(
    teachers: Sequence[str], windows: Windows, rate_hz: int, labels: Sequence[str], cache_dir: Path
) -> Scores:
    """Targets (n, labels) of ``windows`` without labels: the mean of the teachers' scores, mapped as in `blend`.

    Teachers that lack one of the words are skipped, since they would call it unknown. UsageError if all do.
    """
    wanted = set(labels) - {SILENCE, UNKNOWN}
    able = [teacher for teacher in teachers if wanted <= set(models.load(teacher).labels)]
    if not able:
        raise UsageError(
            "--unlabelled_dir", "no teacher knows all of the wanted words", "Name one by --teacher, or leave it out."
        )
    total = np.zeros((len(windows), len(labels)), np.float32)
    for teacher in able:
        known, scores = _scores(teacher, windows, rate_hz, np.arange(len(windows)), cache_dir)
        total += folded(scores, known, labels)
    return total / np.float32(len(able))


def listeners(
    teachers: Sequence[str], front: Mapping[str, Any], clip_samples: int, labels: Sequence[str]
) -> list[models.Model]:
    """The teachers for `said_of`. UsageError for one with other features or words."""
    loaded = [models.load(teacher) for teacher in teachers]
    for teacher, model in zip(teachers, loaded, strict=True):
        shared = set(labels) & set(model.labels) - {SILENCE, UNKNOWN}
        if (model.frontend, model.clip_samples) != (front, clip_samples) or not shared:
            raise UsageError(
                "--teacher_hears",
                f"batches, but {teacher} has other features or other words than the network to be trained",
                "Leave it out, so that the teacher scores clips.",
            )
    return loaded


def known_to(listening: Sequence[models.Model], labels: Sequence[str]) -> NDArray[np.bool_]:
    """Which of ``labels`` all ``listeners`` know, (labels,); clips of other words are skipped."""
    return np.array([all(label in model.labels for model in listening) for label in labels])


def said_of(rows: Scores, listening: Sequence[models.Model], labels: Sequence[str]) -> Scores:
    """The mean scores (n, labels) of ``listeners`` for features (n, frames, width), mapped as in `blend`."""
    answers = [
        folded(np.array([model.scores(clip) for clip in rows], np.float32).reshape(len(rows), -1), model.labels, labels)
        for model in listening
    ]
    return np.asarray(np.mean(answers, axis=0), np.float32)


def folded(scores: Scores, known: Sequence[str], labels: Sequence[str]) -> Scores:
    """Scores (n, known) as scores (n, labels); other labels count as ``_unknown_``."""
    seen = np.zeros((len(scores), len(labels)), np.float32)
    for label, score in zip(known, scores.T, strict=True):
        seen[:, labels.index(label if label in labels else UNKNOWN)] += score
    return seen


def _scores(
    teacher: str, clips: Recordings | Windows, rate_hz: int, numbers: NDArray[np.int64], cache_dir: Path
) -> tuple[tuple[str, ...], Scores]:
    """The labels of a model and its scores of the clips (n, its labels), computed once and kept in ``cache_dir``."""
    first = models.load(teacher)
    key = hashlib.sha256(f"{first.fingerprint} {first.metadata} {clips.name}".encode() + numbers.tobytes())
    cached = cache_dir / f"{key.hexdigest()[:20]}.scores.npy"
    if not cached.exists():
        # a model serves one thread at a time: each thread has its own, and a part of the clips
        parts = np.array_split(numbers, os.cpu_count() or 1)
        loaded = [first, *(models.load(teacher) for _ in parts[1:])]

        def ask(model: models.Model, part: NDArray[np.int64]) -> list[Scores]:
            at_its_rate = (_resampled(clips[int(number)], rate_hz, model.sample_rate_hz) for number in part)
            signals = (augment.fit(signal, model.clip_samples) for signal in at_its_rate)
            return [model.scores(model.features(signal)) for signal in signals]

        with ThreadPoolExecutor(len(parts)) as pool:
            answers = list(pool.map(ask, loaded, parts))
        save_whole(cached, np.array([row for part in answers for row in part], np.float32))
    return first.labels, np.load(cached)


def _resampled(signal: augment.Signal, rate_hz: int, wanted_hz: int) -> augment.Signal:
    if rate_hz == wanted_hz:
        return signal
    import soxr

    return np.asarray(soxr.resample(signal, rate_hz, wanted_hz), np.float32)
