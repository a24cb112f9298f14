"""The clips that a model misclassifies, as a list of files to listen to."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Mistake(NamedTuple):
    """A clip, its label, the predicted label, and the scores of both, 0..1."""

    file: Path
    said: str
    heard: str
    heard_score: float
    said_score: float


def find(
    files: Sequence[Path | None],
    truth: NDArray[np.int64],
    predicted: NDArray[np.int64],
    scores: NDArray[np.float32],
    labels: Sequence[str],
) -> list[Mistake]:
    """The mistakes among n clips with ``scores`` (n, labels), highest score first. Omits entries without a file."""
    wrong = [
        Mistake(file.absolute(), labels[said], labels[heard], float(row[heard]), float(row[said]))
        for file, said, heard, row in zip(files, truth, predicted, scores, strict=True)
        if file and said != heard
    ]
    return sorted(wrong, key=lambda mistake: (-mistake.heard_score, mistake.said_score, mistake.file))


def as_tsv(mistakes: Sequence[Mistake]) -> str:
    """A tab-separated table with a header."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter="\t", lineterminator="\n")
    writer.writerow(Mistake._fields)
    for mistake in mistakes:
        writer.writerow([*mistake[:3], *(f"{score:.4f}" for score in mistake[3:])])
    return buffer.getvalue()


def as_text(mistakes: Sequence[Mistake]) -> str:
    """A line for each mistake."""
    return "\n".join(
        f"{mistake.file}: said {mistake.said} ({mistake.said_score:.2f}), heard {mistake.heard} "
        f"({mistake.heard_score:.2f})"
        for mistake in mistakes
    )
