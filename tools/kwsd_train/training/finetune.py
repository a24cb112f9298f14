"""Fine-tuning: the backbone of a trained model with a last layer for other words.

What was learned about speech is reused, so a new word needs a few recordings instead of thousands.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kwsd.errors import ModelError
from kwsd_train.flags import options, recipes
from kwsd_train.flags import table as flag_table

ENDING = ".weights.h5"

NEW_TO_OLD = 0.4
"""When words are added: with 1, the old ones lose twice as much, and the new ones gain nothing (docs/training.md)."""


@dataclass(frozen=True)
class Donor:
    """A trained model: its float weights, .tflite file, training flags, labels, and settings of the recogniser."""

    weights: Path
    model: Path
    settings: Mapping[str, Any]
    labels: Sequence[str]
    recognize: Mapping[str, Any]


def find(name: str) -> Donor | None:
    """The donor named by ``--start_checkpoint``, if it is a bundled model or a .weights.h5 file; None for a checkpoint.

    The flags come from the metadata of the .tflite file beside the weights. ModelError if one is missing.
    """
    from kwsd import model as models
    from kwsd.model.catalogue import FLOAT32, bundled

    known = bundled()
    if name in known:
        stem = name.removesuffix(FLOAT32)
        weights = known[name].with_name(stem + ENDING)
    elif name.endswith(ENDING):
        weights = Path(name)
        stem = weights.name.removesuffix(ENDING)
    elif name.endswith(".tflite"):
        mend = f"Name its float weights: {Path(name).stem}{ENDING}, which freeze --weights_file writes."
        raise ModelError(name, "a frozen model, which cannot be trained further", mend)
    else:
        return None
    if not weights.is_file():
        raise ModelError(str(weights), "no such file", "Fine-tuning needs the float weights of a model.")
    frozen = [weights.with_name(f"{stem}{ending}.tflite") for ending in ("", FLOAT32)]
    described = next((path for path in frozen if path.is_file()), None)
    if described is None:
        raise ModelError(
            str(weights), f"no {frozen[0].name} beside it, which describes its features and words", "Put it there."
        )
    model = models.load(described)
    settings = _settings(described, model.metadata)
    return Donor(weights, described, settings, model.labels, model.metadata.get("recognize", {}))


def stored_settings(donor: Donor, wanted_words: str | None) -> dict[str, Any]:
    """The donor's feature flags, as in a checkpoint, except for the words."""
    return {**donor.settings, "wanted_words": wanted_words or donor.settings["wanted_words"]}


def inherited(donor: Donor, words: Sequence[str]) -> dict[str, Any]:
    """The part of a checkpoint about the donor: its weights, to resume later, and its settings of the recogniser,
    without thresholds of omitted words.
    """
    recognize = dict(donor.recognize)
    if "thresholds" in recognize:
        recognize["thresholds"] = {word: value for word, value in recognize["thresholds"].items() if word in words}
    return {"donor": str(donor.weights), "recognize": recognize}


def known(donor: Donor, words: Sequence[str]) -> list[str]:
    """Those of ``words`` that the donor knows."""
    return [word for word in words if word in donor.labels]


def word_weights(donor: Donor, words: Sequence[str]) -> str:
    """``--word_weights`` that draw new words `NEW_TO_OLD` times as often as those that the donor knows."""
    new = [word for word in words if word not in donor.labels]
    weight = NEW_TO_OLD * (len(words) - len(new)) / len(new) if new else 1
    return ",".join(f"{word}={weight:g}" for word in new) if weight > 1 else ""


def taught_by(donor: Donor, args: argparse.Namespace, settings: Mapping[str, Any]) -> argparse.Namespace:
    """``args`` with the donor as the teacher of the words that it knows, so that they do not change.

    No change if there are other teachers or no such words, with the tutorial's recipe, or with a weight of 0.
    """
    kept = known(donor, options.words(settings))
    if args.teacher or not kept or settings["recipe"] == recipes.TUTORIAL or not settings["teacher_weight"]:
        return args
    return argparse.Namespace(**{**vars(args), "teacher": [str(donor.model)], "teacher_hears": "batches"})


def take_over(model: Any, donor: Donor, shape: Sequence[int], labels: Sequence[str]) -> list[str]:
    """Set the weights of a fresh ``model`` for ``labels`` to the donor's, and return the labels that must start anew.

    In the last layer a label that the donor knows by name (``_silence_`` and ``_unknown_`` are two) keeps its weights.
    ModelError if the file is of another network.
    """
    from kwsd_train import networks

    frames, width = shape
    old = networks.build(donor.settings["model_architecture"], frames, width, len(donor.labels))
    try:
        old.load_weights(donor.weights)
    except (OSError, ValueError, KeyError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(str(donor.weights), f"these are not weights of {old.name}: {why}") from error
    for own, given in zip(model.layers, old.layers, strict=True):
        if own is not _last(model):
            own.set_weights(given.get_weights())
    kept = [(new, donor.labels.index(label)) for new, label in enumerate(labels) if label in donor.labels]
    mixed = _last(model).get_weights()
    for own, given in zip(mixed, _last(old).get_weights(), strict=True):
        for new, known in kept:
            own[..., new] = given[..., known]
    _last(model).set_weights(mixed)
    return [label for label in labels if label not in donor.labels]


def given_by(donor: Donor, model: Any, labels: Sequence[str]) -> list[NDArray[Any]]:
    """Of a ``model`` as `take_over` left it, the weights that are the donor's; NaN where a new label has its own."""
    new = [place for place, label in enumerate(labels) if label not in donor.labels]
    own = {id(variable) for variable in _last(model).weights}
    given = [np.asarray(variable).copy() for variable in model.variables]
    for array in (array for array, variable in zip(given, model.variables, strict=True) if id(variable) in own):
        array[..., new] = np.nan
    return given


def _last(model: Any) -> Any:
    """The last layer that has weights."""
    return next(layer for layer in reversed(model.layers) if layer.weights)


def _settings(path: Path, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Flags of ``train`` from a model's metadata. ModelError if this tool could not have made it."""
    front = {key: value for key, value in metadata["frontend"].items() if key != "sample_rate_hz"}
    names = {
        "type": "preprocess",
        "window_ms": "window_size_ms",
        "stride_ms": "window_stride_ms",
        "lower_hz": "lower_hz",
        "upper_hz": "upper_hz",
        "power": "mel_power",
        "floor": "log_floor",
    }
    settings = {name: front[key] for key, name in names.items() if key in front}
    bins = next((front[key] for key in ("coefficients", "bins", "mel_bins") if key in front), None)
    architecture = (metadata.get("training") or {}).get("architecture")
    settings = {**options.FEATURE_DEFAULTS, **settings} | {
        "feature_bin_count": bins,
        "sample_rate": metadata["sample_rate_hz"],
        "clip_duration_ms": metadata["clip_ms"],
        "model_architecture": architecture,
        "wanted_words": ",".join(metadata["labels"][2:]),
    }
    if (
        not architecture
        or settings["preprocess"] not in flag_table.PREPROCESS
        or options.frontend_params(settings) != front
    ):
        raise ModelError(str(path), "it was not made by kwsd-train from features, so it cannot be fine-tuned")
    return settings
