"""Fit one row of the last layer, while all others stay as they are.

With the other rows fixed, the probability of the new label is ``sigmoid(x w - c)`` where c is the logarithm of the sum
of the others' exponentials: a logistic regression with an offset for each example. It is convex, so Newton's method
finds the one best row in a few steps, the same each time (Hastie, Tibshirani, Friedman: The Elements of Statistical
Learning, 4.4.1). The old labels' logits do not change at all: an old word can only be lost to the new one.
"""

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

DECAY = 1.0
"""Weight of the squared row (without its bias) against the examples' losses."""

POSITIVE_WEIGHT = 1000.0
"""Total weight of all examples of the word; each other example weighs 1."""

STEPS_MAX = 40
ENOUGH = 1e-7


def log_sum_exp(logits: Doubles) -> Doubles:
    """Over the last axis: (n, labels) to (n,)."""
    top = logits.max(-1)
    return np.asarray(top + np.log(np.exp(logits - top[..., None]).sum(-1)))


def probability(embeddings: Doubles, row: Doubles, offsets: Doubles) -> Doubles:
    """The score of the label with this row, shape (n,).

    Args:
        embeddings: shape (n, features).
        row: weights, and the bias last; shape (features + 1,).
        offsets: `log_sum_exp` of the other labels' logits, shape (n,).
    """
    return _sigmoid(embeddings @ row[:-1] + row[-1] - offsets)


def fit_row(
    word: Doubles, word_offsets: Doubles, others: Doubles, other_offsets: Doubles, *, decay: float = DECAY
) -> Doubles:
    """The row of a new label, shape (features + 1,), the bias last.

    Args:
        word, others: embeddings of windows with the word and without it, shape (n, features).
        word_offsets, other_offsets: `log_sum_exp` of the other labels' logits there.
    """
    examples = np.concatenate([word, others])
    examples = np.concatenate([examples, np.ones((len(examples), 1))], axis=1)
    offsets = np.concatenate([word_offsets, other_offsets])
    targets = np.concatenate([np.ones(len(word)), np.zeros(len(others))])
    weights = np.concatenate([np.full(len(word), POSITIVE_WEIGHT / len(word)), np.ones(len(others))])
    decays = np.full(examples.shape[1], decay)
    decays[-1] = 1e-3  # the bias is not regularised, except to keep it finite
    signs = 1 - 2 * targets

    def loss(row: Doubles) -> float:
        margins = signs * (examples @ row - offsets)
        return float(weights @ np.logaddexp(0, margins) + 0.5 * (decays @ np.square(row)))

    row = np.zeros(examples.shape[1])
    before = loss(row)
    for _ in range(STEPS_MAX):
        scores = _sigmoid(examples @ row - offsets)
        slope = examples.T @ (weights * (scores - targets)) + decays * row
        curvature = (examples * (weights * scores * (1 - scores))[:, None]).T @ examples + np.diag(decays)
        step = np.linalg.solve(curvature, slope)
        size = 1.0
        while (after := loss(row - size * step)) > before and size > ENOUGH:
            size /= 2
        row = row - size * step
        if before - after <= ENOUGH * before:
            break
        before = after
    return row


def _sigmoid(values: Doubles) -> Doubles:
    return np.asarray(1 / (1 + np.exp(-values.clip(-50, 50))))
