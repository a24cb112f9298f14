"""The flags that commands share, with the tutorial's names and defaults, and the records made from them.

A flag that is not given is None, so that ``freeze`` and ``evaluate`` can take it from the checkpoint instead;
``DEFAULTS`` fills what is left.
"""

import argparse
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kwsd.errors import UsageError
from kwsd_train import sampling
from kwsd_train.architectures import absolute
from kwsd_train.data import DEFAULT_SEED, data_root, parse_words

PREPROCESS = ("mfcc", "log_mel", "average", "micro")

FEATURE_DEFAULTS: dict[str, Any] = {
    "wanted_words": "yes,no,up,down,left,right,on,off,stop,go",
    "sample_rate": 16000,
    "clip_duration_ms": 1000,
    "window_size_ms": 30.0,
    "window_stride_ms": 10.0,
    "feature_bin_count": 40,
    "preprocess": "mfcc",
    "lower_hz": 20.0,
    "upper_hz": None,
    "mel_power": 2,
    "log_floor": 1e-6,
    "model_architecture": "conv",
}
"""What a checkpoint remembers: two runs that differ in one of these are two models."""

SAMPLING_DEFAULTS: dict[str, Any] = {
    "sampling": "tutorial",
    "word_weights": "",
    "same_voice_percentage": 0.0,
}
"""How a batch of training clips is composed (`kwsd_train.sampling`)."""

SET_DEFAULTS: dict[str, Any] = {
    "silence_percentage": 10.0,
    "unknown_percentage": 10.0,
    "validation_percentage": 10.0,
    "testing_percentage": 10.0,
    "seed": DEFAULT_SEED,
}
"""Which clips are in which set."""

DATA_DEFAULTS = SET_DEFAULTS | SAMPLING_DEFAULTS

AUGMENT_DEFAULTS: dict[str, Any] = {
    "background_volume": 0.1,
    "background_frequency": 0.8,
    "time_shift_ms": 100.0,
    "noise_frequency": 0.0,
    "snr_db": (0.0, 30.0),
    "gain_db": (0.0, 0.0),
    "speed_percentage": 0.0,
    "equalizer_db": 0.0,
    "reverberation_frequency": 0.0,
    "stream_frequency": 0.0,
    "repeat_frequency": 0.0,
    "speech_percentage": 0.0,
    "quiet_frequency": 0.0,
    "made_noise_frequency": 0.0,
    "time_masks": 0,
    "time_mask_rows": 10,
    "band_masks": 0,
    "band_mask_bins": 5,
    "mixup": 0.0,
    "teacher_weight": 0.5,
}

_HELP = {
    "wanted_words": "words to tell apart, divided by commas; every other folder is _unknown_",
    "sample_rate": "samples a second of the model, in Hz; files at other rates are resampled",
    "clip_duration_ms": "length of a clip, in ms",
    "window_size_ms": "length of a spectrogram window, in ms",
    "window_stride_ms": "from window to window, in ms",
    "feature_bin_count": "features a window: coefficients of mfcc, bands of log_mel, bins of average and micro",
    "preprocess": f"front end, one of {', '.join(PREPROCESS)}",
    "lower_hz": "lower end of the mel bands, in Hz (mfcc, log_mel)",
    "upper_hz": "upper end of the mel bands, in Hz (default: 4000 for mfcc, 7600 for log_mel)",
    "mel_power": "1 for magnitudes, 2 for powers (log_mel)",
    "log_floor": "added before the logarithm (log_mel)",
    "model_architecture": "network; `kwsd-train models` lists them; path/to/file.py:function for one of your own",
    "silence_percentage": "silence entries, as a percentage of the wanted clips, or of each batch (--sampling)",
    "unknown_percentage": "other words, as a percentage of the wanted clips, or of each batch (--sampling)",
    "validation_percentage": "speakers kept for validation, in percent",
    "testing_percentage": "speakers kept for testing, in percent",
    "seed": "seed of everything drawn",
    "sampling": "what percentages of silence and other words mean: tutorial, so many clips for 100 wanted ones, fixed "
    "at the start; balanced, so many of 100 clips of each batch, out of all there are, and each word equally often",
    "word_weights": "how often words are drawn, as WORD=X,..., X from 0.001 to 1000; others 1 (--sampling balanced)",
    "same_voice_percentage": "share of the other words that is spoken by the voices of the wanted ones, where they "
    "have any, in percent, 0 to 100 (--sampling balanced)",
    "background_volume": "background noise is mixed in at a volume drawn from 0 to this (full scale is 1)",
    "background_frequency": "share of the clips that get background noise by volume, 0 to 1",
    "time_shift_ms": "clips are shifted by up to this many ms either way",
    "noise_frequency": "share of the clips that get noise at a signal-to-noise ratio instead, 0 to 1",
    "snr_db": "that ratio is drawn between these two, in dB",
    "gain_db": "loudness is changed by between these two, in dB",
    "speed_percentage": "speed and pitch are changed by up to this many percent either way",
    "equalizer_db": "the microphone's curve is bent by up to this many dB either way",
    "reverberation_frequency": "share of the clips that are heard in a room, 0 to 1",
    "stream_frequency": "share of the clips cut as a stream shows them, at any offset between two clips, 0 to 1; "
    "a half-heard word is _unknown_",
    "repeat_frequency": "share of the wanted words among these whose second clip says them again, 0 to 1; the end of "
    "the first and the beginning of the second are no word",
    "speech_percentage": "windows of running speech without the words, as _unknown_, in percent of each batch",
    "quiet_frequency": "share of the silence entries that are what a muted microphone gives: zeros, or noise below "
    "-70 dBFS, 0 to 1",
    "made_noise_frequency": "share of the other silence entries that get ticks, knocks, hum, beeps or rustle, 0 to 1",
    "time_masks": "masks over time (SpecAugment)",
    "time_mask_rows": "widest mask over time, in windows",
    "band_masks": "masks over bands (SpecAugment)",
    "band_mask_bins": "widest mask over bands, in bins",
    "mixup": "mixup's alpha; 0 mixes nothing",
    "teacher_weight": "how far targets move from the labels to the scores of --teacher, 0 to 1",
}


