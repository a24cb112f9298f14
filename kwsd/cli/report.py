"""``kwsd report``: what fired, what nearly fired, and what other thresholds would have done."""

import argparse
from collections.abc import Iterator
from typing import Any

from kwsd.cli.asking import add_socket_argument
from kwsd.client import ask
from kwsd.report import MOVABLE, NEAR, STEP, rate_in_words

HELP = "Shows what a running kwsd heard and nearly heard. Shows also what other thresholds would have done."
EXAMPLE = "kwsd report"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_socket_argument(parser)
    parser.add_argument("--json", action="store_true", help="print the counts as one JSON line (see docs/socket.md)")
    parser.description = (
        f"{HELP}\n\nkwsd counts each rise of a word's score for 30 days; it keeps no audio. If nobody meant a word"
        "\nduring that time, all firings are false alarms. [..] are 95 % intervals: how far such hours may vary."
    )


def run(args: argparse.Namespace) -> int:
    from kwsd.events import encode

    report = ask(args.socket, {"get": "report"}, ("report",))
    print(encode(report) if args.json else "\n".join(in_words(report)))
    return 0


def in_words(report: dict[str, Any]) -> Iterator[str]:
    """The report as readable lines."""
    listeners = report["listeners"]
    for name, heard in listeners.items():
        if name != next(iter(listeners)):
            yield ""
        yield from _of_listener(f"{name}: " if len(listeners) > 1 else "", heard, report["since"])


def _of_listener(name: str, heard: dict[str, Any], since: str) -> Iterator[str]:
    hours = heard["hours"]
    yield f"{name}listened for {hours:.2f} hours since {since}" if hours else f"{name}nothing was heard yet"
    for label, word in heard["words"].items():
        yield ""
        fired = _count(word, ("fired",), 0.0)
        near = _count(word, ("below_threshold", "speech"), word["threshold"] - NEAR)
        yield f"{label}: threshold {word['threshold']:g}, fired {fired} ({_rate(fired, hours)}), {near} near misses"
        for outcome, scores in word["peaks"].items():
            yield f"  {outcome:16} " + "  ".join(f"{score}: {count}" for score, count in scores.items())
        yield from _other_thresholds(word, hours)


def _other_thresholds(word: dict[str, Any], hours: float) -> Iterator[str]:
    first = max(round(0.3 / STEP), round(word["threshold"] / STEP) - 4)
    for step in range(first, min(first + 9, round(1 / STEP))):
        count = _count(word, MOVABLE, step * STEP)
        yield f"  at {step * STEP:.2f}: {count} {'time' if count == 1 else 'times'} ({_rate(count, hours)})"


def _count(word: dict[str, Any], outcomes: tuple[str, ...], least: float) -> int:
    return sum(
        count
        for outcome in outcomes
        for score, count in word["peaks"].get(outcome, {}).items()
        if float(score) >= least - 1e-9
    )


def _rate(count: int, hours: float) -> str:
    if not hours:
        return "no hours yet"
    return rate_in_words(count, hours).replace(" [", " an hour [")
