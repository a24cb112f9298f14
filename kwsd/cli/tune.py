"""``kwsd tune``: finds thresholds for a room, given how many false alarms per hour are acceptable."""

import argparse
import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kwsd.cli.asking import add_socket_argument
from kwsd.cli.options import add_channel_arguments, add_listener_argument

if TYPE_CHECKING:
    from kwsd.config import Settings
    from kwsd.tuning.recordings import Recording
    from kwsd.tuning.thresholds import Quiet

HELP = "Finds thresholds for a given rate of false alarms. Uses recordings, or the report of a running kwsd."
EXAMPLE = "kwsd tune --false-alarms-per-hour 0.5 evening.flac -c kwsd.yaml --write kwsd.yaml"

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from kwsd.cli.options import MODEL_HELP

    parser.description = (
        f"{HELP}\n\nThe recordings, or the time that the report covers, are ones in which nobody meant a word. If a"
        "\nrecording does contain words, list them in RECORDING.txt beside it (evening.txt for evening.flac) or in a"
        "\n--labels file, one per line as `label, start_ms, end_ms`; the words missed are then shown too. [..] are 95 %"
        "\nintervals: how far the same hours may differ by chance."
    )
    add = parser.add_argument
    add(
        "--false-alarms-per-hour",
        type=_rate,
        required=True,
        metavar="N",
        help="allowed false alarms per hour, all words together: above 0, such as 0.5",
    )
    add("recordings", nargs="*", metavar="RECORDING", help="WAV, FLAC, Ogg or MP3 file")
    add("--live", action="store_true", help="use the report of a running kwsd instead of recordings")
    add_socket_argument(parser)
    add(
        "--labels",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="the words in a recording; give one for each recording, in order",
    )
    add("-c", "--config", metavar="FILE", help="configuration file (YAML) with the current models, words and settings")
    add_listener_argument(parser, "listener of the configuration, or of the running kwsd; required if it has several")
    add("-m", "--model", metavar="MODEL", help=MODEL_HELP)
    add_channel_arguments(parser, "recordings")
    add(
        "--write",
        type=Path,
        metavar="FILE",
        help="write the thresholds into this configuration file; the rest of it stays",
    )
    add(
        "--plot",
        type=Path,
        metavar="FILE",
        help="plot false alarms per hour against the threshold, as PNG (requires matplotlib)",
    )
    add("--json", action="store_true", help="print one JSON line instead of a table")


@dataclass(frozen=True)
class Tuned:
    """What was heard, and the thresholds found.

    Attributes:
        wanted: allowed false alarms per hour.
        now, found: each word's current threshold, and the one found.
        recordings: the recordings, if there are any.
    """

    wanted: float
    quiet: "Quiet"
    now: Mapping[str, float]
    found: Mapping[str, float]
    recordings: "Sequence[Recording]" = ()

    def alarms(self, thresholds: Mapping[str, float]) -> int:
        """How often all words together would have fired."""
        return sum(self.quiet.alarms(word, threshold) for word, threshold in thresholds.items())

    def missed(self, word: str, threshold: float) -> tuple[int, int]:
        """How often a word would have been missed, of the times that it was spoken."""
        said = sum(row.label == word for one in self.recordings for row in one.rows)
        hit = sum(len(one.score(word, threshold).hits) for one in self.recordings)
        return said - hit, said


def run(args: argparse.Namespace) -> int:
    from kwsd.events import encode

    _check(args)
    tuned = _live(args) if args.live else _from_recordings(args, _settings(args))
    if args.json:
        print(encode(as_json(tuned)))
    else:
        print("\n".join(in_words(tuned)))
    if args.plot:
        _plot(args.plot, tuned)
    if args.write:
        from kwsd.config.write import write_thresholds

        write_thresholds(args.write, tuned.found, _listener_written(args))
        log.info("wrote the thresholds into %s", args.write)
    return 0


def _settings(args: argparse.Namespace) -> "Settings":
    """What holds for the listener that is asked for. Raises KwsdError."""
    from kwsd import config
    from kwsd.cli.options import read_settings

    if args.config is not None:
        _chosen(args.listener, config.load(args.config).listeners, args.config)
    return read_settings(args)


