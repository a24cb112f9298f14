"""What other models say of the training clips, so that a small network can learn from larger ones.

Targets are blended once, on the clips as they are; the student then hears them shifted, noisy and far away
(Hinton et al., arXiv 1503.02531).
"""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kwsd_train import augment
from kwsd_train.data import UNKNOWN
from kwsd_train.recordings import Recordings, save_whole

Scores = NDArray[np.float32]


def blend(
    teachers: Sequence[str],
    weight: float,
    clips: Recordings,
    numbers: NDArray[np.int64],
    targets: Scores,
    labels: Sequence[str],
    cache_dir: Path,
) -> Scores:
    """``targets`` (n, labels), of rows with one 1, moved by ``weight`` towards the mean of the teachers' scores.

    A teacher's own further labels count as ``_unknown_``; of clips whose label it lacks it is not asked, nor of
    silence (``numbers`` below 0). Rows still add up to 1.
    """
    truth = targets.argmax(axis=1)
    asked = np.flatnonzero(numbers >= 0)
    total, count = np.zeros_like(targets), np.zeros(len(targets), np.float32)
    for teacher in teachers:
        known, scores = _scores(teacher, clips, numbers[asked], cache_dir)
        columns = [labels.index(label if label in labels else UNKNOWN) for label in known]
        folded = np.zeros((len(asked), len(labels)), np.float32)
        for column, score in zip(columns, scores.T, strict=True):
            folded[:, column] += score
        able = np.isin(truth[asked], [labels.index(label) for label in known if label in labels])
        total[asked[able]] += folded[able]
        count[asked[able]] += 1
    taught = count > 0
    blended = targets.copy()
    blended[taught] = (1 - weight) * targets[taught] + weight * total[taught] / count[taught, None]
    return blended


def _scores(
    teacher: str, clips: Recordings, numbers: NDArray[np.int64], cache_dir: Path
) -> tuple[tuple[str, ...], Scores]:
    """The labels of a model and its scores of the clips (n, its labels), computed once and kept in ``cache_dir``."""
    from kwsd import model as models

    first = models.load(teacher)
    key = hashlib.sha256(f"{first.sha256} {first.metadata} {Path(clips.stem).name}".encode() + numbers.tobytes())
    cached = cache_dir / f"{key.hexdigest()[:20]}.scores.npy"
    if not cached.exists():
        # a model serves one thread at a time: each thread has its own, and a part of the clips
        parts = np.array_split(numbers, os.cpu_count() or 1)
        loaded = [first, *(models.load(teacher) for _ in parts[1:])]

        def ask(model: models.Model, part: NDArray[np.int64]) -> list[Scores]:
            signals = (augment.fit(clips[int(number)], model.clip_samples) for number in part)
            return [model.scores(model.features(signal)) for signal in signals]

        with ThreadPoolExecutor(len(parts)) as pool:
            answers = list(pool.map(ask, loaded, parts))
        save_whole(cached, np.array([row for part in answers for row in part], np.float32))
    return first.labels, np.load(cached)
