"""Clips of a stream: the features of the last second, every few tens of milliseconds, each row computed only once."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kwsd.errors import ConfigError
from kwsd.frontend import create
from kwsd.frontend.base import Doubles, Floats, Stream, as_samples
from kwsd.frontend.shared import RowReader, SharedRows
from kwsd.frontend.waveform import Waveform

WAVEFORM_STRIDE_MIN_MS = 10


class Clip(NamedTuple):
    """A clip of the stream.

    Attributes:
        features: float32, shape (frames, width), or (clip_samples,) for ``waveform``; equal to
            ``create(params).compute(the clip's samples)`` to the last bit. Valid until the next clip is taken.
        end_sample: samples since the start or the last reset, up to the clip's end.
    """

    features: Floats
    end_sample: int


class ClipWindow:
    """Cuts a stream into overlapping clips and returns the features of each.

    The first clip comes after ``clip_samples`` samples, and one every ``clip_stride_ms`` after it.

    Args:
        params: what `kwsd.frontend.create` takes.
        clip_samples: length of a clip.
        clip_stride_ms: from the start of one clip to the start of the next.
        shared: rows of a stream that windows with the same front end share; reset before them.

    Raises:
        ConfigError: the front end is rejected, the clip is shorter than its window, the clip stride is no multiple of
            its row stride, or, for ``waveform``, below 10 ms.
    """

    def __init__(
        self,
        params: Mapping[str, Any],
        clip_samples: int,
        clip_stride_ms: float,
        shared: SharedRows | None = None,
    ) -> None:
        self._shared = shared
        self._frontend = frontend = create(params)
        if frontend.frames(clip_samples) < 1:
            raise ConfigError(
                f"frontend: a clip of {clip_samples} samples is shorter than a window of {frontend.window_samples}"
            )
        self._rate_hz = params.get("sample_rate_hz", 16000)
        self._row_stride_ms: float = params.get("stride_ms", 0)
        self._clip_samples = clip_samples
        self._rows = frontend.whole_frames(clip_samples)
        self.clip_stride_ms = clip_stride_ms
        self.reset()

    @property
    def clip_stride_ms(self) -> float:
        """From one clip to the next. A new value, with the same constraints, applies from the last clip on."""
        return self._clip_stride_ms

    @clip_stride_ms.setter
    def clip_stride_ms(self, stride_ms: float) -> None:
        if isinstance(self._frontend, Waveform):
            if not stride_ms >= WAVEFORM_STRIDE_MIN_MS:
                raise ConfigError(f"clip_stride_ms: {stride_ms:g} ms is below {WAVEFORM_STRIDE_MIN_MS} ms")
            self._stride_samples = int(self._rate_hz * stride_ms / 1000)
        else:
            row_ms = self._row_stride_ms
            rows = round(stride_ms / row_ms) if 0 < stride_ms < 1e6 else 0
            if rows < 1 or abs(rows * row_ms - stride_ms) > 1e-6:
                raise ConfigError(
                    f"clip_stride_ms: {stride_ms:g} ms is not a multiple of the model's row stride, {row_ms:g} ms;"
                    f" take {row_ms:g}, {2 * row_ms:g}, {3 * row_ms:g}, ..."
                )
            self._stride_samples = rows * self._frontend.stride_samples
        self._clip_stride_ms = stride_ms

    @property
    def stride_samples(self) -> int:
        """From the start of one clip to the start of the next."""
        return self._stride_samples

    def reset(self) -> None:
        """Starts afresh: earlier samples are not joined to later ones, and samples are counted from 0."""
        self._stream: Stream | RowReader = self._frontend.stream() if self._shared is None else self._shared.reader()
        self._row_window = _Last(self._rows)
        self._sample_window = _Last(self._clip_samples if self._frontend.patches_clips else 0)
        self._position = self._last_end = 0

    def push(self, samples: Any) -> Iterator[Clip]:
        """Takes samples, and yields the clips that end in them.

        Args:
            samples: the next samples, in -1..1, shape (n,), float32 (or float64); any n.

        Returns:
            An iterator that must be exhausted: the samples are taken as it advances.

        Raises:
            ValueError: the samples are not one-dimensional, or not of floats.
        """
        return self._clips(as_samples(samples))

    def _clips(self, samples: Doubles) -> Iterator[Clip]:
        while len(samples):
            piece = samples[: self._next_end() - self._position]
            samples = samples[len(piece) :]
            self._position += len(piece)
            self._row_window.append(self._stream.rows(piece))
            if self._frontend.patches_clips:
                self._sample_window.append(piece)
            if self._position == self._next_end():
                self._last_end = self._position
                features = self._frontend.finish_clip(self._row_window.view(), self._sample_window.view())
                yield Clip(features, self._position)

    def _next_end(self) -> int:
        """Where the next clip ends: at the position or after it, even if the stride has just become smaller."""
        if not self._last_end:
            return self._clip_samples
        strides = -(-(self._position - self._last_end) // self._stride_samples)
        return self._last_end + max(1, strides) * self._stride_samples


class _Last:
    """The last ``length`` items of a stream, in one piece of memory.

    Items are written one after another; when the memory is full, the last ones move to its beginning.
    """

    def __init__(self, length: int) -> None:
        self._length, self._end = length, 0
        self._items: NDArray[Any] | None = None

    def append(self, items: NDArray[Any]) -> None:
        items = items[max(0, len(items) - self._length) :]
        if self._items is None:
            self._items = np.empty((4 * self._length, *items.shape[1:]), items.dtype)
        if self._end + len(items) > len(self._items):
            self._items[: self._length] = self.view()
            self._end = self._length
        self._items[self._end : self._end + len(items)] = items
        self._end += len(items)

    def view(self) -> NDArray[Any]:
        """The items, shape (length, ...); valid until the next ``append``."""
        if self._items is None:
            return np.empty(0)
        return self._items[self._end - self._length : self._end]
