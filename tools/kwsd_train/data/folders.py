"""Word folders -> labels and sets: training, validation and testing.

After ``input_data.py`` of TensorFlow's speech_commands (Apache-2.0), with paths sorted, so that the
index is the same on every file system.
"""

import csv
import hashlib
import math
import os
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kwsd.errors import InputError, UsageError, reason
from kwsd_train.data.recordings import is_audio

SILENCE, UNKNOWN = "_silence_", "_unknown_"
SILENCE_INDEX, UNKNOWN_INDEX = 0, 1
BACKGROUND_FOLDER = "_background_noise_"
SETS = ("training", "validation", "testing")
ALL_SETS = "all"
DEFAULT_SEED = 59185
_MAX_HASH = 2**27 - 1


def data_root() -> Path:
    """The folder of all data: ``KWSD_DATA``, else ``data`` in the working folder."""
    return Path(os.environ.get("KWSD_DATA") or "data")


@dataclass(frozen=True)
class Clip:
    """One entry of a set: a file, or digital silence if ``path`` is None, and its label's index."""

    path: Path | None
    label: int


def parse_words(text: str, flag: str = "--wanted_words") -> tuple[str, ...]:
    """The wanted words of ``flag``, a comma list. UsageError for none, or an empty, duplicate or reserved one.

    Words that differ only in case are one word: they have one folder.
    """
    words = tuple(word.strip() for word in text.split(","))
    spellings = [word.lower() for word in words]
    for word, spelling in zip(words, spellings, strict=True):
        if not word or spelling in (SILENCE, UNKNOWN, BACKGROUND_FOLDER):
            raise UsageError(flag, f"{word!r} cannot be a wanted word", "Give words divided by commas.")
        if spellings.count(spelling) > 1:
            raise UsageError(flag, f"{word!r} is there twice", "Give each word once.")
    return words


def labels_of(words: Sequence[str]) -> list[str]:
    """``_silence_``, ``_unknown_``, then the words: the order of every model here."""
    return [SILENCE, UNKNOWN, *words]


def which_set(filename: str, validation_percentage: float, testing_percentage: float) -> str:
    """The set of a file, from its name alone, so that all clips of one speaker are in one set.

    The speaker is the part of the base name before ``_nohash_``; its SHA-1 gives a percentage.
    """
    speaker = speaker_of(Path(filename))
    number = int(hashlib.sha1(speaker.encode()).hexdigest(), 16) % (_MAX_HASH + 1)
    percentage = number * (100.0 / _MAX_HASH)
    if percentage < validation_percentage:
        return "validation"
    if percentage < validation_percentage + testing_percentage:
        return "testing"
    return "training"


def build_index(
    data_dir: Path,
    words: Sequence[str],
    *,
    silence_percentage: float = 10.0,
    unknown_percentage: float = 10.0,
    validation_percentage: float = 10.0,
    testing_percentage: float = 10.0,
    seed: int = DEFAULT_SEED,
    whole: bool = False,
    to_train: bool = True,
    only: Sequence[str] | None = None,
) -> dict[str, list[Clip]]:
    """All clips by set. Percentages of silence and unknown are of the wanted clips; shuffled from ``seed``.

    The case of folders and words is ignored: ``Lumos`` finds the folder ``lumos``.

    Args:
        whole: the training set has all other words, and no silence, regardless of the percentages.
        to_train: whether each word needs a clip in the training set.
        only: sets to test on; the others stay empty. Without training, one word is enough.

    Raises InputError if there are no clips, or none of a wanted word, or none of one to train on.
    """
    draw = random.Random(seed)
    wanted: dict[str, list[Clip]] = {name: [] for name in SETS}
    unknown: dict[str, list[Clip]] = {name: [] for name in SETS}
    found: set[str] = set()
    labels = {word.lower(): place for place, word in enumerate(words, 2)}
    for path in sorted(path for path in data_dir.glob("*/*") if is_audio(path)):
        word = path.parent.name.lower()
        if word == BACKGROUND_FOLDER:
            continue
        found.add(word)
        name = which_set(path.name, validation_percentage, testing_percentage)
        of = wanted if word in labels else unknown
        of[name].append(Clip(path, labels.get(word, UNKNOWN_INDEX)))
    if not found:
        raise InputError(
            str(data_dir), f"No .wavs found at {data_dir}/*/*.wav (nor .flac, .ogg, .opus)", "Name it by --data_dir."
        )
    for word in () if only else words:
        if word.lower() not in found:
            raise InputError(
                str(data_dir), f"Expected to find {word} in labels but only found {', '.join(sorted(found))}"
            )
    if only:
        _need_clips(data_dir, words, only, wanted)
    for word in words if to_train and not only else ():
        _need_training_clip(data_dir, word, labels[word.lower()], wanted)
    for name in ("validation", "testing", "training"):
        count = len(wanted[name])
        draw.shuffle(unknown[name])
        if whole and name == "training":
            wanted[name] += unknown[name]
            continue
        wanted[name] += [Clip(None, SILENCE_INDEX)] * math.ceil(count * silence_percentage / 100)
        wanted[name] += unknown[name][: math.ceil(count * unknown_percentage / 100)]
    for name in ("validation", "testing", "training"):
        draw.shuffle(wanted[name])
    return {name: clips if only is None or name in only else [] for name, clips in wanted.items()}


