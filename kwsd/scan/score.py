"""Samples -> scores of the clips in them."""

import numpy as np
from numpy.typing import NDArray

from kwsd.frontend import create
from kwsd.frontend.base import Doubles, Frontend, as_samples
from kwsd.frontend.window import ClipWindow
from kwsd.model import Model
from kwsd.scan.chunks import Grid, Samples

_NONE: Doubles = np.empty(0)


class Scorer:
    """Scores every clip of a series of samples as a `kwsd.Spotter` would, with the front end run over all of it.

    Args:
        model: used by one thread at a time.
        clip_stride_ms: from one clip to the next.

    Attributes:
        grid: the positions of the clips.
        labels: the model's, in the order of scores.

    Raises:
        ConfigError: the stride does not fit the model.
    """

    def __init__(self, model: Model, clip_stride_ms: float) -> None:
        stride_samples = ClipWindow(model.frontend, model.clip_samples, clip_stride_ms).stride_samples
        self.model, self.labels = model, model.labels
        self.grid = Grid(model.clip_samples, stride_samples)
        self._frontend = create(model.frontend)
        self._clip_rows = self._frontend.whole_frames(model.clip_samples)
        self._hop_rows = stride_samples // self._frontend.stride_samples
        self._clips_of_rows = model.clips_of_rows()

    def scores(self, samples: Samples) -> NDArray[np.float32]:
        """The scores of every whole clip, shape (clips, labels).

        Args:
            samples: in -1..1, at the model's rate, at least one clip.

        Raises:
            KwsdError: scores are not finite.
        """
        signal = as_samples(samples)
        rows = self._frontend.rows(signal)
        if _rows_are_features(self._frontend):
            return self._clips_of_rows.scores(rows, self._clip_rows, self._hop_rows)
        clips = 1 + (len(samples) - self.grid.clip_samples) // self.grid.stride_samples
        return np.array([self._one(rows, signal, clip) for clip in range(clips)])

    def _one(self, rows: NDArray[np.float32], signal: Doubles, clip: int) -> NDArray[np.float32]:
        first, start = clip * self._hop_rows, self.grid.start(clip)
        patch = signal[start : start + self.grid.clip_samples] if self._frontend.patches_clips else _NONE
        return self.model.scores(self._frontend.finish_clip(rows[first : first + self._clip_rows], patch))


def _rows_are_features(frontend: Frontend) -> bool:
    """Whether a clip's features are just its rows, regardless of what came before the clip."""
    kind = type(frontend)
    return kind.finish is Frontend.finish and kind.finish_clip is Frontend.finish_clip
