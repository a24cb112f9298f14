"""Defaults of ``train``: the tutorial's, or those for a few recordings of one's own words.

The latter apply when a trained model is fine-tuned, unless ``--recipe`` overrides it. They add what one person's takes
lack: rooms, noise, running speech, other words by the same voice, and other voices.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from kwsd_train.batches import sampling
from kwsd_train.flags.flag import Flag

TUTORIAL, OWN_WORDS = NAMES = "tutorial", "own_words"

DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    TUTORIAL: {},
    OWN_WORDS: {
        "sampling": "balanced",
        "silence_percentage": 10.0,
        "unknown_percentage": 35.0,
        "same_voice_percentage": 50.0,
        "synthesized_voices": 60,
        "speech_percentage": 15.0,
        "noise_frequency": 0.7,
        "snr_db": (0.0, 25.0),
        "background_frequency": 0.2,
        "reverberation_frequency": 0.25,
        "quiet_frequency": 0.3,
        "stream_frequency": 0.25,
        "time_shift_ms": 120.0,
        "speed_percentage": 12.0,
        "gain_db": (-40.0, 6.0),
        "equalizer_db": 6.0,
        "time_masks": 1,
        "time_mask_rows": 8,
        "band_masks": 1,
        "band_mask_bins": 6,
        "teacher_weight": 0.9,
        "original_share": 0.25,
        "how_many_training_steps": (300,),
        "learning_rate": (0.003,),
        "learning_rate_schedule": "cosine",
        "warmup_steps": 20,
        "batch_size": 64,
        "optimizer": "adam",
        "weight_decay": 0.02,
        "label_smoothing": 0.05,
        "average_decay": 0.99,
        "eval_step_interval": 300,
    },
}

_NEEDS = {"noise_frequency": "noise", "speech_percentage": "speech", "reverberation_frequency": "impulse"}
"""Setting -> the folder that it needs; without it, it is 0 by default."""

_log = logging.getLogger("kwsd_train")


def defaults(recipe: str, rows: Iterable[Flag]) -> dict[str, Any]:
    """The default of each flag."""
    own = DEFAULTS[recipe]
    return {flag.name: own.get(flag.name, flag.default) for flag in rows}


def as_percentages_are_meant(settings: Mapping[str, Any], asked_for: Iterable[str]) -> dict[str, Any]:
    """``settings`` with the tutorial's sampling if none was chosen and only that makes sense; logged.

    "--unknown_percentage 150" is 150 clips of other words for 100 wanted ones.
    """
    if "sampling" in asked_for or settings["sampling"] == TUTORIAL or sampling.percentages(settings) < 100:
        return dict(settings)
    _log.warning("The percentages add up to 100 or more: taken as --sampling tutorial means them")
    return {**settings, "sampling": TUTORIAL, "same_voice_percentage": 0.0}


def without_what_is_missing(settings: Mapping[str, Any], asked_for: Iterable[str], where: Any) -> dict[str, Any]:
    """``settings`` without the parts of a recipe that need missing folders; logged.

    Args:
        asked_for: flags that were given, the share or the folder, so that a missing folder is an error.
        where: `options.Folders`.
    """
    missing = {
        name: getattr(where, folder)
        for name, folder in _NEEDS.items()
        if settings[name] and not {name, f"{folder}_dir"} & set(asked_for) and not getattr(where, folder).is_dir()
    }
    if missing:
        _log.warning("Trained without what is not there: %s", ", ".join(map(str, missing.values())))
    return {**settings, **dict.fromkeys(missing, 0.0)}
