"""``kwsd-train record``: prompts for words and records them as clips to train on."""

import argparse
import getpass
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from kwsd.errors import UsageError
from kwsd.learn.recording import Listener, Recorder
from kwsd_train.data import own_clips
from kwsd_train.data.folders import data_root, which_set
from kwsd_train.data.other_voices import OTHER_WORDS
from kwsd_train.flags import flag as flags
from kwsd_train.flags import table as flag_table

HELP = "prompt for words and record them from the microphone, keeping the loudest second of each"
EXAMPLE = "kwsd-train record --words lumos,nox --takes 20 --speaker anna"

_OTHER_WORDS = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from kwsd.config import flag

    add = parser.add_argument
    add("--words", required=True, metavar="W,...", help="words to record, separated by commas")
    add(
        "--speaker",
        metavar="NAME",
        help="name of the speaker; all clips of one name are in the same set (default: your login name)",
    )
    add("--output_dir", type=Path, metavar="DIR", help="folder of word folders (default: $KWSD_DATA/speech_commands)")
    device = "input device: part of its name, or its index (see kwsd devices)"
    add("-d", "--device", type=flag("audio", "device"), metavar="NAME|INDEX", help=device)
    add(
        "--channel",
        type=flag("audio", "channel"),
        default=0,
        metavar="N",
        help="channel of the device, counted from 0 (default: 0)",
    )
    add("--gain_db", type=flag("audio", "gain_db"), default=0.0, metavar="DB", help="gain, -60 to 60 dB (default: 0)")
    flags.add(parser, flag_table.RECORD)


def run(args: argparse.Namespace) -> int:
    from kwsd.audio.microphone.microphone import Microphone
    from kwsd.audio.settings import AudioSettings

    words = own_clips.words("--words", args.words)
    speaker = args.speaker or _login_name()
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


def _login_name() -> str:
    """The user's name, as a speaker's. UsageError if there is none, as for a container's bare number."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError) as error:
        raise UsageError("--speaker", "is missing, and this user has no login name", "Give a name.") from error
    return re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip("-.")


def _other_words(words: Sequence[str], count: int | None) -> list[str]:
    """Other words by the same voice, lest the voice be learned instead of the word; only on a terminal."""
    if count is None:
        count = _OTHER_WORDS if sys.stdout.isatty() else 0
    others = [word for word in OTHER_WORDS if word not in words][:count]
    if others:
        print(f"And now {len(others)} other words, once each, so that the model does not learn your voice.", flush=True)
    return others


def _tell_set(speaker: str) -> None:
    """Checked before recording: whether training would leave the speaker out; suggests a name that it would use."""
    chosen = which_set(f"{speaker}_nohash_0", 10, 10)
    if chosen != "training":
        names = (f"{speaker}-{number}" for number in range(2, 1000))
        other = next(name for name in names if which_set(f"{name}_nohash_0", 10, 10) == "training")
        print(
            f"which_set puts {speaker} into the {chosen} set: these takes are not learned unless train is given "
            f"--{chosen}_percentage 0. With the name {other} they would be in the training set.",
            flush=True,
        )


class Session:
    """Records the words of one speaker.

    Args:
        listener: where samples come from.
        folder: folder of word folders.
        speaker: name for the files.
        args: the command's flags.
    """

    def __init__(self, listener: Listener, folder: Path, speaker: str, args: argparse.Namespace) -> None:
        self._folder, self._speaker, self._args = folder, speaker, args
        self._recorder = Recorder(
            listener,
            args.sample_rate * args.clip_duration_ms // 1000,
            pause_s=args.pause_s,
            take_s=args.take_s,
            on_terminal=sys.stdout.isatty(),
        )

    def record(self, word: str, takes_wanted: int) -> int:
        """Record the missing clips of a word; return their number.

        Clip numbers are never reused. UnavailableError after ten unusable takes in a row.
        """
        args = self._args
        there = own_clips.numbers(self._folder / word, self._speaker)
        if there:
            print(f"{word}: {len(there)} of {takes_wanted} are there", flush=True)
        number, missing = max(there, default=-1) + 1, max(0, takes_wanted - len(there))
        for take in range(missing):
            clip = self._recorder.take(word, f"{word} ({takes_wanted - missing + take + 1} of {takes_wanted})")
            path = own_clips.path_of(self._folder, word, self._speaker, number + take, args.codec)
            own_clips.write(path, clip, args.sample_rate)
            print(f"kept {path}", flush=True)
        return missing
