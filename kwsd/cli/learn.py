"""``kwsd learn``: adds a word to a model, from a few takes of it, on the machine that listens."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kwsd.audio.signal import Signal
    from kwsd.learn.student import Learned, Student

HELP = "Learns a word from a few takes of it. Writes a model that has it in addition to its other words."
EXAMPLE = "kwsd learn lumos --takes 10 --output lumos.tflite"

TAKES_LEAST = 3
PAUSE_S, TAKE_S = 0.7, 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from kwsd.cli.options import DEVICE_HELP
    from kwsd.config import flag

    add = parser.add_argument
    add(
        "word",
        nargs="?",
        metavar="WORD",
        help="word to learn; leave it out to change a learned model by --forget or --not",
    )
    add(
        "-m",
        "--model",
        default="default",
        metavar="MODEL",
        help="bundled model, or one learned earlier (default: default)",
    )
    add(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="model file to write (default: WORD.tflite; without WORD, MODEL itself)",
    )
    add("--takes", type=_takes, default=10, metavar="N", help="takes to record, 3 to 100 (default: 10)")
    given = parser.add_mutually_exclusive_group()
    given.add_argument(
        "--from", dest="folder", type=Path, metavar="FOLDER", help="use the recordings in this folder instead"
    )
    given.add_argument(
        "--synthesize", action="store_true", help="use text to speech instead: espeak-ng and flite, 20 voices"
    )
    add("--say", metavar="TEXT", help="with --synthesize: the text to speak (default: WORD)")
    add(
        "--not",
        dest="counterexamples",
        nargs="+",
        type=Path,
        default=[],
        metavar="CLIP",
        help="recordings that must not fire",
    )
    add("--only-new", action="store_true", help="leave out the model's other words")
    add("--forget", metavar="WORD", help="remove this word from the model")
    add(
        "--keep",
        type=Path,
        metavar="FOLDER",
        help="keep the recorded takes in this folder, as FLAC (default: discard them)",
    )
    add(
        "-d",
        "--device",
        type=flag("audio", "device"),
        metavar="NAME|INDEX",
        help=DEVICE_HELP,
    )
    add(
        "--channel",
        type=flag("audio", "channel"),
        default=0,
        metavar="N",
        help="channel of the device, counted from 0 (default: 0)",
    )
    add("--json", action="store_true", help="print one JSON object instead of the report")


def run(args: argparse.Namespace) -> int:
    from kwsd.errors import UsageError
    from kwsd.learn.student import Student

    _check(args)
    student = Student(args.model)
    output = args.output or (Path(f"{args.word}.tflite") if args.word else student.model.path)
    if args.word is None and args.output is None and not student.own:
        raise UsageError("--output", f"is required: {args.model} comes with kwsd and stays as it is")
    if args.word is None and args.forget is None and not student.own:
        why = f"{args.model} has no learned word, and only learned words can be changed"
        raise UsageError("--not", why, "Learn one: kwsd learn WORD.")
    if args.word is not None:
        student.check_word(args.word)
    _check_output(output)
    if args.forget is not None:
        return _forget(args, student, output)
    if args.word is None:
        return _correct(args, student, output)
    return _learn(args, student, output)


def _learn(args: argparse.Namespace, student: "Student", output: Path) -> int:
    import shlex

    from kwsd.events import encode
    from kwsd.learn import report

    wrong = _clips(args, student)
    names, takes = _takes_of(args, student)
    learned = student.learn(args.word, takes, wrong, output.stem, only_new=args.only_new)
    _check_heard(args.word, learned)
    _write(output, learned.content)
    if args.json:
        told = {"output": str(output), **report.to_dict(args.word, learned)}
        print(encode(told))
        return 0
    for line in report.lines(args.word, learned, names):
        print(line)
    print(f"written: {output}. Hear it: kwsd --model {shlex.quote(str(output))}")
    return 0


def _check_heard(word: str, learned: "Learned") -> None:
    """InputError if no take is recognised by a model trained on the others: such a model would never fire."""
    from kwsd.errors import InputError

    count = len(learned.expectation.takes)
    if not learned.expectation.heard(learned.threshold):
        why = f"none of its {count} takes is recognised by a model that learned the others, so no model was written"
        raise InputError(word, why, "Say the same word in each take, record more takes, or choose a longer word.")


def _forget(args: argparse.Namespace, student: "Student", output: Path) -> int:
    from kwsd.events import encode

    _write(output, student.forget(args.forget, output.stem))
    left = [label for label in student.model.labels if label != args.forget and not label.startswith("_")]
    if args.json:
        print(encode({"output": str(output), "forgotten": args.forget, "words": left}))
    else:
        print(f"written: {output}, without {args.forget}. Its words: {', '.join(left)}")
    return 0


def _correct(args: argparse.Namespace, student: "Student", output: Path) -> int:
    from kwsd.errors import InputError
    from kwsd.events import encode
    from kwsd.learn import report

    content, changed = student.correct(_clips(args, student), output.stem)
    if not changed:
        own = ", ".join(student.own)
        why = f"none of {own} is detected in it, and only learned words can be changed"
        raise InputError(str(args.counterexamples[0]), why, "Raise the threshold of a word that came with the model.")
    _write(output, content)
    if args.json:
        print(encode({"output": str(output), "scores": report.to_numbers(changed)}))
        return 0
    for word, (before, after) in changed.items():
        print(f"{word}: its highest score in these clips was {before:.2f} and is {after:.2f}")
    print(f"written: {output}")
    return 0


def _check(args: argparse.Namespace) -> None:
    """UsageError if the options contradict each other."""
    from kwsd.errors import UsageError

    if args.word is None and args.forget is None and not args.counterexamples:
        raise UsageError("WORD", "is required, or --forget or --not", "See kwsd learn --help.")
    if args.forget is not None and (args.word is not None or args.counterexamples):
        raise UsageError("--forget", "goes alone with --model and --output")
    if args.word is None and (args.folder or args.synthesize or args.keep or args.only_new):
        raise UsageError("WORD", "is required with --from, --synthesize, --keep and --only-new")
    if args.keep and (args.folder or args.synthesize):
        raise UsageError("--keep", "keeps what is recorded, and nothing is recorded with --from or --synthesize")
    if args.say is not None and not args.synthesize:
        raise UsageError("--say", "needs --synthesize")
    if args.say is not None and not args.say.isprintable():
        raise UsageError("--say", f"{args.say!r} is not text on one line")


def _check_output(output: Path) -> None:
    """OutputError if the model could not be written; checked before anybody speaks."""
    from kwsd.errors import OutputError
    from kwsd.whole_file import check_file

    hint = "Name another --output."
    if not output.stem.isprintable():
        raise OutputError(repr(str(output))[1:-1], "cannot be written: a model is named after its file, in text", hint)
    check_file(output, hint)
    if not output.parent.is_dir():
        raise OutputError(str(output), "cannot be written: no such folder", hint)


def _clips(args: argparse.Namespace, student: "Student") -> "list[Signal]":
    """The counter-examples. InputError for the first that cannot be read."""
    from kwsd.learn import sources

    model = student.model
    return [sources.whole(path, model.sample_rate_hz, model.clip_samples) for path in args.counterexamples]


def _takes_of(args: argparse.Namespace, student: "Student") -> "tuple[list[str], list[Signal]]":
    """The names of the takes, and the takes."""
    from kwsd.errors import InputError
    from kwsd.learn import sources

    model = student.model
    if args.synthesize:
        spoken = sources.synthesized(args.say or args.word, sources.VOICES, model.sample_rate_hz, model.clip_samples)
        return [f"voice {number}" for number in range(1, len(spoken) + 1)], spoken
    if args.folder is None:
        recorded = _record(args, student)
        return [f"take {number}" for number in range(1, len(recorded) + 1)], recorded
    paths = sources.recordings_in(args.folder)
    found = sources.from_files(paths, model.sample_rate_hz, model.clip_samples, _complain)
    if len(found) < TAKES_LEAST:
        why = f"{len(found)} of {len(paths)} takes are of use, and {TAKES_LEAST} are required"
        raise InputError(str(args.folder), why, "Record more.")
    return [path.name for path, _ in found], [signal for _, signal in found]


def _record(args: argparse.Namespace, student: "Student") -> "list[Signal]":
    from kwsd import core_dumps
    from kwsd.audio.microphone.microphone import Microphone
    from kwsd.audio.settings import AudioSettings
    from kwsd.learn.recording import Listener, Recorder, on_terminal

    core_dumps.forbid()
    model, terminal = student.model, on_terminal()
    microphone = Microphone(AudioSettings(device=args.device, channel=args.channel), model.sample_rate_hz, wait=False)
    try:
        listener = Listener(microphone, on_terminal=terminal)
        recorder = Recorder(listener, model.clip_samples, pause_s=PAUSE_S, take_s=TAKE_S, on_terminal=terminal)
        takes = []
        for number in range(1, args.takes + 1):
            takes.append(recorder.take(args.word, f"{args.word} ({number} of {args.takes})"))
            if args.keep:
                _keep(args.keep, number, takes[-1], model.sample_rate_hz)
    finally:
        microphone.close()
    return takes


def _keep(folder: Path, number: int, take: "Signal", rate_hz: int) -> None:
    import io

    import soundfile

    from kwsd.whole_file import write_whole

    content = io.BytesIO()
    soundfile.write(content, take, rate_hz, format="FLAC", subtype="PCM_16")
    write_whole(folder / f"take-{number:02}.flac", content.getvalue())


def _write(output: Path, content: bytes) -> None:
    """Writes the model, after a trial run, in place of an existing one."""
    from kwsd.learn.trial import write_tried

    write_tried(output, content)


def _complain(line: str) -> None:
    from kwsd.cli.main import complain

    complain(line)


def _takes(text: str) -> int:
    count = int(text)
    if not TAKES_LEAST <= count <= 100:
        raise ValueError
    return count


_takes.__name__ = "whole number from 3 to 100"  # argparse names the type in its message