def _listener_written(args: argparse.Namespace) -> str | None:
    """The listener of the file to be written whose thresholds these are; None where it names none. Raises KwsdError."""
    import os

    from kwsd import config

    named = config.load(str(args.write)).named if os.path.exists(args.write) else {}  # noqa: PTH110 - never raises
    return _chosen(args.listener, named, str(args.write)) if named else None


def _chosen(listener: str | None, among: Iterable[str], of: str) -> str:
    """The listener that is asked for, or the only one."""
    from kwsd.errors import UsageError

    names = list(among)
    if listener is None and len(names) == 1:
        return names[0]
    mend = f"Choose one of {', '.join(names)}."
    if listener is None:
        raise UsageError("--listener", f"{of} has several", mend)
    if listener not in names:
        raise UsageError("--listener", f"{of} has no {listener!r}", mend)
    return listener


def _check(args: argparse.Namespace) -> None:
    from kwsd.errors import UsageError
    from kwsd.whole_file import check_file

    if args.live == bool(args.recordings):
        raise UsageError("tune", "it takes recordings, or --live", "Give one of them.")
    if args.live and args.labels:
        raise UsageError("--labels", "a report has no labels", "Leave it out.")
    if args.socket is not None and not args.live:
        raise UsageError("--socket", "recordings need none", "Add --live, or leave it out.")
    if args.labels and len(args.labels) != len(args.recordings):
        raise UsageError("--labels", f"{len(args.labels)} files for {len(args.recordings)} recordings", "Give as many.")
    if args.plot:
        from kwsd.tuning.plot import need_matplotlib

        need_matplotlib("--plot")
    for path in (args.plot, args.write):
        if path:
            check_file(path, "Name another file.")
    if args.write:
        _listener_written(args)  # errors are reported before the work


def _live(args: argparse.Namespace) -> Tuned:
    from kwsd.client import ask
    from kwsd.errors import UnavailableError
    from kwsd.tuning.thresholds import fit, quiet_of_report

    report = ask(args.socket, {"get": "report"}, ("report",))
    name = _chosen(args.listener, report["listeners"], "that kwsd")
    listener = ask(args.socket, {"get": "status"}, ("snapshot",))["listeners"][name]
    heard = report["listeners"][name]
    now = {word: score for word, score in listener["thresholds"].items() if word not in listener["on_demand"]}
    if not heard["hours"] or not any(word in now for word in heard["words"]):
        raise UnavailableError("the report", "it has no word or near miss yet", "Let kwsd listen for longer.")
    quiet = quiet_of_report(heard)
    return Tuned(args.false_alarms_per_hour, quiet, now, fit(quiet, now, args.false_alarms_per_hour))


def _from_recordings(args: argparse.Namespace, settings: "Settings") -> Tuned:
    from kwsd.config.effective import Plan, effective
    from kwsd.errors import UsageError
    from kwsd.tuning.recordings import Recording, hear, quiet_of
    from kwsd.tuning.thresholds import fit

    plans = effective(Plan(settings))
    rows = [_rows(args, place) for place in range(len(args.recordings))]  # errors are reported before the work
    labels = {label for plan in plans for label in plan.model.labels}
    if any(rows) and not any(row.label in labels for said in rows for row in said):
        known = ", ".join(sorted(labels))
        raise UsageError("--labels", "no row of the ground truth names one of the words", f"They are {known}.")
    recordings = []
    for path, said in zip(args.recordings, rows, strict=True):
        recordings.append(Recording(*hear(plans, path, settings.audio.channel, settings.audio.gain_db), tuple(said)))
        log.info("%s: %.2f hours", path, recordings[-1].hours)
    now = {
        word: plan.recognize.threshold(word)
        for plan in plans
        for word in plan.model.labels
        if word in plan.only and word not in (plan.recognize.on_demand or ())
    }
    quiet = quiet_of(recordings, now)
    return Tuned(args.false_alarms_per_hour, quiet, now, fit(quiet, now, args.false_alarms_per_hour), recordings)


def _rows(args: argparse.Namespace, place: int) -> "Sequence[Any]":
    """The words in a recording."""
    import os

    from kwsd.tuning.ground_truth import read_rows

    if args.labels:
        return read_rows(args.labels[place])
    beside = f"{os.path.splitext(args.recordings[place])[0]}.txt"  # noqa: PTH122 - it may be no path: "", "-", "."
    found = args.recordings[place] != "-" and os.path.isfile(beside)  # noqa: PTH113 - False where it is too long
    return read_rows(Path(beside)) if found else ()


