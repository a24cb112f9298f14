"""``kwsd-train label-wav``: the best labels of one recording, in the format of the tutorial's label_wav."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kwsd.errors import InputError, ModelError, UsageError
from kwsd_train.flags import flag as flags
from kwsd_train.flags import given_labels
from kwsd_train.flags import table as flag_table

HELP = "print the most likely labels of a recording"
EXAMPLE = "kwsd-train label-wav --wav stop.wav --graph default --how_many_labels 3"

TUTORIALS_NAMES = ("wav_data:0", "labels_softmax:0")
"""Tensors of the tutorial's graphs: accepted for any model, so that its command lines work."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    read = "WAV, FLAC, Ogg or MP3 file; the first channel is used"
    parser.add_argument("--wav", default="", metavar="FILE", help=read)
    add_model_arguments(parser)


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags for the model and its output."""
    parser.add_argument(
        "--graph", default="", metavar="MODEL", help="bundled model, a .tflite file, or two as FIRST+VERIFIER"
    )
    parser.add_argument(
        "--labels",
        default="",
        metavar="FILE",
        help="labels file, one label per line; not needed if the model has metadata",
    )
    parser.add_argument("--frontend", metavar="FILE", help="front-end file (YAML), for a model without metadata")
    parser.add_argument("--input_name", default=TUTORIALS_NAMES[0], metavar="NAME", help="checked, else not needed")
    parser.add_argument("--output_name", default=TUTORIALS_NAMES[1], metavar="NAME", help="checked, else not needed")
    flags.add(parser, flag_table.LABEL_WAV)


def run(args: argparse.Namespace) -> int:
    if not args.wav or not Path(args.wav).exists():
        raise InputError("--wav", f"Audio file does not exist at {args.wav}")
    model = load(args)
    print("\n".join(best(model, args.wav, args.how_many_labels)))
    return 0


def load(args: argparse.Namespace) -> Any:
    """The kwsd.model.Model named by the flags.

    Raises:
        UsageError: a flag has no sensible value.
        ModelError: a file is missing or rejected, or --labels differ from the model's.
    """
    from kwsd import model as models
    from kwsd.model.catalogue import parts

    if args.labels and not Path(args.labels).exists():
        raise ModelError("--labels", f"Labels file does not exist at {args.labels}")
    first, _ = parts(args.graph)
    if first not in models.bundled_names() and not Path(first).is_file():
        raise ModelError("--graph", f"Graph file does not exist at {args.graph}")
    labels = given_labels.needed(args.graph, args.labels) if args.labels else None
    model = models.load(args.graph, labels, args.frontend)
    inputs, outputs = model.details()
    for flag, name, tensors in (
        ("--input_name", args.input_name, inputs),
        ("--output_name", args.output_name, outputs),
    ):
        names = [tensor["name"] for tensor in tensors]
        if name not in (*TUTORIALS_NAMES, *names, *(known.removesuffix(":0") for known in names)):
            raise UsageError(flag, f"the model has no tensor {name} there, but {', '.join(names)}", "Leave it out.")
    return model


def best(model: Any, wav: str, count: int) -> Sequence[str]:
    """``LABEL (score = 0.12345)`` for the ``count`` best labels of a recording. InputError if it cannot be read."""
    from kwsd.audio.clip import read_clip

    clip = read_clip(wav, model.sample_rate_hz, model.clip_samples, any_format=True)
    scores = model.scores(model.features(clip))
    order = scores.argsort()[::-1][:count]
    return [f"{model.labels[number]} (score = {scores[number]:.5f})" for number in order]
