"""Counts of what was taken for what."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.int64]


def matrix(truth: NDArray[Any], predicted: NDArray[Any], labels: int) -> Matrix:
    """Rows are the truth, columns the prediction: (labels, labels)."""
    return np.bincount(truth * labels + predicted, minlength=labels * labels).reshape(labels, labels)


def accuracy(counts: Matrix) -> float:
    """Share of the diagonal, 0..1; 0 of nothing."""
    total = int(counts.sum())
    return float(np.trace(counts) / total) if total else 0.0


def as_text(counts: Matrix) -> str:
    """The matrix as numpy prints it, every row."""
    with np.printoptions(threshold=counts.size + 1, linewidth=10_000):
        return str(counts)


def per_label(counts: Matrix, labels: Sequence[str]) -> dict[str, dict[str, float | int]]:
    """Precision and recall of each label, 0 where nothing was there or nothing was called so."""
    told, there, right = counts.sum(0), counts.sum(1), np.diag(counts)
    return {
        label: {
            "n": int(there[place]),
            "precision": float(right[place] / told[place]) if told[place] else 0.0,
            "recall": float(right[place] / there[place]) if there[place] else 0.0,
        }
        for place, label in enumerate(labels)
    }


def as_table(counts: Matrix, labels: Sequence[str]) -> str:
    """The matrix with labels, and the recall of each row in percent."""
    width = max(5, *(len(label) for label in labels)) + 1
    lines = [" " * width + "".join(f"{label[: width - 1]:>{width}}" for label in labels) + f"{'right %':>9}"]
    for label, row in zip(labels, counts, strict=True):
        total = int(row.sum())
        right = f"{100 * row[labels.index(label)] / total:9.1f}" if total else f"{'-':>9}"
        lines.append(f"{label:<{width}}" + "".join(f"{count:>{width}}" for count in row) + right)
    return "\n".join(lines)