def _plot(path: Path, tuned: Tuned) -> None:
    from kwsd.tuning.plot import draw_alarms
    from kwsd.tuning.thresholds import GRID
    from kwsd.whole_file import write_whole

    per_word = {word: [tuned.quiet.alarms(word, one) / tuned.quiet.hours for one in GRID] for word in tuned.now}
    write_whole(path, draw_alarms(GRID, per_word, f"{tuned.quiet.hours:.2f} hours", tuned.wanted))


def in_words(tuned: Tuned) -> Iterator[str]:
    """The table, and its caveats."""
    from kwsd.report import poisson_interval
    from kwsd.tuning.thresholds import NEVER, hours_needed

    hours = tuned.quiet.hours
    alarms = "false alarm" if tuned.wanted == 1 else "false alarms"
    yield f"heard {hours:.2f} hours; wanted: at most {tuned.wanted:g} {alarms} an hour, all words together"
    yield ""
    yield from _aligned(list(_rows_of_table(tuned)))
    yield ""
    for word in (word for word, threshold in tuned.found.items() if threshold >= NEVER > tuned.now[word]):
        yield f"{word}: fires too often even at 0.95. At 1 it never fires: leave it out of `only`, or allow more."
    if tuned.wanted * hours < 1:
        yield (
            f"{hours:.2f} hours are too few to lower a threshold: one false alarm in {1 / tuned.wanted:.3g} hours may "
            f"be yet to come. Record at least that long."
        )
    if poisson_interval(tuned.alarms(tuned.found))[1] > tuned.wanted * hours:
        yield (
            f"By chance it may be more than {tuned.wanted:g} an hour. To be 95 % sure takes "
            f"{hours_needed(tuned.wanted):.3g} hours without a false alarm, or longer with some."
        )


def _rows_of_table(tuned: Tuned) -> Iterator[tuple[str, ...]]:
    from kwsd.report import rate_in_words

    has_rows = any(one.rows for one in tuned.recordings)
    yield ("word", "now", "found", "an hour now", "an hour as found", *(["missed now", "as found"] if has_rows else []))
    for word, now in tuned.now.items():
        found = tuned.found[word]
        rates = (rate_in_words(tuned.quiet.alarms(word, one), tuned.quiet.hours) for one in (now, found))
        missed = ("{} of {}".format(*tuned.missed(word, one)) for one in (now, found))
        yield (word, f"{now:.2f}", f"{found:.2f}", *rates, *(missed if has_rows else ()))
    totals = (rate_in_words(tuned.alarms(some), tuned.quiet.hours) for some in (tuned.now, tuned.found))
    yield ("all", "", "", *totals, *(_missed_in_all(tuned) if has_rows else ()))


def _missed_in_all(tuned: Tuned) -> Iterator[str]:
    for thresholds in (tuned.now, tuned.found):
        each = [tuned.missed(word, threshold) for word, threshold in thresholds.items()]
        yield f"{sum(missed for missed, _ in each)} of {sum(said for _, said in each)}"


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def as_json(tuned: Tuned) -> dict[str, Any]:
    """The same for programs: rates per hour, with their 95 % intervals in ``interval``."""
    from kwsd.report import poisson_interval
    from kwsd.tuning.thresholds import hours_needed

    hours = tuned.quiet.hours
    has_rows = any(one.rows for one in tuned.recordings)

    def at(word: str, threshold: float) -> dict[str, Any]:
        alarms = tuned.quiet.alarms(word, threshold)
        low, high = (bound / hours for bound in poisson_interval(alarms))
        rates = {"threshold": threshold, "per_hour": alarms / hours, "interval": [low, high]}
        missed, said = tuned.missed(word, threshold)
        return {**rates, "missed": missed, "said": said} if has_rows else rates

    words = {word: {"now": at(word, now), "found": at(word, tuned.found[word])} for word, now in tuned.now.items()}
    return {
        "hours": hours,
        "false_alarms_per_hour": tuned.wanted,
        "hours_needed": hours_needed(tuned.wanted),
        "words": words,
    }


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 < rate < math.inf:
        raise argparse.ArgumentTypeError(f"got {text!r}; allowed: a number above 0, in false alarms per hour")
    return rate
