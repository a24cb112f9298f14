"""The conversation with one client, with no I/O in it: frames in, frames out, and a recogniser of its own."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kwsd import __version__
from kwsd.audio.file import tail as faint_noise
from kwsd.audio.resample import Resampler
from kwsd.events import Detection
from kwsd.servers.wyoming.frames import Frame

RATES_HZ = range(4000, 192_001)
CHANNELS_MAX = 8


class Hearer(Protocol):
    """What the session needs of `kwsd.Spotter`."""

    model: Any

    def push(self, samples: NDArray[np.float32]) -> list[Detection]: ...


class SessionError(ValueError):
    """Unsupported audio; the client is told, and the connection ends."""


class Session:
    """One connection.

    Args:
        words: the words that may be detected.
        new_spotter: creates a pipeline.

    Attributes:
        audio_s: how much audio was received.
    """

    def __init__(self, words: list[str], model: str, new_spotter: Callable[[], Hearer]) -> None:
        self._words, self._model, self._new_spotter = words, model, new_spotter
        self._wanted = frozenset(words)
        self._spotter: Hearer | None = None
        self._detected = False
        self.audio_s = 0.0

    def receive(self, frame: Frame) -> Iterator[Frame]:
        """The answers to one frame; unknown types have none. Raises SessionError."""
        match frame.type:
            case "describe":
                yield info(self._words, self._model)
            case "detect":
                names = frame.data.get("names")
                named = frozenset(name for name in names if isinstance(name, str)) if isinstance(names, list) else None
                self._wanted = named or frozenset(self._words)
            case "audio-start":
                self._start(frame)
            case "audio-chunk":
                yield from self._hear(frame)
            case "audio-stop":
                if self._spotter is not None and not self._detected:
                    yield Frame("not-detected")
                self._spotter = None

    def _start(self, frame: Frame) -> None:
        """Starts afresh, as if after a clip of silence, so that a word at the very beginning is detected."""
        rate_hz, width, channels = _format(frame)
        self._format = rate_hz, width, channels
        self._detected = False
        self._spotter = spotter = self._new_spotter()
        self._resampler = Resampler(rate_hz, spotter.model.sample_rate_hz)
        spotter.push(faint_noise(spotter.model.clip_samples))

    def _hear(self, frame: Frame) -> Iterator[Frame]:
        if self._spotter is None or _format(frame) != self._format:
            self._start(frame)
        assert self._spotter is not None
        rate_hz, _, channels = self._format
        whole = len(frame.payload) - len(frame.payload) % (2 * channels)
        samples = np.frombuffer(frame.payload[:whole], "<i2").reshape(-1, channels)[:, 0]
        self.audio_s += len(samples) / rate_hz
        heard = self._spotter.push(self._resampler.push(samples * np.float32(1 / 32768)))
        for detection in heard:
            if detection.label in self._wanted and detection.label in self._words:
                self._detected = True
                yield Frame("detection", {"name": detection.label, "timestamp": frame.data.get("timestamp")})


def info(words: list[str], model: str) -> Frame:
    """The description of kwsd for Home Assistant: a program, and a model for each word."""
    shared = {"attribution": {"name": "kwsd", "url": ""}, "installed": True, "version": __version__}
    models = [
        {**shared, "name": word, "description": f"{word} ({model})", "phrase": word, "languages": ["en"]}
        for word in words
    ]
    return Frame("info", {"wake": [{**shared, "name": "kwsd", "description": "keyword spotting", "models": models}]})


def _format(frame: Frame) -> tuple[int, int, int]:
    """Rate in Hz, bytes per sample, channels."""
    rate_hz, width, channels = (frame.data.get(name) for name in ("rate", "width", "channels"))
    if not isinstance(rate_hz, int) or rate_hz not in RATES_HZ:
        raise SessionError(f"the rate is not from {RATES_HZ[0]} to {RATES_HZ[-1]} Hz")
    if width != 2:
        raise SessionError("samples are not of 16 bits (width 2)")
    if not isinstance(channels, int) or not 1 <= channels <= CHANNELS_MAX:
        raise SessionError(f"there are not 1 to {CHANNELS_MAX} channels")
    return rate_hz, width, channels
