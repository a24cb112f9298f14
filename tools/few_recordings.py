"""How well a shipped model learns new words from few recordings: fine-tunes for each count and measures.

    python tools/few_recordings.py --words bed,cat,happy,zero,five --counts 5,20,100

For every count a folder of links is made with that many training clips of each word, of as many speakers as there are;
validation and testing clips and all other words stay. What is printed is of the testing set: clips of the new words
that are named right, and clips of other words that are wrongly taken for one of them. docs/training.md has a table.
"""

import argparse
import json
import random
import shlex
import sys
import tempfile
import time
from pathlib import Path

from kwsd_train import cli
from kwsd_train.data import data_root, which_set
from kwsd_train.recordings import is_audio

RECIPE = shlex.split(
    "--optimizer adam --weight_decay 0.02 --label_smoothing 0.05 --average_decay 0.99 --batch_size 64 "
    "--how_many_training_steps 300 --learning_rate 0.003 --learning_rate_schedule cosine --warmup_steps 20 "
    "--silence_percentage 20 --unknown_percentage 150 --speech_percentage 10 --stream_frequency 0.25 "
    "--time_shift_ms 120 --speed_percentage 12 --gain_db -40 6 --equalizer_db 6 --reverberation_frequency 0.25 "
    "--noise_frequency 0.7 --snr_db 0 25 --background_frequency 0.2 --quiet_frequency 0.3 "
    "--time_masks 1 --time_mask_rows 8 --band_masks 1 --band_mask_bins 6 "
    "--eval_step_interval 1000 --save_step_interval 1000 --verbosity WARN"
)
"""The recipe of docs/training.md, "Words of your own"."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", required=True, help="words that have folders in --data_dir")
    parser.add_argument("--counts", default="5,20,100", help="recordings of each word")
    parser.add_argument("--start_checkpoint", default="default", help="bundled model, or .weights.h5")
    parser.add_argument("--data_dir", type=Path, default=data_root() / "speech_commands")
    parser.add_argument("--cache_dir", type=Path, help="as for kwsd-train")
    parser.add_argument("--seed", type=int, default=1)
    args, more = parser.parse_known_args()  # what is left goes to `kwsd-train train`
    words = args.words.split(",")
    for count in map(int, args.counts.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            began_s = time.monotonic()
            data_dir = Path(folder) / "data"
            link(args.data_dir, data_dir, words, count, args.seed)
            figures = measure(args, data_dir, Path(folder), more)
            print(f"{count} recordings: {tell(figures, words)}, {time.monotonic() - began_s:.0f} s", flush=True)
    return 0


def link(source: Path, target: Path, words: list[str], count: int, seed: int) -> None:
    """A folder of words like ``source``, with ``count`` training clips of each of ``words``."""
    target.mkdir()
    for folder in sorted(path for path in source.iterdir() if path.is_dir()):
        if folder.name not in words:
            (target / folder.name).symlink_to(folder.resolve())
            continue
        clips = sorted(path for path in folder.iterdir() if is_audio(path))
        kept = [path for path in clips if which_set(path.name, 10, 10) != "training"]
        training = [path for path in clips if path not in kept]
        random.Random(seed).shuffle(training)
        training.sort(key=lambda path: path.name.partition("_nohash_")[2])  # a clip of every speaker first
        (target / folder.name).mkdir()
        for path in kept + training[:count]:
            (target / folder.name / path.name).symlink_to(path.resolve())


def measure(args: argparse.Namespace, data_dir: Path, folder: Path, more: list[str]) -> dict:
    """Fine-tune, freeze, evaluate; what ``evaluate --json`` writes."""
    places = ["--data_dir", str(data_dir), *(["--cache_dir", str(args.cache_dir)] if args.cache_dir else [])]
    run = ["--train_dir", str(folder), "--seed", str(args.seed)]
    start = ["--start_checkpoint", args.start_checkpoint, "--wanted_words", args.words]
    model, figures = folder / "tuned.tflite", folder / "figures.json"
    tested = ["--set", "testing", "--unknown_percentage", "1000", "--silence_percentage", "0", "--json", str(figures)]
    for command in (
        ["train", *places, *run, *start, *RECIPE, *more],
        ["freeze", *places, "--start_checkpoint", "latest", "--train_dir", str(folder), "--output_file", str(model)],
        ["evaluate", *places, "--model", str(model), *tested],
    ):
        code = cli.main(command)
        if code:
            sys.exit(code)
    return json.loads(figures.read_text())


def tell(figures: dict, words: list[str]) -> str:
    """The two shares in words."""
    labels, counts = figures["labels"], figures["confusion"]
    places = [labels.index(word) for word in words]
    said, right = sum(sum(counts[place]) for place in places), sum(counts[place][place] for place in places)
    others = counts[labels.index("_unknown_")]
    wrong = sum(others[place] for place in places)
    return (
        f"{100 * right / said:.1f} % of {said} clips of the words right, "
        f"{100 * wrong / sum(others):.1f} % of {sum(others)} clips of other words taken for one of them"
    )


if __name__ == "__main__":
    sys.exit(main())
