"""``kwsd watch``: prints what a running kwsd hears, or runs a command for each event."""

import argparse
import contextlib
import errno
import logging
import os
import re
import select
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kwsd.cli.asking import add_socket_argument
from kwsd.cli.display import bar
from kwsd.client import watch
from kwsd.errors import OutputError, UsageError
from kwsd.events import json_line
from kwsd.sinks.exec.command import environment, fault

HELP = "Prints what a running kwsd hears, as JSON lines. Reconnects when kwsd restarts."
EXAMPLE = """kwsd watch --only stop,go --exec 'sh -c "notify-send \\"heard $KWSD_LABEL\\""'"""
_SHELL = re.compile(r"\$\w|\$[{(]|`|^\d?>|^(<|\||\|\||&|&&|;)$")

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_socket_argument(parser)
    parser.add_argument("--only", metavar="LABEL[,LABEL]", help="only these words")
    parser.add_argument("--status", action="store_true", help="also print kwsd's state: listening, waiting, ...")
    parser.add_argument(
        "--scores",
        action="store_true",
        help="also print all scores (0 to 1) and the level (dBFS), up to 10 times a second",
    )
    parser.add_argument(
        "--peaks", action="store_true", help="also print each rise of a word's score (0 to 1) and its outcome"
    )
    parser.add_argument(
        "--format", choices=("json", "text"), default="json", help="JSON lines (default) or readable lines"
    )
    parser.add_argument(
        "--exec",
        metavar="CMD",
        help="instead of printing, run CMD for each event, one at a time and without a shell, with the event on "
        "standard input and KWSD_LABEL, KWSD_SCORE (0 to 1) and KWSD_ID in the environment",
    )
    parser.add_argument("--no-wait", action="store_true", help="exit with 69 if no kwsd is found")


def run(args: argparse.Namespace) -> int:
    """Prints, or runs the command, until it is stopped or its output has no reader; returns 0 in both cases."""
    types = ["detection", *(name for name in ("status", "scores", "peaks") if getattr(args, name))]
    labels = None if args.only is None else _words(args.only)
    command = None if args.exec is None else _command(args.exec)
    messages = watch(
        args.socket,
        labels=labels,
        types=types,
        wait=not args.no_wait,
        tell=lambda line: log.info("%s", line),
        output_fd=1 if sys.stdout is not None and command is None else None,
    )
    for message in messages:
        if message.get("type") not in (*types, "peak"):
            _remark(message)
            continue
        line = json_line(message) if args.format == "json" or command is not None else text_line(message)
        if command is not None:
            _execute(command, message, line)
        elif not _print(line):
            break
    return 0


def text_line(message: Mapping[str, Any]) -> bytes:
    """A message as a readable line: local time, word, score as a bar, outcome."""
    from datetime import datetime

    time = message.get("time")
    here = (
        f"{datetime.fromisoformat(time).astimezone():%H:%M:%S}"
        if time
        else f"{message.get('audio_ms', 0) / 1000:.1f} s"
    )
    kind = message["type"]
    if kind == "status":
        text = f"{message['state']}: {message['reason']}"
    elif kind == "scores":
        scores = sorted(message["scores"].items(), key=lambda item: -item[1])[:3]
        text = f"{message['level_dbfs']:6.1f} dBFS  " + "  ".join(f"{label} {score:.2f}" for label, score in scores)
    else:
        outcome = "heard" if kind == "detection" else f"{message['outcome']} of {message['threshold']:.2f}"
        text = f"{message['label']:12} {bar(message['score'], 20)} {message['score']:.2f}  {outcome}"
    return f"{here}  {text}\n".encode("utf-8", "backslashreplace")


def _words(text: str) -> list[str]:
    words = [word.strip() for word in text.split(",")]
    if not all(words):
        raise UsageError("--only", f"{text!r} has an empty word in it", "Give words with a comma between them")
    return words


def _command(text: str) -> list[str]:
    try:
        command = shlex.split(text)
    except ValueError as error:
        raise UsageError("--exec", f"{text!r} cannot be split into words: {error}") from error
    if not command:
        raise UsageError("--exec", "the command is empty")
    if (why := fault(command[0])) is not None:
        raise UsageError("--exec", *why)
    if not any(word in ("-c", "-lc") for word in command) and (odd := next(filter(_SHELL.search, command), None)):
        log.warning("--exec: no shell reads %r; for one write: --exec 'sh -c \"...\"'", odd)
    return command


def _remark(message: Mapping[str, Any]) -> None:
    """Logs messages that are not events but concern this reader."""
    if message.get("type") == "dropped":
        log.warning("%s lines were lost: this reader is too slow", message.get("count"))
    elif message.get("type") == "error":
        log.warning("kwsd says: %s", message.get("message"))


def _print(line: bytes) -> bool:
    """Writes to standard output at once; False if it has no reader any more."""
    while line:
        try:
            line = line[os.write(1, line) :]
        except BrokenPipeError:
            return False
        except BlockingIOError:  # another process made this pipe non-blocking
            select.select([], [1], [])
        except OSError as error:
            raise OutputError("standard output", os.strerror(error.errno or errno.EIO)) from error
    return True


def _execute(command: Sequence[str], message: Mapping[str, Any], line: bytes) -> None:
    """Runs the command to its end; an interrupt ends it too."""
    child = None
    try:
        with _signals_put_off():
            child = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment(message))
        child.communicate(line)
    except OSError as error:
        log.warning("%s cannot be run: %s", command[0], error.strerror)
        return
    except ValueError as error:  # a NUL, from a server that is not kwsd
        log.warning("%s cannot be run: %s", command[0], error)
        return
    except KeyboardInterrupt:
        if child is not None:
            child.terminate()
        raise
    if child.returncode:
        log.warning("%s ended with %d", command[0], child.returncode)


@contextlib.contextmanager
def _signals_put_off() -> Iterator[None]:
    """Defers signals to its end: one that came while a child is being started would leave it running unnoticed."""
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _frame: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in came:
            signal.raise_signal(late)
