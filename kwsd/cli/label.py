"""``kwsd label``: scores of single clips, as the tutorial's label_wav."""

import argparse

HELP = "Prints the most likely label of each clip. A clip is padded with zeros or cut to the model's clip length."
EXAMPLE = "kwsd label default stop.wav go.flac --top 1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from kwsd.cli.options import FRONTEND_HELP, LABELS_HELP, MODEL

    parser.add_argument("model", metavar="MODEL", help=MODEL)
    parser.add_argument("files", nargs="+", metavar="FILE", help="WAV, FLAC or Ogg file; the first channel is used")
    parser.add_argument("--labels", metavar="FILE", help=LABELS_HELP)
    parser.add_argument("--frontend", metavar="FILE", help=FRONTEND_HELP)
    parser.add_argument("--json", action="store_true", help="print one JSON object per file, with all scores (0 to 1)")
    parser.add_argument("--top", type=_count, default=3, metavar="N", help="show the N best labels (default: 3)")


def run(args: argparse.Namespace) -> int:
    from kwsd.audio.clip import read_beginning
    from kwsd.cli.main import complain
    from kwsd.errors import InputError
    from kwsd.events import encode
    from kwsd.model import load

    model = load(args.model, args.labels, args.frontend)
    code = 0
    for file in args.files:
        try:
            clip, is_longer = read_beginning(file, model.sample_rate_hz, model.clip_samples)
        except InputError as error:
            complain(str(error))
            code = error.exit_code
            continue
        if is_longer:
            complain(f"{file}: only its first {model.clip_ms} ms are scored; kwsd --source FILE hears all of it")
        heard = model.scores(model.features(clip)).tolist()
        scores = {label: round(score, 6) for label, score in zip(model.labels, heard, strict=True)}
        best = sorted(scores, key=lambda label: -scores[label])
        if args.json:
            print(encode({"file": file, "label": best[0], "score": scores[best[0]], "scores": scores}), flush=True)
            continue
        if len(args.files) > 1:
            print(file)
        for label in best[: args.top]:
            print(f"{label} (score = {scores[label]:.5f})", flush=True)
    return code


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError
    return count


_count.__name__ = "whole number from 1"  # argparse names the type in its message
