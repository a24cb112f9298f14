"""kwsd's events, as data and as the JSON lines that subscribers receive.

Nothing here reads a clock or writes anywhere.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kwsd.status import State

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Detection:
    """A word detected by the Spotter.

    Attributes:
        label: the word.
        score: the recogniser's averaged score, 0..1.
        audio_ms: end of the deciding window, in ms of audio since the stream began, lost samples included.
    """

    label: str
    score: float
    audio_ms: int


@dataclass(frozen=True, slots=True)
class DetectionEvent:
    """A detection on its way to the sinks; keys and meaning as in docs/events.md.

    Attributes:
        heard_s: when the last sample of the deciding window arrived, on the clock of `kwsd.uptime`; for this process
            only, so that setting the wall clock does not change an event's age.
    """

    id: str
    seq: int
    time: str
    label: str
    score: float
    audio_ms: int
    latency_ms: float | None
    model: str
    device: str
    heard_s: float = field(compare=False)
    listener: str = "default"

    type = "detection"

    def to_dict(self) -> dict[str, Any]:
        return {
            "type": self.type,
            "id": self.id,
            "seq": self.seq,
            "time": self.time,
            "label": self.label,
            "score": round(self.score, 3),
            "audio_ms": self.audio_ms,
            "latency_ms": None if self.latency_ms is None else round(self.latency_ms, 1),
            "model": self.model,
            "device": self.device,
            "listener": self.listener,
        }


@dataclass(frozen=True, slots=True)
class StatusEvent:
    """What kwsd is doing, why, and since when (both times RFC 3339)."""

    time: str
    state: State
    reason: str
    since: str

    type = "status"

    def to_dict(self) -> dict[str, Any]:
        return {
            "type": self.type,
            "time": self.time,
            "state": self.state,
            "reason": self.reason,
            "since": self.since,
        }


@dataclass(frozen=True, slots=True)
class ScoresEvent:
    """The averaged scores at one moment and the level of the signal, to find out why nothing fires.

    Attributes:
        rows: the model's feature rows since the previous event, shape (n, width), for the live page; None if the model
            takes samples.
    """

    audio_ms: int
    scores: Mapping[str, float]
    level_dbfs: float
    rows: "NDArray[np.float32] | None" = field(default=None, compare=False, repr=False)
    listener: str = "default"

    type = "scores"

    def to_dict(self) -> dict[str, Any]:
        return {
            "type": self.type,
            "audio_ms": self.audio_ms,
            "scores": {label: round(score, 4) for label, score in self.scores.items()},
            "level_dbfs": round(self.level_dbfs, 1),
            "listener": self.listener,
        }


@dataclass(frozen=True, slots=True)
class PeakEvent:
    """A rise of a word's averaged score, and its outcome; keys as in docs/events.md.

    Attributes:
        outcome: ``fired``, ``below_threshold``, ``speech``, ``suppressed``, ``not_armed``, ``not_wanted`` or ``held``.
    """

    label: str
    score: float
    threshold: float
    outcome: str
    audio_ms: int
    time: str
    model: str
    listener: str = "default"

    type = "peak"

    def to_dict(self) -> dict[str, Any]:
        return {
            "type": self.type,
            "label": self.label,
            "score": round(self.score, 3),
            "threshold": round(self.threshold, 3),
            "outcome": self.outcome,
            "audio_ms": self.audio_ms,
            "time": self.time,
            "model": self.model,
            "listener": self.listener,
        }


@dataclass(frozen=True, slots=True, eq=False)
class RecordingEvent:
    """The audio around a detection or a near miss, for sinks that keep it.

    Attributes:
        of: the detection or peak.
        samples: int16, shape (n,), at ``rate_hz``; shorter than requested if the stream had a gap or ended.
        start: position of the first sample in the stream, lost samples included.
    """

    of: DetectionEvent | PeakEvent
    samples: "NDArray[np.int16]"
    rate_hz: int
    start: int

    type = "recording"

    def to_dict(self) -> dict[str, Any]:
        return {"type": self.type, "label": self.of.label, "rate_hz": self.rate_hz, "start": self.start}


Event = DetectionEvent | StatusEvent | ScoresEvent | PeakEvent | RecordingEvent


def encode(message: Mapping[str, Any]) -> str:
    """One JSON object on one line: compact, UTF-8 not escaped, without the line end."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def json_line(message: Mapping[str, Any]) -> bytes:
    """A message as the bytes of its line, line end included.

    In UTF-8; if a text cannot be encoded (a file's name may have any bytes), all of it is escaped.
    """
    try:
        return f"{encode(message)}\n".encode()
    except UnicodeEncodeError:
        return f"{json.dumps(message, separators=(',', ':'))}\n".encode()


def rfc3339(unix_s: float) -> str:
    """Seconds since 1970 as UTC with milliseconds: ``2026-11-21T09:30:00.125Z``."""
    moment = datetime.fromtimestamp(round(unix_s, 3), UTC)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
