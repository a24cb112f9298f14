#!/usr/bin/env python3
"""Measures a model on clips, streams and recordings without words, and writes docs/accuracy.md's table.

    KWSD_DATA=data tools/accuracy_table.py --model default --write docs/accuracy.md
    KWSD_DATA=data tools/accuracy_table.py --compare tiny tiny+default default --write docs/accuracy.md

Streams are made anew from their seeds. Nothing here chooses anything: it reports, on the testing part of the data
(of running speech and noise there is only a validation part).
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from kwsd_train.batches.augment import fit  # noqa: E402
from kwsd_train.commands.generate_streaming_test_wav import encode_wav  # noqa: E402
from kwsd_train.data.folders import build_index, data_root, listed_files  # noqa: E402

from kwsd import model as models  # noqa: E402

SEEDS = (7, 8, 9)
STREAMS = {
    "clean": ["--preset", "clean"],
    "10 dB": ["--preset", "10dB"],
    "10 dB, unseen noises": ["--preset", "10dB", "--background", "noise"],
    "repeats": ["--preset", "repeats"],
    "three words, 0.9 s apart": ["--group_words", "3", "--group_stride_ms", "900"],
    "clean, in rooms": ["--preset", "clean", "--reverberation"],
    "10 dB, in rooms": ["--preset", "10dB", "--reverberation"],
    "over a voice, 10 dB": ["--preset", "10dB", "--background", "speech"],
    "over a voice, 5 dB": ["--preset", "10dB", "--background", "speech", "--snr_db", "5"],
    "over music, 10 dB": ["--preset", "10dB", "--background_dir", "MUSIC"],
}
MADE_S = 300
PEAKS_DBFS = (0, -20, -40)
LEVELS_DBFS = (-90, -60, -40, -20)
TUTORIAL = ["--mode=tensorflow", "--average_window_ms=500", "--suppression_ms=500", "--detection_threshold=0.7"]
MARKS = "<!-- table: tools/accuracy_table.py -->\n", "<!-- end of the table -->\n"
COMPARED = {
    "clean": "quiet",
    "10 dB": "10 dB",
    "repeats": "repeats",
    "over a voice, 10 dB": "over a voice, 10 dB",
    "over a voice, 5 dB": "5 dB",
}
COMPARED_NEGATIVES = {"running speech": "in speech", "noise, music, television": "in noise"}
COMPARED_MARKS = "<!-- table: tools/accuracy_table.py --compare -->\n", "<!-- end of the comparison -->\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default", help="bundled name or .tflite file (default: default)")
    parser.add_argument("--compare", nargs="+", metavar="MODEL", help="instead, a table with a row for each of these")
    parser.add_argument("--set", choices=("validation", "testing"), default="testing", help="speakers of the words")
    parser.add_argument("--write", type=Path, metavar="FILE", help="replace the table in this page; else it is printed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON")
    parser.add_argument("--streams_dir", type=Path, metavar="DIR", help="keep the streams here, for the next model")
    parser.add_argument("settings", nargs="*", help="further flags of test-streaming-accuracy, after --")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        streams_dir = args.streams_dir or Path(folder)
        streams_dir.mkdir(parents=True, exist_ok=True)
        where = args.set, Path(folder), streams_dir, args.settings
        if args.compare:
            figures: Any = [compared(name, *where) for name in args.compare]
            marks, text = COMPARED_MARKS, as_comparison(figures)
        else:
            figures = measure(args.model, *where)
            marks, text = MARKS, as_markdown(figures)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if args.write:
        put_table(args.write, marks, text)
    else:
        print(text, end="")
    return 0


def put_table(path: Path, marks: tuple[str, str], text: str) -> None:
    """Replace what stands between two lines of a page; end with an error where they do not stand there once."""
    page = path.read_text(encoding="utf-8")
    start, end = map(re.escape, marks)
    page, count = re.subn(f"(?s){start}.*{end}", lambda _: text.join(marks), page)
    if count != 1:
        sys.exit(f"{path}: has no place for the table ({marks[0].strip()} ... {marks[1].strip()})")
    path.write_text(page, encoding="utf-8")


def measure(name: str, subset: str, folder: Path, streams_dir: Path, settings: Sequence[str]) -> dict[str, Any]:
    """All figures of a model."""
    model = models.load(name)
    layers = {"kwsd": settings, "tutorial": TUTORIAL}
    streams = {
        kind: {layer: of_streams(name, kind, subset, folder, streams_dir, flags) for layer, flags in layers.items()}
        for kind in STREAMS
    }
    negatives = {
        kind: {layer: of_negatives(name, files, folder, flags) for layer, flags in layers.items()}
        for kind, files in negative_files(folder)
    }
    return {
        "model": model.name,
        "version": model.metadata.get("version"),
        "sha256": model.sha256,
        "bytes": model.bytes,
        "set": subset,
        "settings": list(settings),
        "clips": {part: of_clips(name, part, folder) for part in dict.fromkeys(("validation", subset))},
        "levels": {level: at_level(model, subset, level) for level in PEAKS_DBFS},
        "streams": streams,
        "negatives": negatives,
    }


def compared(name: str, subset: str, folder: Path, streams_dir: Path, settings: Sequence[str]) -> dict[str, Any]:
    """The figures of a model's row in a comparison."""
    return {
        "model": name,
        "set": subset,
        "clips": of_clips(name, subset, folder),
        "streams": {kind: of_streams(name, kind, subset, folder, streams_dir, settings) for kind in COMPARED},
        "negatives": {
            kind: of_negatives(name, files, folder, settings)
            for kind, files in negative_files(folder)
            if kind in COMPARED_NEGATIVES
        },
    }


