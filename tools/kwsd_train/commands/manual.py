"""``kwsd-train manual``: the manual page kwsd-train(1), generated from the commands' own options."""

import argparse

from kwsd.cli.manual import Text, page

HELP = "print the manual page, in the format of man(1)"
EXAMPLE = "kwsd-train manual | man -l -"

TEXT = Text(
    "trains keyword models for kwsd",
    (
        "kwsd-train trains small networks that detect a handful of spoken words, freezes them to .tflite files for"
        " kwsd, and measures them. The flags of the TensorFlow tutorial on simple audio recognition keep their names.",
        "The log goes to standard error, results to standard output or to the files that are named.",
    ),
    (
        ("$KWSD_DATA", "the data (default: data, in the working folder): speech_commands, noise, running_speech, ..."),
        ("$KWSD_DATA/speech_commands", "the default of --data_dir: a folder for each word"),
    ),
    (
        ("0", "done"),
        ("2", "usage error"),
        ("66", "an input file cannot be read, or the data does not suffice"),
        ("69", "a library, such as TensorFlow, or a microphone is not there"),
        ("74", "a file cannot be written"),
        ("78", "model or settings rejected"),
        ("130, 143", "train was stopped by SIGINT or SIGTERM, and has saved a checkpoint"),
    ),
    (("kwsd", 1),),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = f"{HELP}; it describes all commands and options"


def run(_args: argparse.Namespace) -> int:
    from kwsd_train.cli import program

    print(page(program(), TEXT), end="")
    return 0
