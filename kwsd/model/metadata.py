"""The metadata that a model carries: what each key may be. docs/model-format.md shows it; the two go together.

What a front end's numbers mean together (bands below half the rate, a window that fits) is `kwsd.frontend`'s business.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kwsd.errors import ModelError
from kwsd.settings import MODES

ENTRY = "KWSD"
"""Name of the metadata entry in the .tflite file."""

FORMAT = 1

Check = Callable[[Any], str | None]
"""What is wrong with a value: what it should be; None if nothing is."""


def _number(low: float, high: float, *, whole: bool = False) -> Check:
    kind = "a whole number" if whole else "a number"

    def check(value: Any) -> str | None:
        fits = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        return None if fits and math.isfinite(value) and low <= value <= high else f"{kind} from {low:g} to {high:g}"

    return check


def _one_of(*choices: Any) -> Check:
    def check(value: Any) -> str | None:
        fits = any(value == choice and type(value) is type(choice) for choice in choices)
        return None if fits else " or ".join(json.dumps(choice) for choice in choices)

    return check


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) and value.strip() and value.isprintable() else "text on one line"


def _mapping(value: Any) -> str | None:
    return None if isinstance(value, Mapping) else "a mapping"


def _labels(value: Any) -> str | None:
    fits = isinstance(value, list) and 0 < len(value) <= LABELS_MAX
    fits = fits and not any(_text(label) or label != label.strip() for label in value) and len({*value}) == len(value)
    return None if fits else f"a list of 1 to {LABELS_MAX} different words"


LABELS_MAX = 1000
MILLISECONDS = _number(1, 60_000)
HZ = _number(0, 384_000)
COUNT = _number(1, 65_536, whole=True)

TOP: Mapping[str, Check] = {
    "format": _one_of(FORMAT),
    "name": _text,
    "version": _text,
    "labels": _labels,
    "sample_rate_hz": _number(1000, 384_000, whole=True),
    "clip_ms": _number(10, 60_000, whole=True),
    "frontend": _mapping,
    "scores": _one_of("probabilities", "logits"),
    "recognize": _mapping,
    "training": _mapping,
    "licence": _text,
}
OPTIONAL = frozenset({"version", "recognize", "training", "licence"})

_ROWS: Mapping[str, Check] = {"window_ms": MILLISECONDS, "stride_ms": MILLISECONDS}
_BAND: Mapping[str, Check] = {"lower_hz": HZ, "upper_hz": HZ}

FRONTENDS: Mapping[str, Mapping[str, Check]] = {
    "mfcc": {**_ROWS, **_BAND, "mel_bins": COUNT, "coefficients": COUNT},
    "log_mel": {**_ROWS, **_BAND, "mel_bins": COUNT, "power": _one_of(1, 2), "floor": _number(0, 1e9)},
    "psf_mfcc": {
        **_ROWS,
        **_BAND,
        "nfft": COUNT,
        "filters": COUNT,
        "coefficients": COUNT,
        "preemphasis": _number(0, 1),
        "lifter": _number(0, 65_536),
        "append_energy": _one_of(True, False),
        "window": _one_of("rectangular", "hamming", "hann"),
    },
    "average": {**_ROWS, "bins": COUNT},
    "micro": {**_ROWS, "bins": COUNT},
    "waveform": {},
}
"""Keys of each front end, beside ``type``; all of them are required."""

RECOGNIZE: Mapping[str, Check] = {
    "mode": _one_of(*MODES),
    "clip_stride_ms": MILLISECONDS,
    "max_clip_stride_ms": MILLISECONDS,
    "average_window_ms": _number(0, 60_000, whole=True),
    "suppression_ms": _number(0, 60_000, whole=True),
    "minimum_count": _number(1, 1000, whole=True),
    "detection_threshold": _number(0, 1),
    "thresholds": _mapping,
}


def parse(document: bytes, source: str) -> dict[str, Any]:
    """The metadata of a KWSD entry: UTF-8 JSON. ``source`` names the model in ModelError."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"the key {name!r} stands twice")
        return dict(pairs)

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    try:
        metadata = json.loads(document.decode(), object_pairs_hook=once, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise ModelError(source, f"its metadata is no JSON ({error})") from error
    return validate(metadata, source)


def validate(metadata: Any, source: str) -> dict[str, Any]:
    """``metadata`` as a new dict, if it is complete and nothing in it is unknown; else ModelError about ``source``."""
    if not isinstance(metadata, Mapping):
        raise ModelError(source, "its metadata is no mapping")
    if "format" in metadata and (wanted := TOP["format"](metadata["format"])):
        found = _shown(metadata["format"])
        raise ModelError(source, f"metadata of format {found}; this kwsd knows format {wanted}", "Use a newer kwsd.")
    _check(metadata, TOP, OPTIONAL, "", source)
    frontend = metadata["frontend"]
    if (wanted := _one_of(*FRONTENDS)(frontend.get("type"))) is not None:
        raise ModelError(source, f"metadata 'frontend.type' is {_shown(frontend.get('type'))}, not {wanted}")
    keys = {"type": _text, **FRONTENDS[frontend["type"]]}
    _check(frontend, keys, (), "frontend.", source)
    recognize = metadata.get("recognize", {})
    _check(recognize, RECOGNIZE, RECOGNIZE, "recognize.", source)
    words = {label: RECOGNIZE["detection_threshold"] for label in metadata["labels"]}
    _check(recognize.get("thresholds", {}), words, words, "recognize.thresholds.", source)
    return {**metadata, "labels": list(metadata["labels"])}


def _check(
    values: Mapping[Any, Any], checks: Mapping[str, Check], optional: Iterable[str], prefix: str, source: str
) -> None:
    for key in checks:
        if key not in values and key not in optional:
            raise ModelError(source, f"metadata lacks '{prefix}{key}'")
    for key, value in values.items():
        if key not in checks:
            raise ModelError(source, f"metadata has the unknown key '{prefix}{key}'")
        if (wanted := checks[key](value)) is not None:
            raise ModelError(source, f"metadata '{prefix}{key}' is {_shown(value)}, not {wanted}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
