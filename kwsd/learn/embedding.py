"""The features before a model's last layer, of clips and of streams."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kwsd.audio.signal import Signal
from kwsd.frontend.window import ClipWindow

if TYPE_CHECKING:
    from kwsd.model import Model

Doubles = NDArray[np.float64]


def of_clips(model: "Model", clips: Iterable[Signal]) -> Doubles:
    """Embeddings (clips, features) of clips of clip_samples samples each."""
    found = [model.embedding(model.features(clip)) for clip in clips]
    return np.asarray(found, np.float64).reshape(len(found), -1)


def of_stream(model: "Model", signal: Signal, clip_stride_ms: float) -> Doubles:
    """Embeddings of all windows of a signal (n,), shape (windows, features); none if it is shorter than a clip."""
    windows = ClipWindow(model.frontend, model.clip_samples, clip_stride_ms).push(signal)
    found = [model.embedding(features) for features, _ in windows]
    return np.asarray(found, np.float64).reshape(len(found), -1)
