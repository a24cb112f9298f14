"""``kwsd-train record``: asks for words and records them, as clips to train on."""

import argparse
import getpass
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kwsd.audio import takes
from kwsd.errors import UnavailableError, UsageError
from kwsd_train import flag_table, flags, own_clips
from kwsd_train.augment import Signal
from kwsd_train.data import data_root, which_set
from kwsd_train.other_voices import OTHER_WORDS

if TYPE_CHECKING:
    from kwsd.audio.microphone.microphone import Microphone

HELP = "ask for words, record them from the microphone and keep the loudest second of each"
EXAMPLE = "kwsd-train record --words lumos,nox --takes 20 --speaker anna"

_OTHER_WORDS = 20
_REDRAW_S = 0.1
_DEAF_S = 8.0
_REJECTED_MAX = 10
_FLOOR_DBFS = -70.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from kwsd.config import flag

    add = parser.add_argument
    add("--words", required=True, metavar="W,...", help="the words, divided by commas")
    add("--speaker", metavar="NAME", help="who speaks; all clips of one name fall into one set (default: your login)")
    add("--output_dir", type=Path, metavar="DIR", help="folder of words (default: $KWSD_DATA/speech_commands)")
    device = "input device by part of its name or by index (kwsd devices)"
    add("-d", "--device", type=flag("audio", "device"), metavar="NAME|INDEX", help=device)
    add("--channel", type=flag("audio", "channel"), default=0, metavar="N", help="its channel, from 0 (default: 0)")
    add("--gain_db", type=flag("audio", "gain_db"), default=0.0, metavar="DB", help="make it louder (default: 0)")
    flags.add(parser, flag_table.RECORD)


def run(args: argparse.Namespace) -> int:
    from kwsd.audio.microphone.microphone import Microphone
    from kwsd.audio.settings import AudioSettings

    words = own_clips.words("--words", args.words)
    speaker = args.speaker or re.sub(r"[^A-Za-z0-9.-]+", "-", getpass.getuser()).strip("-.")
    own_clips.speaker("--speaker", speaker)
    if args.take_s < args.clip_duration_ms / 1000:
        raise UsageError("--take_s", "must be as long as a clip")
    folder = args.output_dir or data_root() / "speech_commands"
    _tell_set(speaker)
    audio = AudioSettings(device=args.device, channel=args.channel, gain_db=args.gain_db)
    microphone = Microphone(audio, args.sample_rate, wait=False)
    try:
        session = Session(Listener(microphone, on_terminal=sys.stdout.isatty()), folder, speaker, args)
        kept = sum(session.record(word, args.takes) for word in words)
        kept += sum(session.record(word, 1) for word in _other_words(words, args.other_words))
    finally:
        microphone.close()
    name = which_set(own_clips.path_of(folder, words[0], speaker, 0, args.codec).name, 10, 10)
    print(f"{kept} clips of {speaker} recorded in {folder}; which_set puts this speaker into {name}")
    return 0


def _other_words(words: Sequence[str], count: int | None) -> list[str]:
    """Words by the same voice, lest it be learnt in place of the wanted one. Without a terminal nobody is asked."""
    if count is None:
        count = _OTHER_WORDS if sys.stdout.isatty() else 0
    others = [word for word in OTHER_WORDS if word not in words][:count]
    if others:
        print(f"And now {len(others)} other words, once each, by which your voice is told from your word.", flush=True)
    return others


def _tell_set(speaker: str) -> None:
    """Before anybody speaks: a speaker whom training leaves out, and a name that it takes."""
    chosen = which_set(f"{speaker}_nohash_0", 10, 10)
    if chosen != "training":
        names = (f"{speaker}-{number}" for number in range(2, 1000))
        other = next(name for name in names if which_set(f"{name}_nohash_0", 10, 10) == "training")
        print(
            f"which_set keeps {speaker} for {chosen}: nothing is learnt from these takes unless train is given "
            f"--{chosen}_percentage 0. Under the name {other} they would be for training.",
            flush=True,
        )


