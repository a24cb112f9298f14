"""What the commands that try out a microphone have in common: their options, and settings made of them."""

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kwsd.config import Settings


def add_hearing_arguments(parser: argparse.ArgumentParser) -> None:
    from kwsd.config import flag

    add = parser.add_argument
    add("-c", "--config", metavar="FILE", help="YAML file; a flag beats the file. Without it no file is read")
    add("-m", "--model", metavar="MODEL", help="bundled model by name, or a .tflite file (default: default)")
    add(
        "-d",
        "--device",
        type=flag("audio", "device"),
        metavar="NAME|INDEX",
        help="input device, or the sound server's source, by part of its name or by index (kwsd devices)",
    )
    add("--channel", type=flag("audio", "channel"), metavar="N", help="channel of the device, from 0 (default: 0)")
    add("--gain-db", type=flag("audio", "gain_db"), metavar="DB", help="gain, -60 to 60 dB (default: 0)")


def read_settings(args: argparse.Namespace) -> "Settings":
    """The configuration, if one is named, with the flags laid over it."""
    from kwsd import config

    settings = config.load(args.config).first if args.config is not None else config.Settings()
    given = {
        name: value for name in ("device", "channel", "gain_db") if (value := getattr(args, name, None)) is not None
    }
    if "device" in given:
        given["source"] = None
    settings = replace(settings, audio=replace(settings.audio, **given))
    return settings if args.model is None else replace(settings, model=args.model)