def of_clips(name: str, part: str, folder: Path) -> dict[str, Any]:
    """The result of ``evaluate``."""
    result = folder / "clips.json"
    command("evaluate", "--model", name, "--set", part, "--unknown_percentage", "100", "--json", result)
    found: dict[str, Any] = json.loads(result.read_text())
    return found


def of_streams(
    name: str, kind: str, subset: str, folder: Path, streams_dir: Path, flags: Sequence[str]
) -> dict[str, Any]:
    """The strict score of all streams of a kind."""
    pairs = [make_stream(streams_dir, kind, subset, seed) for seed in SEEDS]
    wav, rows = ([str(path) for path in paths] for paths in zip(*pairs, strict=True))
    return strict_score(folder, name, wav, ["--ground_truth", *rows, *flags])


def of_negatives(name: str, files: Sequence[Path], folder: Path, flags: Sequence[str]) -> dict[str, Any]:
    """The false alarms in recordings without words."""
    return strict_score(folder, name, [str(file) for file in files], ["--ground_truth", "none", *flags])


def at_level(model: models.Model, subset: str, peak_dbfs: float) -> float:
    """Share of the wanted words' clips named rightly, with their peaks there, in 16 bits as a microphone gives them."""
    words = [label for label in model.labels if not label.startswith("_")]
    right = []
    for clip in build_index(data_root() / "speech_commands", words, silence_percentage=0, unknown_percentage=0)[subset]:
        signal, _ = soundfile.read(clip.path, dtype="float32")
        scaled = np.round(fit(signal, model.clip_samples) * (10 ** (peak_dbfs / 20) * 32767 / np.abs(signal).max()))
        scores = model.scores(model.features((scaled / 32768).astype(np.float32)))
        right.append(model.labels[int(scores.argmax())] == words[clip.label - 2])
    return float(np.mean(right))


def make_stream(folder: Path, kind: str, subset: str, seed: int, *more: Any) -> tuple[Path, Path]:
    """A stream of ten minutes and its rows; what is there is not made again."""
    stem = re.sub(r"\W+", "-", f"{kind} {subset} {seed}")
    wav, rows = folder / f"{stem}.wav", folder / f"{stem}.txt"
    if not rows.exists():
        where = ["--set", subset, "--seed", seed, *more, "--output_audio_file", wav, "--output_labels_file", rows]
        flags = [music(folder) if flag == "MUSIC" else flag for flag in STREAMS[kind]]
        command("generate-streaming-test-wav", *flags, *where)
    return wav, rows


def music(folder: Path) -> Path:
    """A folder with the music among the noises."""
    there = folder / "music"
    there.mkdir(exist_ok=True)
    for path in listed_files(data_root() / "noise", "KWSD_DATA", split="validation", category="music"):
        (there / path.name).unlink(missing_ok=True)
        (there / path.name).symlink_to(path.resolve())
    return there


def negative_files(folder: Path) -> Iterator[tuple[str, list[Path]]]:
    """Recordings without words, by kind."""
    root = data_root()
    yield "running speech", listed_files(root / "running_speech" / "validation", "KWSD_DATA")
    yield "noise, music, television", listed_files(root / "noise", "KWSD_DATA", split="validation")
    draw = np.random.default_rng(59185)
    for level in (None, *LEVELS_DBFS):
        path = folder / f"noise{level}.wav"
        amplitude = 0.0 if level is None else 10 ** (level / 20)
        path.write_bytes(encode_wav(draw.standard_normal(MADE_S * 16_000, np.float32) * np.float32(amplitude), 16_000))
        yield "digital silence" if level is None else f"white noise, {level} dBFS", [path]


