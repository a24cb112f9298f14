#!/usr/bin/env python3
"""How many augmented clips a second become features, and are trained on: one JSON line.

    tools/bench_training.py [--data_dir DIR] [--workers 2] [--clips 6000] [any flag of features, data, augmentation]

``clips_per_s`` is what so many worker processes deliver together, start not counted. ``clips_per_cpu_s`` is what a core
gives by itself: clips for each second of processor time of one process, which other programs hardly change. With
``--train`` there is more: ``features_cpu_ms`` and ``step_cpu_ms``, the processor time that the features of a batch of
100 clips and a step of adam on it take, ``step_wall_ms``, and ``trained_clips_per_s``, by the clock, of a run as
``kwsd-train train`` does it, with one worker.
Augmentation is what ``kwsd-train train`` does by default (shift and background) plus gain, speed and masks; flags
choose otherwise. Without ``--data_dir`` and ``$KWSD_DATA`` made-up noise serves for clips.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from kwsd_train.batches.examples import Examples
from kwsd_train.batches.training_data import Data, load_data
from kwsd_train.batches.workers import batches
from kwsd_train.data.folders import data_root
from kwsd_train.flags import options
from kwsd_train.flags import table as flag_table
from kwsd_train.training import tensorflow_import

AUGMENTATION = {"gain_db": (-10.0, 6.0), "speed_percentage": 10.0, "time_masks": 1, "band_masks": 1}
BATCH = 100


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_folders(parser)
    options.add_flags(parser, "features", flag_table.FEATURES)
    options.add_flags(parser, "data", flag_table.DATA)
    options.add_flags(parser, "augmentation", flag_table.AUGMENTATION)
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes (default: 2)")
    parser.add_argument("--clips", type=int, default=6000, metavar="N", help="clips to time (default: 6000)")
    parser.add_argument("--train", action="store_true", help="measure steps of --model_architecture too")
    args = parser.parse_args()
    defaults = options.FEATURE_DEFAULTS | options.DATA_DEFAULTS | options.AUGMENT_DEFAULTS | AUGMENTATION
    settings = options.resolve(args, defaults) | {"batch_size": BATCH}
    steps = max(args.clips // BATCH, 1)
    with tempfile.TemporaryDirectory() as folder:
        if args.data_dir is None and not (data_root() / "speech_commands").is_dir():
            args.data_dir = args.cache_dir = Path(folder)
            make_up(args.data_dir, options.words(settings))
        data = load_data(settings, options.folders(args))
        figures = {
            "workers": args.workers,
            "clips_per_s": round(wall(data, settings, steps, args.workers)),
            "clips_per_cpu_s": round(cpu(data, settings, steps)),
            "preprocess": settings["preprocess"],
            "window_stride_ms": settings["window_stride_ms"],
            "clips": steps * BATCH,
        }
        if args.train:
            figures |= trained(data, settings, steps)
    print(json.dumps(figures))
    return 0


def wall(data: Data, settings: dict, steps: int, workers: int) -> float:
    """Clips a second of ``workers`` processes. The first batch of each is made before the clock starts."""
    made = batches(data, settings, 1, steps + 5 * workers, workers)
    for _ in range(5 * workers):  # as many as are made ahead, and one
        next(made)
    start = time.perf_counter()
    for _ in range(steps):
        next(made)
    return steps * BATCH / (time.perf_counter() - start)


def cpu(data: Data, settings: dict, steps: int) -> float:
    """Clips for a second of processor time, threads of the matrix library included."""
    examples = Examples(data, settings)
    examples.batch(1)
    start = time.process_time()
    for step in range(2, steps + 2):
        examples.batch(step)
    return steps * BATCH / (time.process_time() - start)


def trained(data: Data, settings: dict, steps: int) -> dict[str, float | str]:
    """What ``steps`` steps cost: the features of a batch, its step, and a run with both."""
    tensorflow_import.load()
    from kwsd_train.training.trainer import Trainer

    examples = Examples(data, settings)
    start = time.process_time()
    made = [examples.batch(step) for step in range(1, steps + 1)]
    features_s = time.process_time() - start
    options = {"optimizer": "adam", "weight_decay": 0.02, "average_decay": 0.998}
    trainer = Trainer(settings, made[0].rows.shape[1:], examples.labels, **options)
    for step in range(1, 4):  # traced by the first, and memory is found
        trainer.step(made[0], 1e-3, step)
    start, start_cpu = time.perf_counter(), time.process_time()
    for step, batch in enumerate(made, 4):
        trainer.step(batch, 1e-3, step)
    step_s, step_cpu_s = time.perf_counter() - start, time.process_time() - start_cpu
    run = batches(data, settings, 1, steps + 5, 1)
    for _ in range(5):
        next(run)
    start = time.perf_counter()
    for step, batch in enumerate(run, steps + 4):
        trainer.step(batch, 1e-3, step)
    return {
        "model_architecture": settings["model_architecture"],
        "features_cpu_ms": round(1000 * features_s / steps, 1),
        "step_cpu_ms": round(1000 * step_cpu_s / steps, 1),
        "step_wall_ms": round(1000 * step_s / steps, 1),
        "trained_clips_per_s": round(steps * BATCH / (time.perf_counter() - start)),
    }


def make_up(folder: Path, words: tuple[str, ...]) -> None:
    """Ten seconds of noise for each word, cut to clips, and a background."""
    import soundfile

    draw = np.random.default_rng(0)
    for word in (*words, "other"):
        (folder / word).mkdir()
        for speaker in range(20):
            signal = draw.normal(0, 0.1, 16_000)
            soundfile.write(folder / word / f"{speaker}_nohash_0.wav", signal, 16_000, subtype="PCM_16")
    (folder / "_background_noise_").mkdir()
    soundfile.write(folder / "_background_noise_" / "hiss.wav", draw.normal(0, 0.1, 160_000), 16_000, subtype="PCM_16")


if __name__ == "__main__":
    sys.exit(main())
