"""Targets that other models move."""

import numpy as np
import pytest
from kwsd_train import teacher

LABELS = ["_silence_", "_unknown_", "up", "down"]


@pytest.fixture
def blended(monkeypatch, tmp_path):
    """Targets of four entries: up, down, bird (unknown) and silence; moved by half towards two teachers."""
    says = {
        "whole": (("down", "up", "_unknown_"), [[0.2, 0.7, 0.1], [1.0, 0.0, 0.0], [0.0, 0.5, 0.5]]),
        "without_down": (("up", "cat", "_unknown_"), [[0.5, 0.3, 0.2], [1.0, 0.0, 0.0], [0.1, 0.4, 0.5]]),
    }

    def scores(name, clips, numbers, cache_dir):
        labels, rows = says[name]
        assert numbers.tolist() == [7, 3, 5]
        return labels, np.array(rows, np.float32)

    monkeypatch.setattr(teacher, "_scores", scores)
    targets = np.eye(4, dtype=np.float32)[[2, 3, 1, 0]]
    numbers = np.array([7, 3, 5, -1])
    return teacher.blend(list(says), 0.5, None, numbers, targets, LABELS, tmp_path)


def test_targets_move_towards_the_mean_of_the_teachers(blended):
    """Labels go by name; a word that the student lacks (cat) counts as unknown."""
    np.testing.assert_allclose(blended[0], [0, 0.5 * 0.3, 0.5 + 0.5 * 0.6, 0.5 * 0.1], atol=1e-6)
    np.testing.assert_allclose(blended[2], [0, 0.5 + 0.5 * 0.7, 0.5 * 0.3, 0], atol=1e-6)


def test_a_teacher_is_not_asked_about_words_it_lacks(blended):
    np.testing.assert_allclose(blended[1], [0, 0, 0, 1], atol=1e-6)


def test_no_teacher_is_asked_about_silence(blended):
    np.testing.assert_array_equal(blended[3], [1, 0, 0, 0])
