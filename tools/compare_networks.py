#!/usr/bin/env python3
"""Trains networks side by side on the same batches, measures them, and writes docs/models.md's table and picture.

    KWSD_DATA=data tools/compare_networks.py --work_dir /tmp/networks --write docs/models.md --png docs/models.png \\
        -- --how_many_training_steps 3000 --learning_rate 0.004 ...

What follows `--` are flags of `kwsd-train train`: one recipe for all of them. Goes on where it was interrupted.
"""

import argparse
import json
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from accuracy_table import command, make_stream, put_table  # which puts the packages of this repository on the path
from kwsd_train import networks
from kwsd_train.commands import train
from kwsd_train.data.folders import data_root, labels_of
from kwsd_train.evaluation import pictures
from kwsd_train.flags import options
from kwsd_train.training import checkpoint
from kwsd_train.training.schedule import make_schedule

from kwsd import model as models

NETWORKS = (
    "tiny_conv,low_latency_conv,low_latency_svdf,conv,ds_cnn_s,tc_resnet8,matchboxnet_3x1x64,bc_resnet_1,"
    "gru,crnn_s,att_rnn,res2d1d_tiny,res2d1d"
)
KINDS = ("clean", "10 dB", "repeats")
SEED = 1
ALARMS_PER_HOUR = 5
RATES = ("miss_rate", "wrong_rate", "false_alarms_per_hour")
TIMED = 200
MARKS = "<!-- table: tools/compare_networks.py -->\n", "<!-- end of the table -->\n"

_log = logging.getLogger("compare")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default=NETWORKS, metavar="N,...", help=f"names (default: {NETWORKS})")
    parser.add_argument("--work_dir", type=Path, required=True, metavar="DIR", help="checkpoints, models and figures")
    parser.add_argument("--write", type=Path, metavar="FILE", help="replace the table in this page; else it is printed")
    parser.add_argument("--png", type=Path, metavar="FILE", help="draw clips right and words missed against cost")
    parser.add_argument("train", nargs="*", help="flags of kwsd-train train, after --")
    args = parser.parse_args()
    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.WARNING)
    _log.setLevel(logging.INFO)
    recipe = argparse.ArgumentParser()
    train.add_arguments(recipe)
    wishes = train.filled(recipe.parse_args(args.train))
    names = args.networks.split(",")
    train_side_by_side(names, wishes, args.work_dir)
    cache = ["--cache_dir", options.folders(wishes).cache]
    streams = [make_stream(args.work_dir, kind, "validation", SEED, *cache) for kind in KINDS]
    rows = [measure(name, args.work_dir / name, wishes, streams) for name in names]
    text = as_markdown(rows)
    if args.write:
        put_table(args.write, MARKS, text)
    else:
        print(text, end="")
    if args.png:
        args.png.write_bytes(draw(rows))
    return 0


def settings_of(wishes: argparse.Namespace, network: str) -> dict[str, Any]:
    """What `kwsd-train train` would make of these flags and this network."""
    settings = {}
    for defaults in (options.FEATURE_DEFAULTS, options.DATA_DEFAULTS, options.AUGMENT_DEFAULTS):
        settings |= options.resolve(wishes, defaults)
    unlabelled = {"batch_size": wishes.batch_size, "unlabelled_percentage": wishes.unlabelled_percentage}
    return settings | unlabelled | {"model_architecture": network}


def train_side_by_side(names: Sequence[str], wishes: argparse.Namespace, work_dir: Path) -> None:
    """Every network takes each batch, so that all see the same clips, and features are made once."""
    from kwsd_train.batches import features
    from kwsd_train.batches.training_data import load_data
    from kwsd_train.batches.workers import batches
    from kwsd_train.training.trainer import Trainer

    schedule = make_schedule(
        wishes.how_many_training_steps, wishes.learning_rate, wishes.learning_rate_schedule, wishes.warmup_steps
    )
    trainers, done = {}, {}
    for name in names:
        (work_dir / name).mkdir(parents=True, exist_ok=True)
        settings = settings_of(wishes, name)
        trainers[name] = Trainer(
            settings,
            features.shape(settings),
            len(labels_of(options.words(settings))),
            optimizer=wishes.optimizer,
            weight_decay=wishes.weight_decay,
            label_smoothing=wishes.label_smoothing,
            average_decay=wishes.average_decay,
        )
        done[name] = 0
        if any((work_dir / name).glob("*.ckpt-*")):
            stored = checkpoint.load(checkpoint.latest(work_dir / name))
            trainers[name].restore(stored.variables)
            done[name] = stored.step
    first = min(done.values()) + 1
    if first > schedule.total:
        return
    settings = settings_of(wishes, names[0])
    live = wishes.teacher_hears == "batches"
    where = options.folders(wishes)
    data = load_data(settings, where, wishes.teacher, wishes.unlabelled_dir, teachers_hear_batches=live)
    for step, batch in enumerate(batches(data, settings, first, schedule.total, wishes.workers), first):
        for name, trainer in trainers.items():
            if step <= done[name]:
                continue
            _, loss = trainer.step(batch, schedule.rate(step), step)
            if step % wishes.save_step_interval == 0 or step == schedule.total:
                _log.info("step %d: %s, cross entropy %.3f", step, name, loss)
                path = checkpoint.path_of(work_dir / name, networks.title(name), step)
                checkpoint.save(path, checkpoint.Checkpoint(step, settings_of(wishes, name), trainer.variables()))


