"""A plot of a confusion matrix."""

from collections.abc import Sequence

import numpy as np

from kwsd_train.evaluation import pictures
from kwsd_train.evaluation.confusion import Matrix


def draw(counts: Matrix, labels: Sequence[str], title: str) -> bytes:
    """A PNG: a row for each true label, a column for each predicted one, counts in the squares.

    A square's darkness is the square root of its share of the row, so that a mistake in one of twenty is visible.
    """
    from matplotlib.colors import PowerNorm

    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side_inches = 2.5 + 0.45 * len(labels)
    figure, axes = pictures.empty(side_inches + 0.7, side_inches)
    image = axes.imshow(share, cmap="Blues", norm=PowerNorm(0.5, 0, 1))
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if share[row, column] > 0.3 else "black"
            axes.text(column, row, str(count), ha="center", va="center", fontsize=8, color=colour)
    axes.set_xticks(range(len(labels)), labels, rotation=90)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("heard")
    axes.set_ylabel("said")
    axes.set_title(title, fontsize=8)
    figure.colorbar(image, label="share of what was said", shrink=0.8)
    return pictures.as_png(figure)
