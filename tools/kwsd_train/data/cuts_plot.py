"""A plot of the cuts of `import`: each recording's loudness over time, and its clips."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kwsd_train.data import any_audio
from kwsd_train.evaluation import pictures

_ROWS_MAX = 12
_POINTS = 1200


def draw(cuts: Sequence[Any], rate_hz: int) -> bytes:
    """A PNG of the first dozen recordings. Raises ModuleNotFoundError if matplotlib is not installed."""
    recordings = list(dict.fromkeys(one.recording for one in cuts))[:_ROWS_MAX]
    figure, axes = pictures.empty(10, 0.8 + 0.9 * max(len(recordings), 1))
    for row, recording in enumerate(recordings):
        signal = any_audio.read(recording.path, rate_hz)
        step = max(len(signal) // _POINTS, 1)
        peaks = np.abs(signal[: len(signal) // step * step]).reshape(-1, step).max(axis=1)
        seconds = np.arange(len(peaks)) * step / rate_hz
        height = 0.45 * peaks / max(float(peaks.max()), 1e-9)
        axes.fill_between(seconds, -row - height, -row + height, color="0.5", linewidth=0)
        for one in (one for one in cuts if one.recording == recording):
            colour = "tab:green" if one.target else "tab:red"
            axes.fill_between(
                [one.start_s, one.start_s + one.length_s], -row - 0.48, -row + 0.48, color=colour, alpha=0.3
            )
            axes.text(one.start_s, -row + 0.3, one.word, fontsize=6)
    axes.set_yticks([-row for row in range(len(recordings))], [one.title[-24:] for one in recordings], fontsize=6)
    axes.set_xlabel("s")
    return pictures.as_png(figure)