def speaker_of(path: Path) -> str:
    """The speaker of a clip: the part of its name before ``_nohash_``."""
    return path.name.partition("_nohash_")[0]


def _need_training_clip(data_dir: Path, word: str, label: int, clips: dict[str, list[Clip]]) -> None:
    """InputError if all clips of a word are by speakers in validation and testing."""
    paths = {name: [clip.path for clip in clips[name] if clip.label == label and clip.path] for name in SETS}
    if paths["training"]:
        return
    others = [name for name in ("validation", "testing") if paths[name]]
    speakers = sorted({speaker_of(path) for name in others for path in paths[name]})
    shown = ", ".join(speakers[:3]) + (", ..." if len(speakers) > 3 else "")
    raise InputError(
        str(data_dir),
        f"no clip of {word} falls into the training set: its speakers ({shown}) are kept for {' and '.join(others)}",
        "Add takes under other speakers' names, or train with --validation_percentage 0 --testing_percentage 0.",
    )


def _need_clips(data_dir: Path, words: Sequence[str], only: Sequence[str], clips: dict[str, list[Clip]]) -> None:
    """InputError if no set to test on has a clip of the words."""
    if any(clips[name] for name in only):
        return
    others = [name for name in SETS if clips[name]]
    kept = f"; those there are by speakers of {' and '.join(others)}" if others else ""
    why = f"no clip of {', '.join(words)} in the {' or '.join(only)} set{kept}"
    raise InputError(str(data_dir), why, "Take them all with --set all." if others else "Name a folder by --data_dir.")


def says(transcript: str, words: Sequence[str]) -> bool:
    """Whether one of the words is in a transcript."""
    spoken = re.findall(r"[\w']+", transcript.lower())
    return any(word.lower() in spoken for word in words)


def background_files(data_dir: Path) -> list[Path]:
    """The long noise files of ``_background_noise_``; none without the folder, InputError if it is empty."""
    folder = data_dir / BACKGROUND_FOLDER
    if not folder.is_dir():
        return []
    files = sorted(path for path in folder.iterdir() if is_audio(path))
    if not files:
        raise InputError(str(folder), f"No background wav files were found in {folder}/*.wav", "Add some or remove it.")
    return files


def listed_files(folder: Path, flag: str, without: Sequence[str] = (), **wanted: str) -> list[Path]:
    """Audio files of ``folder``. If a .tsv table there has the columns of ``wanted``, only rows with these values.

    ``listed_files(noise, "--noise_dir", split="train")`` omits files for validation.

    Args:
        without: words that must not be in the column ``transcript`` of such a table.
    """
    if not folder.is_dir():
        raise InputError(str(folder), "no such folder", f"Name it by {flag}.")
    files = sorted(path for path in folder.iterdir() if is_audio(path))
    for table in sorted(folder.glob("*.tsv")):
        rows = table_rows(table)
        if rows and {"file", *wanted} <= rows[0].keys():
            chosen = {
                row["file"]
                for row in rows
                if all(row[key] == value for key, value in wanted.items())
                and not says(row.get("transcript") or "", without)
            }
            files = [path for path in files if path.name in chosen]
    if not files:
        raise InputError(str(folder), "no audio file that may be trained on", f"Name another folder by {flag}.")
    return files


def table_rows(table: Path) -> list[dict[str, str]]:
    """The rows of a .tsv table. Raises InputError."""
    try:
        with table.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(str(table), f"cannot be read: {reason(error)}", "Save it as UTF-8, or remove it.") from error
