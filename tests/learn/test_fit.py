"""The fit of one row: the optimum of a convex loss, and no other label's logit in it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kwsd.learn.fit import DECAY, POSITIVE_WEIGHT, fit_row, log_sum_exp, probability


def problem(seed, width=12, apart=1.5):
    draw = np.random.default_rng(seed)
    others = draw.normal(0, 1, (400, width))
    word = draw.normal(0, 1, (30, width)) + apart
    return word, draw.normal(2, 1, 30), others, draw.normal(2, 1, 400)


@given(st.integers(0, 10_000), st.integers(2, 40), st.floats(0, 5))
@settings(max_examples=40, deadline=None)
def test_the_loss_has_no_slope_where_it_ends(seed, width, apart):
    word, word_offsets, others, other_offsets = problem(seed, width, apart)
    row = fit_row(word, word_offsets, others, other_offsets)
    missing = 1 - probability(word, row, word_offsets)
    wrong = probability(others, row, other_offsets)
    weight = POSITIVE_WEIGHT / len(word)
    slope = others.T @ wrong - weight * word.T @ missing + DECAY * row[:-1]
    assert np.abs(slope).max() < 1e-2 * POSITIVE_WEIGHT


def test_a_word_that_stands_apart_is_told():
    word, word_offsets, others, other_offsets = problem(1, apart=3)
    row = fit_row(word, word_offsets, others, other_offsets)
    assert (probability(word, row, word_offsets) > 0.5).all()
    assert np.mean(probability(others, row, other_offsets) > 0.5) < 0.02
    assert np.isfinite(row).all()


def test_the_same_examples_give_the_same_row():
    first, second = (fit_row(*problem(2)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("shape", [(1, 1), (3, 12), (5, 1)])
def test_log_sum_exp_is_that_and_does_not_overflow(shape):
    logits = np.random.default_rng(3).normal(0, 500, shape)
    expected = np.log(np.sum(np.exp(np.longdouble(logits)), axis=-1))
    np.testing.assert_allclose(log_sum_exp(logits), expected.astype(float))
