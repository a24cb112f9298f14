"""A model's metadata: the keys and their values, as in docs/model-format.md, which must agree.

The keys of front ends are in `kwsd.frontend.keys`, those of the recogniser in `kwsd.config`.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

from kwsd.errors import ConfigError, ModelError
from kwsd.frontend.keys import SAMPLE_RATE_HZ, checked
from kwsd.recognize.settings import KEYS
from kwsd.validation.kinds import SCORE, Choice, Kind, Text, Whole
from kwsd.validation.yaml import shown

Buffer = bytes | memoryview

ENTRY = "KWSD"
"""Name of the metadata entry in the .tflite file."""

FORMAT = 1
LABELS_MAX = 1000


class _Mapping(Kind):
    allowed = "a mapping"

    def accept(self, value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ValueError
        return value


class _Labels(Kind):
    allowed = f"a list of 1 to {LABELS_MAX} different words"

    def accept(self, value: Any) -> Any:
        if not isinstance(value, list) or not 0 < len(value) <= LABELS_MAX:
            raise ValueError
        for label in value:
            if WORD.accept(label) != label.strip():
                raise ValueError(f"white space around {label!r}")
        if twice := [label for i, label in enumerate(value) if label in value[:i]]:
            raise ValueError(f"{twice[0]!r} twice")
        return value


WORD = Text("a word", max_bytes=255)

TOP: Mapping[str, Kind] = {
    "format": Whole(FORMAT, FORMAT),
    "name": Text("text on one line", max_bytes=255),
    "version": Text("text on one line", max_bytes=255),
    "labels": _Labels(),
    "sample_rate_hz": SAMPLE_RATE_HZ,
    "clip_ms": Whole(10, 60_000),
    "frontend": _Mapping(),
    "scores": Choice(("probabilities", "logits")),
    "embedding": Text("the name of an output", max_bytes=255),
    "recognize": _Mapping(),
    "training": _Mapping(),
    "licence": Text("text on one line"),
}
OPTIONAL = ("version", "embedding", "recognize", "training", "licence")

RECOGNIZE: Mapping[str, Kind] = {
    **{key.name: key.kind for key in KEYS if key.name != "on_demand"},  # these words are up to the user
    "thresholds": _Mapping(),
}


def parse(document: Buffer, source: str) -> dict[str, Any]:
    """The metadata of a KWSD entry: UTF-8 JSON. ``source`` names the model in ModelError."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        mapping = dict(pairs)
        if len(mapping) < len(pairs):
            raise ValueError(f"a key twice among {', '.join(map(repr, mapping))}")
        return mapping

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not a JSON number")

    try:
        metadata = json.loads(bytes(document).decode(), object_pairs_hook=once, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise ModelError(source, f"its metadata is not JSON ({error})") from error
    return validate(metadata, source)


def validate(metadata: Any, source: str) -> dict[str, Any]:
    """``metadata`` as a new dict, if it is complete and has no unknown keys; else ModelError about ``source``."""
    if not isinstance(metadata, Mapping):
        raise ModelError(source, "its metadata is not a mapping")
    if metadata.get("format", FORMAT) != FORMAT:
        why = f"its metadata is of format {shown(metadata['format'])}, and this kwsd knows format {FORMAT}"
        raise ModelError(source, why, "Use a newer kwsd.")
    _check(metadata, TOP, OPTIONAL, "", source)
    frontend = metadata["frontend"]
    if "sample_rate_hz" in frontend:
        raise ModelError(source, "its metadata has the unknown key 'frontend.sample_rate_hz'")
    try:
        checked({**frontend, "sample_rate_hz": metadata["sample_rate_hz"]})
    except ConfigError as error:
        raise ModelError(source, f"its metadata: {'; '.join(error.faults)}") from error
    recognize = metadata.get("recognize", {})
    _check(recognize, RECOGNIZE, tuple(RECOGNIZE), "recognize.", source)
    words: Mapping[str, Kind] = dict.fromkeys(metadata["labels"], SCORE)
    _check(recognize.get("thresholds", {}), words, tuple(words), "recognize.thresholds.", source)
    return dict(metadata)


def _check(
    values: Mapping[str, Any], kinds: Mapping[str, Kind], optional: Collection[str], prefix: str, source: str
) -> None:
    for key in kinds:
        if key not in values and key not in optional:
            raise ModelError(source, f"its metadata lacks '{prefix}{key}'")
    for key, value in values.items():
        if key not in kinds:
            raise ModelError(source, f"its metadata has the unknown key {shown(prefix + str(key))}")
        try:
            kinds[key].accept(value)
        except ValueError as error:
            got = str(error) or f"got {shown(value)}"
            raise ModelError(source, f"its metadata's '{prefix}{key}': {got}; allowed: {kinds[key].allowed}") from error
