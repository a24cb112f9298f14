"""Options that the commands which try out a microphone share, and the settings made of them."""

import argparse
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kwsd.config import Settings
    from kwsd.config.effective import Effective, Plan

log = logging.getLogger(__name__)

CONFIG_HELP = "configuration file (YAML); flags override it (default: none)"
MODEL = "bundled model, by name, or a .tflite file, or two as FIRST+VERIFIER"
MODEL_HELP = f"{MODEL} (default: default)"
LABELS_HELP = "labels file, one label per line, for a model without metadata"
FRONTEND_HELP = "front-end file (YAML), for a model without metadata"
DEVICE_HELP = "input device or sound-server source: part of its name, or its index (see kwsd devices)"
GAIN_HELP = "gain, applied before everything else, -60 to 60 dB (default: 0)"


def add_hearing_arguments(parser: argparse.ArgumentParser) -> None:
    from kwsd.config import flag

    add = parser.add_argument
    add("-c", "--config", metavar="FILE", help=CONFIG_HELP)
    add_listener_argument(parser, "listener of the configuration (default: the first)")
    add("-m", "--model", metavar="MODEL", help=MODEL_HELP)
    add(
        "-d",
        "--device",
        type=flag("audio", "device"),
        metavar="NAME|INDEX",
        help=DEVICE_HELP,
    )
    add_channel_arguments(parser, "device")


def add_channel_arguments(parser: argparse.ArgumentParser, of: str) -> None:
    """``--channel`` of the device or the recordings, and ``--gain-db``."""
    from kwsd.config import flag

    add = parser.add_argument
    add(
        "--channel",
        type=flag("audio", "channel"),
        metavar="N",
        help=f"channel of the {of}, counted from 0 (default: 0)",
    )
    add("--gain-db", type=flag("audio", "gain_db"), metavar="DB", help=GAIN_HELP)


def add_listener_argument(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--listener", metavar="NAME", help=text)


def settings_of(settings: "Settings", listener: str | None) -> "Settings":
    """What holds for a listener of a configuration, by default its first. Raises UsageError for one that it lacks."""
    from kwsd.errors import UsageError

    if listener is None:
        return settings.first
    if listener not in settings.listeners:
        raise UsageError(
            "--listener", f"the configuration has no {listener!r}", f"It has {', '.join(settings.listeners)}."
        )
    return settings.listeners[listener]


def read_settings(args: argparse.Namespace) -> "Settings":
    """The configuration, if one is named, with flags overriding it."""
    from kwsd import config

    settings = config.load(args.config) if args.config is not None else config.Settings()
    settings = settings_of(settings, getattr(args, "listener", None))
    given = {
        name: value for name in ("device", "channel", "gain_db") if (value := getattr(args, name, None)) is not None
    }
    if "device" in given:
        given["source"] = None
    settings = replace(settings, audio=replace(settings.audio, **given))
    return settings if args.model is None else replace(settings, model=args.model)


def first_model(plan: "Plan") -> "Effective":
    """The first model of a plan, and its settings, for a command that hears with one only; says what is left out."""
    from kwsd.config.effective import effective

    first, *others = effective(plan)
    if others:
        names = ", ".join(each.model.name for each in others)
        log.warning("%s alone is used, the first of several models; left out: %s", first.model.name, names)
    return first