def add_boolean(group: Any, flag: str, text: str) -> None:
    """A switch that also takes true or false, as the tutorial's did (where "False" was true, too)."""

    def truth(value: str) -> bool:
        if value.lower() not in ("true", "false"):
            raise argparse.ArgumentTypeError(f"got {value!r}; allowed is true or false")
        return value.lower() == "true"

    group.add_argument(flag, nargs="?", type=truth, const=True, default=False, metavar="BOOL", help=text)


def add_flags(parser: argparse.ArgumentParser, title: str, defaults: Mapping[str, Any]) -> None:
    """One group of flags; every one stays None when it is not given."""
    group = parser.add_argument_group(title)
    for name, default in defaults.items():
        text = _HELP[name] + ("" if default in (None, "") else f" (default: {_shown(default)})").replace("%", "%%")
        if isinstance(default, tuple):
            group.add_argument(f"--{name}", type=float, nargs=2, metavar=("FROM", "TO"), help=text)
        else:
            kind = float if default is None else type(default)
            convert = absolute if name == "model_architecture" else kind
            choices = sampling.KINDS if name == "sampling" else None
            metavar = None if choices else _metavar(kind)
            group.add_argument(f"--{name}", type=convert, metavar=metavar, choices=choices, help=text)


def add_folders(parser: argparse.ArgumentParser) -> None:
    """The folders of data. Their defaults lie under ``KWSD_DATA`` (default: data)."""
    group = parser.add_argument_group("folders")
    group.add_argument(
        "--data_dir", type=Path, metavar="DIR", help="word folders (default: $KWSD_DATA/speech_commands)"
    )
    group.add_argument("--noise_dir", type=Path, metavar="DIR", help="noise files (default: $KWSD_DATA/noise)")
    group.add_argument(
        "--speech_dir", type=Path, metavar="DIR", help="running speech (default: $KWSD_DATA/running_speech/train)"
    )
    group.add_argument(
        "--impulse_dir", type=Path, metavar="DIR", help="rooms' responses (default: $KWSD_DATA/impulse_responses)"
    )
    group.add_argument(
        "--cache_dir",
        type=Path,
        metavar="DIR",
        help="decoded audio, about 32 kB a clip (default: kwsd-train in $XDG_CACHE_HOME)",
    )


@dataclass(frozen=True)
class Folders:
    """Where the data lies."""

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

    UsageError when a given value contradicts a stored one.
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


def given(args: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """The flags out of ``names`` that were given."""
    return {name: getattr(args, name) for name in names if getattr(args, name, None) is not None}


def frontend_params(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The ``frontend`` mapping of the model's metadata, as ``kwsd.frontend.create`` takes it, without the rate."""
    kind, bins = settings["preprocess"], settings["feature_bin_count"]
    if kind not in PREPROCESS:
        raise UsageError("--preprocess", f'Unknown preprocess mode "{kind}"', f"It is one of {', '.join(PREPROCESS)}.")
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
        if not 1 <= bins <= 40:
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
    """40 rather than 40.0, where they are the same."""
    return int(number) if float(number).is_integer() else number


def _shown(value: Any) -> str:
    return " ".join(f"{item:g}" for item in value) if isinstance(value, tuple) else str(value)


def _metavar(kind: type) -> str:
    return {str: "TEXT", int: "N", float: "X"}[kind]
