"""The base of all front ends: cutting samples into frames, all at once or block by block."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kwsd.frontend.keys import Rows

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

SAMPLES_AT_ONCE = 16384
"""Frames of about this many samples are processed together: few calls, and all fits into the cache."""


class Frontend(ABC):
    """Turns samples into rows of features, one row for each frame of samples.

    Every row is made by the same operations on its frame, regardless of the number of frames, so that a stream's rows
    equal those of ``compute`` to the last bit.

    Attributes:
        window_samples: length of a frame.
        stride_samples: from the start of one frame to the start of the next.
        width: values in a row.
        patches_clips: whether ``finish_clip`` needs the clip's samples.
    """

    patches_clips = False

    def __init__(self, rows: Rows, width: int) -> None:
        self.window_samples, self.stride_samples, self.width = rows.window, rows.stride, width
        self._frames_at_once = max(1, SAMPLES_AT_ONCE // rows.window)

    def frames(self, samples: int) -> int:
        """Number of rows that ``compute`` returns for this many samples."""
        return self.whole_frames(samples)

    def whole_frames(self, samples: int) -> int:
        """Number of complete frames in this many samples."""
        if samples < self.window_samples:
            return 0
        return 1 + (samples - self.window_samples) // self.stride_samples

    def compute(self, signal: Any) -> Floats:
        """The features of a signal.

        Args:
            signal: samples in -1..1, shape (n,), float32 (or float64).

        Returns:
            float32, shape (frames(n), width), as a new array; for ``waveform`` shape (n,).

        Raises:
            ValueError: the signal is not one-dimensional, or not of floats.
        """
        return self.finish(self.rows(as_samples(signal)))

    def stream(self) -> "Stream":
        """An object with ``push(samples) -> new rows``, which starts at a signal's first sample."""
        return Stream(self)

    def rows(self, samples: Doubles) -> NDArray[Any]:
        """The result of each complete frame of the samples, shape (n,), by itself: shape (whole_frames(n), ...)."""
        count, step = self.whole_frames(len(samples)), samples.itemsize
        shape, strides = (count, self.window_samples), (self.stride_samples * step, step)
        frames: Doubles = np.ndarray(shape, np.float64, samples, strides=strides)
        if count <= self._frames_at_once:
            return self._rows(frames)
        starts = range(0, count, self._frames_at_once)
        return np.concatenate([self._rows(frames[i : i + self._frames_at_once]) for i in starts])

    def finish(self, rows: NDArray[Any]) -> Floats:
        """The features of a signal from its ``rows``; they differ if a row depends on those before it."""
        return rows

    def finish_clip(self, rows: NDArray[Any], clip: Doubles) -> Floats:
        """The result of ``compute(clip)``, from the rows that a stream made of the clip's samples.

        Args:
            rows: shape (whole_frames(n), ...).
            clip: the clip's samples, shape (n,); empty if the front end does not patch clips.
        """
        return self.finish(rows)

    @abstractmethod
    def _rows(self, frames: Doubles) -> NDArray[Any]:
        """One row for each frame; frames have the shape (count, window_samples), and count may be 0."""


class Stream:
    """The rows of a signal that arrives in blocks.

    Args:
        frontend: makes the rows.
    """

    def __init__(self, frontend: Frontend) -> None:
        self._frontend = frontend
        self._buffer: Doubles = np.empty(0)  # begins with the samples kept for the next frames
        self._held = self._skip = 0

    def push(self, samples: Any) -> Floats:
        """The rows of the frames that these samples complete: float32, shape (new rows, width).

        Args:
            samples: the next samples, in -1..1, shape (n,), float32 (or float64); any n.

        Raises:
            ValueError: as `Frontend.compute`.
        """
        return self._finish(self.rows(as_samples(samples)))

    def rows(self, samples: Doubles) -> NDArray[Any]:
        """Like ``push``, but returns `Frontend.rows` instead of features."""
        if self._skip:  # frames further apart than they are long
            skipped = min(self._skip, len(samples))
            self._skip -= skipped
            samples = samples[skipped:]
        count = self._held + len(samples)
        if count > len(self._buffer):
            self._buffer = np.concatenate((self._buffer[: self._held], np.empty(count)))
        self._buffer[self._held : count] = samples
        rows = self._frontend.rows(self._buffer[:count])
        used = len(rows) * self._frontend.stride_samples
        self._skip += max(0, used - count)
        self._held = max(0, count - used)
        self._buffer[: self._held] = self._buffer[used:count]
        return rows

    def _finish(self, rows: NDArray[Any]) -> Floats:
        return self._frontend.finish(rows)


def as_samples(signal: Any) -> Doubles:
    """The signal as contiguous float64, if it is one-dimensional and of floats."""
    samples = np.asarray(signal)
    if samples.ndim != 1 or samples.dtype.kind != "f":
        raise ValueError(f"samples are float32 in -1..1 of shape (n,), not {samples.dtype} of shape {samples.shape}")
    return np.ascontiguousarray(samples, np.float64)
