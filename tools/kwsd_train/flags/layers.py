"""Model and recogniser's settings of a command, in the daemon's layers: flags, configuration, metadata, defaults."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from kwsd import config
from kwsd.cli.parser import add_recognize_arguments
from kwsd.config.effective import recognize_in_force
from kwsd.model import Model
from kwsd.recognize.settings import CompleteRecognizeSettings, RecognizeSettings
from kwsd_train.flags import given_labels


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """``--model``, what a model without metadata needs, and ``--config``."""
    group = parser.add_argument_group("model")
    add = group.add_argument
    add(
        "--model",
        "--graph",
        metavar="MODEL",
        help="bundled model, .tflite file, or two as FIRST+VERIFIER (default: the configuration's, else default)",
    )
    add("--labels", metavar="FILE", help="labels file, one label per line; not needed if the model has metadata")
    add("--frontend", metavar="FILE", help="front-end file (YAML), for a model without metadata")
    add("-c", "--config", metavar="FILE", help="configuration of kwsd, for the model and the recogniser's settings")


def add_layer_arguments(parser: argparse.ArgumentParser) -> None:
    """The recogniser's settings as flags."""
    add_recognize_arguments(parser)
    kind = config.flag("recognize", "average_window_ms")
    parser.add_argument("--average_window_duration_ms", dest="average_window_ms", type=kind, help=argparse.SUPPRESS)


@dataclass(frozen=True)
class Layers:
    """The settings of the command line and the configuration.

    Attributes:
        load: arguments of `kwsd.model.load`.
        flags, file: the two nearest layers of settings.
    """

    load: Mapping[str, Any]
    flags: RecognizeSettings
    file: RecognizeSettings

    def complete(self, model: Model) -> CompleteRecognizeSettings:
        """The settings in effect for this model."""
        return recognize_in_force(model, self.flags, self.file)


def read(args: argparse.Namespace) -> Layers:
    """The layers of a command's arguments. Raises ConfigError, and ModelError if --labels are not the model's."""
    settings = config.load(args.config) if args.config is not None else config.Settings()
    model = args.model or settings.models[0].model
    load = {
        "path_or_name": model,
        "labels": given_labels.needed(model, args.labels) if args.labels else settings.labels,
        "frontend": args.frontend or settings.frontend,
    }
    names = {field.name for field in fields(RecognizeSettings)}
    flags = {name: value for name in names if (value := getattr(args, name, None)) is not None}
    return Layers(load, RecognizeSettings(**flags), settings.recognize)


def spotter_settings(settings: CompleteRecognizeSettings) -> dict[str, Any]:
    """The settings that a Spotter takes."""
    names = (field.name for field in fields(settings) if field.name != "max_clip_stride_ms")
    return {name: getattr(settings, name) for name in names}
