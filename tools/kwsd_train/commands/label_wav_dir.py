"""``kwsd-train label-wav-dir``: the best labels of every recording in a folder, as the tutorial's label_wav_dir."""

import argparse
import sys
from pathlib import Path

from kwsd.errors import InputError
from kwsd_train.commands.label_wav import add_model_arguments, best, load
from kwsd_train.data.recordings import is_audio

HELP = "print the most likely labels of each recording in a folder"
EXAMPLE = "kwsd-train label-wav-dir --wav_dir recordings --graph default"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--wav_dir", default="", metavar="DIR", help="folder of WAV, FLAC, Ogg and MP3 files, without its subfolders"
    )
    add_model_arguments(parser)


def run(args: argparse.Namespace) -> int:
    folder = Path(args.wav_dir)
    if not args.wav_dir or not folder.is_dir():
        raise InputError("--wav_dir", f"Audio folder does not exist at {args.wav_dir}")
    model = load(args)
    paths = sorted(path for path in folder.iterdir() if is_audio(path) and path.is_file())
    if not paths:
        raise InputError(args.wav_dir, "no WAV, FLAC, Ogg or MP3 file there")
    code = 0
    for path in paths:
        try:
            lines = best(model, str(path), args.how_many_labels)
        except InputError as error:
            print(f"kwsd-train: {error}", file=sys.stderr, flush=True)
            code = error.exit_code
            continue
        print("\n".join(["", path.name, *lines]), flush=True)
    return code