def measure(name: str, folder: Path, wishes: argparse.Namespace, streams: Sequence[tuple[Path, Path]]) -> Any:
    """The figures of one network, kept in its folder."""
    from kwsd_train.batches import features

    kept = folder / "figures.json"
    if kept.exists():
        return json.loads(kept.read_text())
    _log.info("measuring %s", name)
    settings = settings_of(wishes, name)
    cache = ["--cache_dir", options.folders(wishes).cache]
    files = {"float": folder / f"{name}-float32.tflite", "int8": folder / f"{name}.tflite"}
    figures: dict[str, Any] = {"name": name}
    for kind, file in files.items():
        quantize = "int8" if kind == "int8" else "none"
        from_run = ["--start_checkpoint", "latest", "--train_dir", folder]
        try:
            command("freeze", *from_run, *cache, "--quantize", quantize, "--output_file", file)
        except SystemExit as refused:  # 8 bits change some networks' scores too much
            if kind == "float":
                raise
            _log.info("%s", refused)
            continue
        for subset in ("validation", "testing"):
            result = folder / f"{kind}-{subset}.json"
            what = ["--model", file, "--set", subset, *cache, "--unknown_percentage", 100]
            command("evaluate", *what, "--json", result)
            figures[f"{kind} {subset}"] = json.loads(result.read_text())["accuracy"]
        figures[f"{kind} us"] = microseconds(str(file))
    wav, truth = zip(*streams, strict=True)
    words = ["--wav", *wav, "--ground_truth", *truth, "--negatives", data_root() / "running_speech" / "validation"]
    tried = ["--modes", "rearm", "--average_windows_ms", "300,500", "--suppressions_ms", 500, "--shared_threshold"]
    result = folder / "sweep.json"
    limit = ["--false_alarms_per_hour", ALARMS_PER_HOUR]
    figures["heard by"] = "int8" if "int8 us" in figures else "float"
    command("sweep", "--model", files[figures["heard by"]], *words, *tried, *limit, "--json", result)
    figures |= {key: json.loads(result.read_text())["rates"][key] for key in RATES}
    network = networks.build(name, *features.shape(settings), len(labels_of(options.words(settings))))
    figures["parameters"] = networks.parameters(network)
    figures["multiply_adds"] = networks.multiply_adds(network)
    kept.write_text(json.dumps(figures, indent=1) + "\n")
    return figures


def microseconds(file: str) -> float:
    """Of one clip on one thread, the median."""
    model = models.load(file)
    rows = model.features(np.random.default_rng(0).normal(0, 0.1, model.clip_samples).astype(np.float32))
    times = []
    for _ in range(TIMED):
        start = time.perf_counter()
        model.scores(rows)
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1e6


def as_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table, the network that hears best at the top."""
    lines = [
        "| network | parameters | multiply-adds | clips right %: validation, float | int8 | testing, float | int8 "
        "| streams: missed % | wrong % | false alarms/h | µs a clip, float | int8 |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    shares = [f"{kind} {subset}" for subset in ("validation", "testing") for kind in ("float", "int8")]
    for row in sorted(rows, key=errors):
        cells = [f"`{row['name']}`", f"{row['parameters']:,}", f"{row['multiply_adds'] / 1e6:.2f} M"]
        cells += [f"{row[key] * 100:.1f}" if key in row else "-" for key in shares]
        cells += [f"{row[key] * 100:.1f}" for key in ("miss_rate", "wrong_rate")]
        cells += [f"{row['false_alarms_per_hour']:.1f}"]
        cells += [f"{row[key]:.0f}" if key in row else "-" for key in ("float us", "int8 us")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def errors(row: Mapping[str, Any]) -> float:
    """Share of the words in streams that were missed or heard wrongly."""
    return float(row["miss_rate"] + row["wrong_rate"])


def draw(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """A PNG: clips wrong (validation) and words missed or wrong in streams against microseconds a clip, as heard."""
    figure, axes = pictures.empty(11, 5)
    figure.clear()
    left, right = figure.subplots(1, 2)
    for axes, title in ((left, "clips wrong, %"), (right, "words missed or wrong in streams, %")):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("{x:g}")
        axes.tick_params(labelsize=7, which="both")
        axes.set_xlabel("µs a clip, int8 (float where 8 bits do not do), one core")
        axes.set_title(title, fontsize=10)
        axes.grid(alpha=0.3, which="both")
        axes.margins(0.12)
        for number, row in enumerate(sorted(rows, key=errors)):
            heard = row["heard by"]
            wrong = 1 - row[f"{heard} validation"] if axes is left else errors(row)
            place = row[f"{heard} us"], 100 * wrong
            axes.plot(*place, "o", color="tab:blue", markersize=3 + (row["parameters"] / 8000) ** 0.5)
            side = {"ha": "right", "xytext": (-5, -10)} if number % 2 else {"ha": "left", "xytext": (5, 5)}
            axes.annotate(row["name"], place, textcoords="offset points", fontsize=7, **side)
    figure.suptitle("size of a dot: parameters", fontsize=8)
    return pictures.as_png(figure)


if __name__ == "__main__":
    sys.exit(main())