class Listener:
    """Takes stretches of samples from a microphone, showing their level.

    Args:
        microphone: looked after here, so whoever has it calls nothing else of it.
        on_terminal: draw the level in place; else show nothing.
    """

    def __init__(self, microphone: "Microphone", *, on_terminal: bool) -> None:
        self._microphone, self._on_terminal = microphone, on_terminal

    def hear(self, seconds: float, prompt: str) -> Signal:
        """The next ``seconds``, without a gap, (samples,). UnavailableError when the microphone gives nothing."""
        from kwsd.audio.source import Block, Gap

        missing = round(seconds * self._microphone.rate_hz)
        blocks: list[Signal] = []
        deadline_s = time.monotonic() + seconds + _DEAF_S
        drawn_s = 0.0
        while sum(map(len, blocks)) < missing:
            now_s = time.monotonic()
            if now_s > deadline_s:
                reason = self._microphone.state.reason or "no samples come"
                raise UnavailableError(self._microphone.name, reason, "kwsd doctor tells more.")
            self._microphone.step(now_s)
            item = self._microphone.read(0.05)
            if isinstance(item, Block):
                blocks.append(item.samples.copy())
                if self._on_terminal and now_s - drawn_s > _REDRAW_S:
                    drawn_s = now_s
                    print(f"\r{prompt}  {_meter(item.samples)}\x1b[K", end="", flush=True)
            elif isinstance(item, Gap):  # nothing is joined across it
                blocks.clear()
        return np.concatenate(blocks)[:missing] if blocks else np.zeros(0, np.float32)


class Session:
    """Records the words of one speaker.

    Args:
        listener: where samples come from.
        folder: folder of words.
        speaker: name for the files.
        args: the command's flags.
    """

    def __init__(self, listener: Listener, folder: Path, speaker: str, args: argparse.Namespace) -> None:
        self._listener, self._folder, self._speaker, self._args = listener, folder, speaker, args
        self._rejected = 0

    def record(self, word: str, takes_wanted: int) -> int:
        """Record what is missing of a word; how many clips that were.

        A clip's number is never given twice. UnavailableError after ten takes in a row that are of no use.
        """
        args = self._args
        there = own_clips.numbers(self._folder / word, self._speaker)
        if there:
            print(f"{word}: {len(there)} of {takes_wanted} are there", flush=True)
        number, missing = max(there, default=-1) + 1, max(0, takes_wanted - len(there))
        for take in range(missing):
            clip = self._take(word, f"{word} ({takes_wanted - missing + take + 1} of {takes_wanted})")
            path = own_clips.path_of(self._folder, word, self._speaker, number + take, args.codec)
            own_clips.write(path, clip, args.sample_rate)
            print(f"kept {path}", flush=True)
        return missing

    def _take(self, word: str, title: str) -> Signal:
        args = self._args
        count = args.sample_rate * args.clip_duration_ms // 1000
        while True:
            self._listener.hear(args.pause_s, f"{title}: wait ...")
            self._ask(f"{title}: say {word!r} now")
            take = self._listener.hear(args.take_s, f"{title}: say {word!r} now")
            self._ask("")
            why = takes.fault(take, count)
            if why is None:
                self._rejected = 0
                return takes.loudest(take, count)
            print(f"again, please: {why}", flush=True)
            self._rejected += 1
            if self._rejected == _REJECTED_MAX:
                raise UnavailableError("microphone", f"{_REJECTED_MAX} takes in a row were of no use; {why}")

    def _ask(self, line: str) -> None:
        """A line of its own without a terminal; with one, the line that the meter stands on is begun anew."""
        if sys.stdout.isatty():
            print(f"\r{line}\x1b[K", end="", flush=True)
        elif line:
            print(line, flush=True)


def _meter(samples: Signal) -> str:
    from kwsd.audio.diagnosis import dbfs
    from kwsd.cli.meter import bar

    level_dbfs = dbfs(float(np.sqrt(np.mean(np.square(samples)))))
    clipped = "  CLIPPED" if np.abs(samples).max() >= takes.FULL_SCALE else ""
    return f"{bar(1 - level_dbfs / _FLOOR_DBFS, 30)} {level_dbfs:6.1f} dBFS{clipped}"
