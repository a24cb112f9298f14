"""``kwsd-train import``: turns recordings of any kind into clips in word folders."""

import argparse
import re
import sys
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kwsd.audio import takes
from kwsd.errors import InputError, OutputError, UsageError
from kwsd.whole_file import write_whole
from kwsd_train.batches.augment import Signal
from kwsd_train.data import any_audio, common_voice, own_clips, pauses
from kwsd_train.data.folders import BACKGROUND_FOLDER, data_root, which_set
from kwsd_train.data.recordings import is_audio
from kwsd_train.flags import flag as flags
from kwsd_train.flags import table as flag_table

HELP = "convert phone recordings, long recordings or Common Voice into word folders"
EXAMPLE = "kwsd-train import ~/phone --words lumos --speaker carl"

_SHOWN_MAX = 200
_QUIET_DBFS = -45.0


class Recording(NamedTuple):
    """A file to cut: its words, in turn, its speaker, and the name from which its clips' numbers are derived."""

    path: Path
    words: Sequence[str]
    speaker: str
    title: str
    whole: bool = False
    """Whether it is a single utterance, regardless of pauses."""


class Cut(NamedTuple):
    """A clip, or the reason why it cannot be used."""

    recording: Recording
    word: str
    start_s: float
    length_s: float
    level_dbfs: float
    note: str
    target: Path | None
    signal: Signal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER", help="folder of recordings, of word folders, or of Common Voice")
    add(
        "--words",
        metavar="W,...",
        help="words in each recording: one word repeated, or several in turn (default: the name of the recording's "
        "folder; with Common Voice, all sentences of one word)",
    )
    add(
        "--speaker",
        metavar="NAME",
        help="name of the speaker (default: the part of a file name before _nohash_, else FOLDER's name)",
    )
    add("--output_dir", type=Path, metavar="DIR", help="folder of word folders (default: $KWSD_DATA/speech_commands)")
    add(
        "--png",
        type=Path,
        metavar="FILE",
        help="plot of the cuts (default: kwsd-import.png in the temporary folder)",
    )
    add("--dry_run", action="store_true", help="show the table and the plot, without writing clips")
    add("--yes", action="store_true", help="write clips without asking for confirmation")
    flags.add(parser, flag_table.IMPORT)


def run(args: argparse.Namespace) -> int:
    if not args.folder.is_dir():
        raise InputError(str(args.folder), "no such folder", "Name one with recordings.")
    output = args.output_dir or data_root() / "speech_commands"
    found = list(_recordings(args))
    if not found:
        raise InputError(str(args.folder), "no recording there", "Name a folder with recordings, or folders of them.")
    cuts: list[Cut] = []
    unread = 0
    for recording in found:
        try:
            cuts += cut(recording, output, args)
        except InputError as error:
            unread += 1
            print(f"kwsd-train: {error}", file=sys.stderr)
    print(_table(cuts))
    _picture(cuts, args)
    new = [one for one in cuts if one.target and not one.target.exists()]
    there = sum(one.target is not None for one in cuts) - len(new)
    if args.dry_run or not _agreed(args, len(new), output):
        print(f"{len(new)} clips would be written to {output}")
    else:
        for one in new:
            assert one.target is not None
            own_clips.write(one.target, one.signal, args.sample_rate)
        print(f"{len(new)} clips written to {output}, {there} were there")
        _tell_sets(new)
    return InputError.exit_code if unread or not (new or there) else 0


def cut(recording: Recording, output: Path, args: argparse.Namespace) -> Iterator[Cut]:
    """The clips of one recording, including unusable ones. InputError if it cannot be read."""
    signal = any_audio.read(recording.path, args.sample_rate)
    count = args.sample_rate * args.clip_duration_ms // 1000
    found = pauses.pieces(signal, args.sample_rate, args.pause_ms)
    if recording.whole and found:
        found = [pauses.Piece(found[0].begin, found[-1].end)]
    if not found:
        yield Cut(
            recording, recording.words[0], 0, len(signal) / args.sample_rate, -120, "no word in it", None, signal[:0]
        )
    for place, piece in enumerate(found):
        before = (found[place - 1].end + piece.begin) // 2 if place else 0
        after = (piece.end + found[place + 1].begin) // 2 if place + 1 < len(found) else len(signal)
        clip = pauses.clip(signal, piece, before, after, count)
        word = recording.words[place % len(recording.words)]
        level_dbfs = 10 * np.log10(max(float(np.square(signal[piece.begin : piece.end]).mean()), 1e-12))
        note = _fault(clip, level_dbfs)
        target = None
        if not note:
            number = zlib.crc32(f"{recording.title}/{piece.begin}".encode())
            target = own_clips.path_of(output, word, recording.speaker, number, args.codec)
            note = "its loudest part" if piece.end - piece.begin > count else "there" if target.exists() else ""
        start_s, length_s = piece.begin / args.sample_rate, (piece.end - piece.begin) / args.sample_rate
        yield Cut(recording, word, start_s, length_s, level_dbfs, note, target, clip)


