"""The settings of the recogniser, and how their layers override each other."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from kwsd.validation.keys import key, keys_of
from kwsd.validation.kinds import SCORE, Choice, Number, Thresholds, Whole, Words

MODES = ("tensorflow", "rearm", "repeat", "android", "micro")
"""The rules that turn averaged scores into words; `kwsd.recognize` describes them."""

CLIP_STRIDE_MIN_MS = 30
"""The tutorial's stride. Scoring more often costs time and detects nothing more."""


@dataclass(frozen=True)
class RecognizeSettings:
    """One layer of settings (flags, configuration, a model's metadata); None means not set."""

    mode: str | None = None
    clip_stride_ms: float | None = None
    max_clip_stride_ms: float | None = None
    average_window_ms: int | None = None
    suppression_ms: int | None = None
    minimum_count: int | None = None
    detection_threshold: float | None = None
    speech_threshold: float | None = None
    on_demand: tuple[str, ...] | None = None
    armed_threshold: float | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class CompleteRecognizeSettings(RecognizeSettings):
    """The complete section ``recognize``; its defaults are those of kwsd."""

    mode: str = key(Choice(MODES), "rearm", "The rules that turn scores into words.")
    clip_stride_ms: float = key(
        Number(1, 1000), float(CLIP_STRIDE_MIN_MS), "Time from one scored clip to the next.", unit="ms"
    )
    max_clip_stride_ms: float = key(Number(1, 1000), 200.0, "How far the stride may widen under load.", unit="ms")
    average_window_ms: int = key(Whole(0, 60_000), 500, "Scores are averaged over this time.", unit="ms")
    suppression_ms: int = key(Whole(0, 60_000), 700, "After a word, no other is reported for this long.", unit="ms")
    minimum_count: int = key(Whole(1, 1000), 3, "An average of fewer scores than this is ignored.", unit="scores")
    detection_threshold: float = key(SCORE, 0.8, "The averaged score that a word needs.")
    speech_threshold: float = key(SCORE, 0.0, "In mode repeat, also needed right after other speech; 0 turns this off.")
    on_demand: tuple[str, ...] | None = key(Words(), None, "Words that fire only while armed; none when null.")
    armed_threshold: float = key(SCORE, 0.5, "The averaged score that an armed word needs.")
    thresholds: Mapping[str, float] = key(
        Thresholds(), {}, "Thresholds of single words, instead of detection_threshold."
    )

    def threshold(self, word: str) -> float:
        """What a word needs that is not armed."""
        return self.thresholds.get(word, self.detection_threshold)


KEYS = keys_of("recognize", CompleteRecognizeSettings)


def default_clip_stride_ms(row_stride_ms: float | None) -> float:
    """The smallest multiple of the row stride that is at least 30 ms; 30 if there are no rows (waveform models)."""
    if row_stride_ms is None:
        return CLIP_STRIDE_MIN_MS
    return -(-CLIP_STRIDE_MIN_MS // row_stride_ms) * row_stride_ms


def layer_recognize(*layers: RecognizeSettings, row_stride_ms: float | None) -> CompleteRecognizeSettings:
    """Combines the layers with kwsd's defaults.

    Thresholds of single words merge word by word. A layer that sets ``detection_threshold`` moves the ``thresholds`` of
    farther layers by its difference from theirs (clamped to 0 and 1), so that a stricter setting is stricter for every
    word and a word that needs more still needs more. ``speech_threshold`` does not move: in running speech a word needs
    the larger of the two, and moved along it would soon reach 1, where nothing fires.

    Args:
        layers: nearest first.
        row_stride_ms: the front end's ``stride_ms``; None for a model that takes samples.
    """
    said: dict[str, Any] = {
        "clip_stride_ms": default_clip_stride_ms(row_stride_ms),
        "detection_threshold": CompleteRecognizeSettings.detection_threshold,
    }
    thresholds: dict[str, float] = {}
    for layer in reversed(layers):
        if layer.detection_threshold is not None:
            step = layer.detection_threshold - said["detection_threshold"]
            thresholds = {word: _moved(threshold, step) for word, threshold in thresholds.items()}
        thresholds.update(layer.thresholds or {})  # None from a caller means not set too
        said.update({f.name: value for f in fields(layer) if (value := getattr(layer, f.name)) is not None})
    said["thresholds"] = thresholds
    complete = CompleteRecognizeSettings(**said)
    return replace(complete, max_clip_stride_ms=max(complete.max_clip_stride_ms, complete.clip_stride_ms))


def _moved(threshold: float, step: float) -> float:
    return min(1.0, max(0.0, round(threshold + step, 9)))  # 0.8 + 0.1 is 0.9000000000000000222
