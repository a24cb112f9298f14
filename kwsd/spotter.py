"""The whole pipeline from samples to words, as a pure object: no thread, no clock, no I/O."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kwsd.errors import ConfigError, KwsdError
from kwsd.events import Detection
from kwsd.frontend.shared import SharedRows
from kwsd.frontend.window import ClipWindow
from kwsd.recognize import SILENCE, UNKNOWN, RecognizeCommands
from kwsd.recognize.peaks import Peak, PeakTracker
from kwsd.recognize.settings import CompleteRecognizeSettings, RecognizeSettings, layer_recognize

if TYPE_CHECKING:
    from kwsd.model import Model


class Spotter:
    """Detects a model's words in a stream of samples, regardless of how the stream is cut into blocks.

        import kwsd

        spotter = kwsd.Spotter(kwsd.model.load("default"), detection_threshold=0.7)
        for detection in spotter.push(samples):
            print(detection.label, detection.audio_ms)

    Args:
        model: a model from `kwsd.model.load`, or its name or file. It is scored on every clip of the stream that ends a
            multiple of ``clip_stride_ms`` after the first one.
        recognize: the fields of `kwsd.recognize.settings.RecognizeSettings`. Those left out come from the model, else
            from the defaults; ``max_clip_stride_ms`` is for callers that widen the stride.
        shared: the rows of a stream that several Spotters with the same front end share.

    Attributes:
        labels: the model's, in the order of scores.
        strides: how many clips were scored.

    Raises:
        ModelError: a model of that name or file cannot be loaded.
        ConfigError: a setting that does not fit the model: an unknown mode, a threshold for an unknown word, a stride
            that is not a multiple of the row stride.
    """

    def __init__(self, model: "Model | str | Path", *, shared: SharedRows | None = None, **recognize: Any) -> None:
        if isinstance(model, str | Path):
            from kwsd.model import load

            model = load(model)
        self.model = model
        self.labels = tuple(model.labels)
        self.strides = 0
        settings = self._layered(recognize)
        self._armed: dict[str, float | None] = {}
        self._recognizer = self._create_recognizer(settings)
        self._window = ClipWindow(model.frontend, model.clip_samples, settings.clip_stride_ms, shared)
        self._features: NDArray[np.float32] | None = None  # of the last clip
        self._position = 0
        self._origin = 0  # where the window began
        self._peaks: PeakTracker | None = None

    def push(self, samples: NDArray[np.float32] | NDArray[np.int16]) -> list[Detection]:
        """Processes the next samples, at the model's rate.

        Args:
            samples: shape (n,), any n; float32 in -1..1, or int16.

        Returns:
            The new words, in order; never ``_silence_`` or ``_unknown_``.

        Raises:
            TypeError: samples of another type.
            ValueError: samples of another shape, or not all of them finite.
            KwsdError: the model's scores are not finite.
        """
        signal = _as_float32(samples)
        start = self._origin
        self._position += len(signal)
        detections = []
        for features, end_sample in self._window.push(signal):
            self._features = features
            scores = self.model.scores(features)
            if not math.isfinite(scores.dot(scores)):
                raise KwsdError(f"model {self.model.name}", "its scores are not finite")
            audio_ms = self._to_ms(start + end_sample)
            label, score, is_new = self._recognizer.process(scores, audio_ms)
            self.strides += 1
            if self._peaks is not None:
                self._peaks.take(self._recognizer, label, score, audio_ms)
            if is_new and label not in (SILENCE, UNKNOWN):
                detections.append(Detection(label, score, audio_ms))
        return detections

    def reset(self, lost_samples: int = 0) -> None:
        """Starts afresh after a gap: nothing before it is joined to what follows.

        Args:
            lost_samples: how many are missing; they count in ``audio_ms``.
        """
        if lost_samples < 0:
            raise ValueError(f"lost_samples is {lost_samples}, but must be at least 0")
        if self._peaks is not None:
            self._peaks.end()
        self._position += lost_samples
        self._origin = self._position
        self._window.reset()
        self._recognizer.reset()

    def arm(self, thresholds: Mapping[str, float | None]) -> None:
        """Makes exactly these the armed words; see `kwsd.recognize.RecognizeCommands.arm`."""
        self._armed = dict(thresholds)
        self._recognizer.arm(thresholds)

    def tell_peaks(self, tell: Callable[[Peak], None]) -> None:
        """Calls ``tell`` with each `kwsd.recognize.peaks.Peak` that is over, during a `push`."""
        self._peaks = PeakTracker(self.labels, tell)

    def threshold(self, label: str) -> float:
        """The current threshold of a label's averaged score, 0..1."""
        return self._recognizer.threshold(label)

    def end(self) -> None:
        """Reports the peaks that are not over, since no more samples will follow."""
        if self._peaks is not None:
            self._peaks.end()

    def configure(self, **recognize: Any) -> None:
        """Applies other settings, as on creation, without losing samples or state.

        Raises:
            ConfigError: as on creation; the old settings then stay.
        """
        settings = self._layered(recognize)
        recognizer = self._create_recognizer(settings)
        self.clip_stride_ms = settings.clip_stride_ms
        recognizer.take_over(self._recognizer)
        recognizer.arm(self._armed)
        self._recognizer = recognizer

    @property
    def clip_stride_ms(self) -> float:
        """Time from one scored clip to the next; may be set at any time, to a multiple of the model's row stride."""
        return self._window.clip_stride_ms

    @clip_stride_ms.setter
    def clip_stride_ms(self, clip_stride_ms: float) -> None:
        self._window.clip_stride_ms = clip_stride_ms

    @property
    def averages(self) -> NDArray[np.float32] | None:
        """The averaged scores of the last clip, shape (labels,); None while there are too few."""
        return self._recognizer.averages

    @property
    def idle_strides(self) -> int:
        """For how many strides no new audio can make a word fire."""
        return self._recognizer.idle_results

    def newest_rows(self, strides: int) -> NDArray[np.float32] | None:
        """The feature rows of the last clip that the last ``strides`` strides added, shape (rows, width).

        None if there is no clip yet, or the model takes samples. Call it before pushing more samples.
        """
        row_stride_ms = self.model.frontend.get("stride_ms")
        if self._features is None or row_stride_ms is None:
            return None
        count = min(len(self._features), round(strides * self.clip_stride_ms / row_stride_ms))
        return self._features[len(self._features) - count :].copy()

    @property
    def position_ms(self) -> int:
        """How much audio has passed, lost samples included."""
        return self._to_ms(self._position)

    def _to_ms(self, samples: int) -> int:
        return samples * 1000 // self.model.sample_rate_hz

    def _layered(self, recognize: dict[str, Any]) -> CompleteRecognizeSettings:
        layers = RecognizeSettings(**recognize), RecognizeSettings(**self.model.recognize)
        return layer_recognize(*layers, row_stride_ms=self.model.frontend.get("stride_ms"))

    def _create_recognizer(self, settings: CompleteRecognizeSettings) -> RecognizeCommands:
        try:
            return RecognizeCommands.of(self.labels, settings, self.model.clip_ms)
        except ValueError as error:
            raise ConfigError(f"recognize: {error}") from error


def _as_float32(samples: NDArray[np.float32] | NDArray[np.int16]) -> NDArray[np.float32]:
    if not isinstance(samples, np.ndarray) or samples.dtype not in (np.float32, np.int16):
        kind = samples.dtype if isinstance(samples, np.ndarray) else type(samples).__name__
        raise TypeError(f"samples are {kind}, but must be an array of float32 in -1..1, or of int16")
    if samples.ndim != 1:
        raise ValueError(f"samples have shape {samples.shape}, but must be one channel, shape (n,)")
    if samples.dtype == np.int16:
        return samples * np.float32(1 / 32768)
    if not np.isfinite(samples).all():
        raise ValueError("samples are not finite numbers, but must be in -1..1")
    return samples  # type: ignore[return-value]
