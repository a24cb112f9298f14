"""What commands that talk to a running kwsd share."""

import argparse
import re

from kwsd.client import Message, ask
from kwsd.daemon.control import FOR_MAX_S

_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)?")
_SECONDS = {None: 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def add_socket_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--socket",
        metavar="PATH",
        help="socket of the running kwsd (default: the first that answers of $RUNTIME_DIRECTORY/kwsd.sock, "
        "/run/kwsd/kwsd.sock and $XDG_RUNTIME_DIR/kwsd/kwsd.sock)",
    )


def add_for_argument(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--for",
        dest="for_s",
        type=seconds,
        metavar="TIME",
        help=f"duration from 1 s to 7 days, such as 90 (seconds), 30m, 2h or 1d (default: {default})",
    )


def seconds(text: str) -> float:
    """``90``, ``90s``, ``30m``, ``2h`` or ``1d`` in seconds, 1 to FOR_MAX_S."""
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise argparse.ArgumentTypeError(f"got {text!r}; allowed: a number of seconds, or one with s, m, h or d")
    if not 1 <= (for_s := float(found[1]) * _SECONDS[found[2]]) <= FOR_MAX_S:
        raise argparse.ArgumentTypeError(f"got {text!r}; allowed: 1 s to {FOR_MAX_S // _SECONDS['d']} days")
    return for_s


def request(args: argparse.Namespace, verb: str, **wishes: object) -> int:
    """Sends a request to a running kwsd; returns the exit code."""
    given: Message = {name: value for name, value in wishes.items() if value is not None}
    ask(args.socket, {verb: given})
    return 0
