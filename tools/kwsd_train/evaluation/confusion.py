"""Confusion matrices."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.int64]


def matrix(truth: NDArray[Any], predicted: NDArray[Any], labels: int) -> Matrix:
    """Rows are the truth, columns the prediction: (labels, labels)."""
    return np.bincount(truth * labels + predicted, minlength=labels * labels).reshape(labels, labels)


def accuracy(counts: Matrix) -> float:
    """Share of the diagonal, 0..1; 0 if empty."""
    total = int(counts.sum())
    return float(np.trace(counts) / total) if total else 0.0


def as_text(counts: Matrix) -> str:
    """The matrix as printed by numpy, with all rows."""
    with np.printoptions(threshold=counts.size + 1, linewidth=10_000):
        return str(counts)


def per_label(counts: Matrix, labels: Sequence[str]) -> dict[str, dict[str, float | int]]:
    """Precision and recall of each label; 0 if it never occurs or was never predicted."""
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
    """The matrix with labels, and the recall and precision of each in percent."""
    width = max(5, *(len(label) for label in labels)) + 1
    head = "".join(f"{label:>{width}}" for label in labels)
    lines = [" " * width + head + f"{'recall %':>10}{'precision %':>13}"]
    for place, (label, row) in enumerate(zip(labels, counts, strict=True)):
        right, there, told = row[place], row.sum(), counts[:, place].sum()
        recall, precision = (f"{100 * right / total:.1f}" if total else "-" for total in (there, told))
        squares = "".join(f"{count:>{width}}" for count in row)
        lines.append(f"{label:<{width}}{squares}{recall:>10}{precision:>13}")
    return "\n".join(lines)
