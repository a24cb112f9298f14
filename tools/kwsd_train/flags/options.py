"""The handling of flags that commands share, which are defined in `flag_table`.

A flag that is not given is None, so that ``freeze`` and ``evaluate`` can take it from the checkpoint instead;
`resolve` fills in the remaining defaults.
"""

import argparse
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kwsd.errors import UsageError
from kwsd_train import networks
from kwsd_train.batches import sampling
from kwsd_train.data.folders import data_root, parse_words
from kwsd_train.flags import flag as flags
from kwsd_train.flags import table as flag_table
from kwsd_train.flags.flag import Boolean, Flag

FEATURE_DEFAULTS = flags.defaults(flag_table.FEATURES)
SET_DEFAULTS = flags.defaults(flag_table.SET)
DATA_DEFAULTS = flags.defaults(flag_table.DATA)
AUGMENT_DEFAULTS = flags.defaults(flag_table.AUGMENTATION)


def add_flags(parser: argparse.ArgumentParser, title: str, rows: Iterable[Flag], *, filled: bool = False) -> None:
    """One group of flags of the table; flags that are not given stay None, unless they are ``filled``."""
    flags.add(parser.add_argument_group(title), rows, filled=filled)


def add_folders(parser: argparse.ArgumentParser) -> None:
    """The folders of data. Their defaults are in ``KWSD_DATA`` (default: data)."""
    group = parser.add_argument_group("folders")
    group.add_argument(
        "--data_dir", type=Path, metavar="DIR", help="folder of word folders (default: $KWSD_DATA/speech_commands)"
    )
    group.add_argument(
        "--noise_dir", type=Path, metavar="DIR", help="folder of noise recordings (default: $KWSD_DATA/noise)"
    )
    group.add_argument(
        "--speech_dir",
        type=Path,
        metavar="DIR",
        help="folder of running speech (default: $KWSD_DATA/running_speech/train)",
    )
    group.add_argument(
        "--impulse_dir",
        type=Path,
        metavar="DIR",
        help="folder of room impulse responses (default: $KWSD_DATA/impulse_responses)",
    )
    group.add_argument(
        "--cache_dir",
        type=Path,
        metavar="DIR",
        help="cache of decoded audio, about 32 kB per clip (default: kwsd-train in $XDG_CACHE_HOME)",
    )


@dataclass(frozen=True)
class Folders:
    """The folders of the data."""

    data: Path
    noise: Path
    speech: Path
    impulse: Path
    cache: Path


def folders(args: argparse.Namespace) -> Folders:
    """The folders named by flags, and the defaults of those that are not."""
    root = data_root()
    return Folders(
        args.data_dir or root / "speech_commands",
        args.noise_dir or root / "noise",
        args.speech_dir or root / "running_speech" / "train",
        args.impulse_dir or root / "impulse_responses",
        args.cache_dir or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "kwsd-train",
    )


def resolve(
    args: argparse.Namespace, defaults: Mapping[str, Any], stored: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The value of each flag: given, else stored in the checkpoint, else the default.

    UsageError if a given value contradicts a stored one.
    """
    values: dict[str, Any] = {}
    for name, default in defaults.items():
        given = getattr(args, name, None)
        given = tuple(given) if isinstance(given, list) else given
        if given is None:
            values[name] = stored[name] if stored is not None and name in stored else default
        elif stored is not None and name in stored and stored[name] != given:
            raise UsageError(
                f"--{name}",
                f"{_shown(given)} does not agree with the checkpoint, made with {_shown(stored[name])}",
                "Leave it out, or name another checkpoint.",
            )
        else:
            values[name] = given
    return values


def add_trust(group: Any) -> None:
    """The switch that lets a checkpoint name a program."""
    text = "run the FILE.py:FUNCTION that the checkpoint names to build its network"
    flags.add(group, [Flag("trust_architecture", Boolean(), False, "", text)], filled=True)


def check_trusted(args: argparse.Namespace, settings: Mapping[str, Any]) -> None:
    """UsageError if a checkpoint or weights, not the command line, name a program that would be run."""
    name = settings["model_architecture"]
    if networks.is_own(name) and args.model_architecture is None and not args.trust_architecture:
        raise UsageError(
            "--start_checkpoint",
            f"it names a program that builds its network, {name}",
            "If that may be run, add --trust-architecture, or name it by --model_architecture.",
        )


def given(args: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """Those of ``names`` that were given."""
    return {name: getattr(args, name) for name in names if getattr(args, name, None) is not None}


def check(settings: Mapping[str, Any]) -> None:
    """UsageError if settings, each within its range, contradict each other. Does not read data."""
    from kwsd_train.batches import features

    sampling.check(words(settings), settings)
    features.create(settings)
    kept = settings["validation_percentage"] + settings["testing_percentage"]
    if kept > 100:
        raise UsageError("--validation_percentage", f"with --testing_percentage it is {kept:g}, more than 100 %")
    if settings["time_shift_ms"] > settings["clip_duration_ms"]:
        raise UsageError("--time_shift_ms", f"{settings['time_shift_ms']:g} ms is longer than the clip")
    share = settings["speech_percentage"] + settings["unlabelled_percentage"]
    if share > 100:
        raise UsageError("--unlabelled_percentage", f"with --speech_percentage it is {share:g}, more than 100 %")


def frontend_params(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The ``frontend`` mapping of the model's metadata, as for ``kwsd.frontend.create``, without the rate."""
    kind, bins = settings["preprocess"], settings["feature_bin_count"]
    params: dict[str, Any] = {
        "type": kind,
        "window_ms": _whole(settings["window_size_ms"]),
        "stride_ms": _whole(settings["window_stride_ms"]),
    }
    if params["window_ms"] > settings["clip_duration_ms"]:
        raise UsageError("--window_size_ms", f"{params['window_ms']} ms is longer than the clip")
    if params["stride_ms"] * settings["sample_rate"] < 1000:
        raise UsageError("--window_stride_ms", f"{params['stride_ms']} ms is less than one sample")
    if kind in ("mfcc", "log_mel"):
        params["lower_hz"] = _whole(settings["lower_hz"])
        params["upper_hz"] = _whole(settings["upper_hz"] or (4000 if kind == "mfcc" else 7600))
    if kind == "mfcc":
        if bins > 40:
            raise UsageError("--feature_bin_count", f"mfcc has 1 to 40 coefficients, not {bins}")
        params |= {"mel_bins": 40, "coefficients": bins}
    elif kind == "log_mel":
        params |= {"mel_bins": bins, "power": settings["mel_power"], "floor": settings["log_floor"]}
    else:
        params["bins"] = bins
    return params


def words(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The wanted words."""
    return parse_words(settings["wanted_words"])


def _whole(number: float) -> float:
    """40 rather than 40.0, if they are equal."""
    return int(number) if float(number).is_integer() else number


def _shown(value: Any) -> str:
    return " ".join(f"{item:g}" for item in value) if isinstance(value, tuple) else str(value)