def strict_score(folder: Path, name: str, wav: Sequence[str], flags: Sequence[str]) -> dict[str, Any]:
    """The strict score of recordings together."""
    command("test-streaming-accuracy", "--model", name, "--wav", *wav, *flags, "--json", folder / "score.json")
    score: dict[str, Any] = json.loads((folder / "score.json").read_text())["strict"]
    return score


def command(*words: Any) -> None:
    """Run kwsd-train; end with its error where it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "kwsd_train", *map(str, words)],
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tools'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"kwsd-train {words[0]}: {done.stderr.strip()}")


def as_markdown(figures: dict[str, Any]) -> str:
    """The table."""
    model = f"{figures['model']} {figures['version'] or ''}".strip()
    both = figures["clips"].items()
    labels = figures["clips"][figures["set"]]["per_label"]
    flags = f", with `{' '.join(figures['settings'])}`" if figures["settings"] else ""
    lines = [
        f"`{model}` ({figures['bytes']} bytes, sha256 {figures['sha256'][:12]}){flags}. "
        + "; ".join(f"{part}: {clips['accuracy'] * 100:.1f} % of {clips['n']} clips right" for part, clips in both)
        + f". {figures['set'].capitalize()} clips of the words with their peaks at "
        + ", ".join(f"{level} dBFS: {share * 100:.1f} %" for level, share in figures["levels"].items())
        + ".",
        "",
        f"| {figures['set']} | " + " | ".join(labels) + " |",
        "|---" * (len(labels) + 1) + "|",
        "| recall % | " + " | ".join(f"{label['recall'] * 100:.1f}" for label in labels.values()) + " |",
        "| precision % | " + " | ".join(f"{label['precision'] * 100:.1f}" for label in labels.values()) + " |",
        "",
        f"| stream ({figures['set']} speakers, seeds {', '.join(map(str, SEEDS))}) | words | missed % | wrong % "
        "| false alarms/h | latency p50, p95 ms | tutorial: missed % | wrong % | false alarms/h |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for kind, both in figures["streams"].items():
        ours, theirs = both["kwsd"], both["tutorial"]
        latency = ours["latency_ms"]
        lines.append(
            f"| {kind} | {ours['words']} | {share(ours, 'missed')} | {share(ours, 'wrong')} "
            f"| {ours['false_alarms_per_hour']:.1f} | {latency['p50']:.0f}, {latency['p95']:.0f} "
            f"| {share(theirs, 'missed')} | {share(theirs, 'wrong')} | {theirs['false_alarms_per_hour']:.1f} |"
        )
    lines += [
        "",
        "| recordings without words | false alarms | per hour | tutorial: false alarms | per hour |",
        "|---|---|---|---|---|",
    ]
    for kind, both in figures["negatives"].items():
        cells = (
            f"{both[which]['false_alarms']} | {both[which]['false_alarms_per_hour']:.1f}"
            for which in ("kwsd", "tutorial")
        )
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def as_comparison(found: Sequence[dict[str, Any]]) -> str:
    """A row for each model."""
    titles = [f"{title}: missed, wrong %" for title in COMPARED.values()]
    titles[3:4] = [titles[3], "false alarms/h there"]
    lines = [
        f"| {found[0]['set']} | clips right % (least of a word) | {' | '.join(titles)} "
        f"| {' | '.join(f'false alarms/h {title}' for title in COMPARED_NEGATIVES.values())} |",
        "|---" * (2 + len(titles) + len(COMPARED_NEGATIVES)) + "|",
    ]
    for row in found:
        clips = row["clips"]
        least = min(label["recall"] for word, label in clips["per_label"].items() if not word.startswith("_"))
        cells = [f"{clips['accuracy'] * 100:.1f} ({least * 100:.1f})"]
        for kind in COMPARED:
            score = row["streams"][kind]
            cells.append(f"{share(score, 'missed')}, {share(score, 'wrong')}")
            if kind == "over a voice, 10 dB":
                cells.append(f"{score['false_alarms_per_hour']:.1f}")
        cells += [f"{row['negatives'][kind]['false_alarms_per_hour']:.1f}" for kind in COMPARED_NEGATIVES]
        lines.append(f"| `{row['model']}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def share(score: dict[str, Any], key: str) -> str:
    """Percent of the wanted words."""
    return f"{score[key] * 100 / score['words']:.1f}"


if __name__ == "__main__":
    sys.exit(main())