def _fault(clip: Signal, level_dbfs: float) -> str:
    """Why a clip is unusable; empty if it is usable."""
    if np.mean(np.abs(clip) >= takes.FULL_SCALE) > takes.CLIPPED_SHARE:
        return "left out: clipped"
    return "left out: too quiet" if level_dbfs < _QUIET_DBFS else ""


def _recordings(args: argparse.Namespace) -> Iterator[Recording]:
    """The recordings to cut. UsageError if their words are unknown."""
    words = own_clips.words("--words", args.words) if args.words else ()
    if args.speaker:
        own_clips.speaker("--speaker", args.speaker)
    if tables := common_voice.tables(args.folder):
        for table in tables:
            for spoken in common_voice.single_words(table, words):
                yield Recording(
                    spoken.path, (spoken.word,), args.speaker or spoken.speaker, spoken.path.name, whole=True
                )
        return
    if (args.folder / BACKGROUND_FOLDER).is_dir():
        print(f"{args.folder / BACKGROUND_FOLDER}: left out, it holds no words")
    for path in sorted(args.folder.rglob("*")):
        if path.name.startswith(".") or not (is_audio(path) or path.suffix.lower() in any_audio.FOREIGN):
            continue
        inside = path.relative_to(args.folder)
        if inside.parts[0] == BACKGROUND_FOLDER:
            continue
        if not words and len(inside.parts) < 2:
            raise UsageError(
                "--words",
                f"the word in {path.name} is unknown",
                "Give --words, or make a folder for each word.",
            )
        said = words or own_clips.words(str(path.parent), inside.parts[0])
        yield Recording(path, said, _speaker(path, args), inside.as_posix())


def _speaker(path: Path, args: argparse.Namespace) -> str:
    if args.speaker:
        return str(args.speaker)
    before, divider, _ = path.name.partition("_nohash_")
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", before if divider else args.folder.resolve().name).strip("-.")
    return name or "imported"


def _table(cuts: Sequence[Cut]) -> str:
    lines = [f"{'recording':32} {'word':12} {'start s':>8} {'length s':>8} {'dBFS':>6}  speaker, note"]
    for one in cuts[:_SHOWN_MAX]:
        place = f"{one.recording.title[-32:]:32} {one.word:12} {one.start_s:8.2f} {one.length_s:8.2f}"
        lines.append(f"{place} {one.level_dbfs:6.1f}  {one.recording.speaker}{one.note and ', ' + one.note}")
    if len(cuts) > _SHOWN_MAX:
        lines.append(f"... and {len(cuts) - _SHOWN_MAX} more")
    return "\n".join(lines)


def _picture(cuts: Sequence[Cut], args: argparse.Namespace) -> None:
    """Draws the plot if possible; it is optional."""
    try:
        from kwsd_train.data import cuts_plot

        drawn = cuts_plot.draw(cuts, args.sample_rate)
    except ModuleNotFoundError:
        print("no picture: matplotlib is not installed")
        return
    path = args.png or Path(tempfile.gettempdir()) / "kwsd-import.png"
    try:
        write_whole(path, drawn)
    except OutputError as error:
        if args.png:
            raise
        print(f"no picture: {error}")  # such as where that file is another user's
        return
    print(f"picture of the cuts: {path}")


def _agreed(args: argparse.Namespace, count: int, output: Path) -> bool:
    if args.yes or not count or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return True
    return input(f"Write {count} clips to {output}? [y/N] ").strip().lower() in ("y", "yes")


def _tell_sets(written: Sequence[Cut]) -> None:
    names = sorted({one.target.name for one in written if one.target})
    sets = {name.partition("_nohash_")[0]: which_set(name, 10, 10) for name in names}
    for kept in ("validation", "testing"):
        speakers = [speaker for speaker, name in sets.items() if name == kept]
        if speakers:
            shown = ", ".join(speakers[:3]) + (f" and {len(speakers) - 3} more" if len(speakers) > 3 else "")
            print(f"which_set puts {shown} into {kept}; all others are for training")
