"""``kwsd status``: what a running kwsd is doing."""

import argparse
from collections.abc import Iterator
from typing import Any

from kwsd.cli.asking import add_socket_argument
from kwsd.client import Message, ask

HELP = "Shows what a running kwsd is doing. Prints its state, audio, detections and sinks."
EXAMPLE = "kwsd status"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_socket_argument(parser)
    parser.add_argument("--json", action="store_true", help="print the snapshot as one JSON line (see docs/socket.md)")
    parser.description = (
        f"{HELP}\n\nExit code 0 if it is listening (`degraded`, too) or paused, 1 if not, 69 if no kwsd answers."
    )


def run(args: argparse.Namespace) -> int:
    from kwsd.events import encode
    from kwsd.status import WELL

    snapshot = ask(args.socket, {"get": "status"}, ("snapshot",))
    if args.json:
        print(encode(snapshot))
    else:
        print("\n".join(in_words(snapshot)))
    return 0 if snapshot["state"] in WELL else 1


def in_words(snapshot: Message) -> Iterator[str]:
    """The snapshot as readable lines."""
    until = snapshot.get("paused_until")
    reason = f"until {_local(until)}" if until and snapshot["state"] == "paused" else snapshot["reason"]
    yield f"{snapshot['state']}: {reason}, since {_local(snapshot['since'])}"
    yield f"model {snapshot['model']} on {snapshot['device']}"
    yield (
        f"up {_duration(snapshot['uptime_s'])}, heard {_duration(snapshot['audio_s'])} of audio, "
        f"{snapshot['detections']} words; {snapshot['samples_lost']} samples lost"
    )
    listeners = snapshot.get("listeners", {})
    for name, each in listeners.items() if len(listeners) > 1 else ():
        models = ", ".join(each["models"])
        yield f"{name}: {each['state']}: {each['reason']}; {models} on {each['device']}"
    for label, armed in snapshot.get("armed", {}).items():
        until = f" until {_local(armed['until'])}" if armed["until"] else ""
        yield f"armed: {label}{until}, threshold {armed['threshold']:g}"
    for folder in snapshot.get("recordings", ()):
        yield f"recordings are kept in {folder}"
    for name, counts in snapshot["sinks"].items():
        yield f"{name}: {_counts(counts)}"
    yield f"CPU {_duration(snapshot['cpu_s'])}, memory {snapshot['rss_mb']:.0f} MB, {snapshot['clients']} clients"


def _counts(counts: dict[str, Any]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.items())


def _local(moment: str) -> str:
    """An RFC 3339 time in this machine's time zone."""
    from datetime import datetime

    return f"{datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M:%S}"


def _duration(seconds: float) -> str:
    """``2 d 3 h``, ``3 h 20 min``, ``20 min 5 s``, ``5.2 s``."""
    units = (("d", 86_400), ("h", 3600), ("min", 60))
    for (unit, size), (smaller, part) in zip(units, (*units[1:], ("s", 1)), strict=True):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} {seconds % size // part:.0f} {smaller}"
    return f"{seconds:.1f} s"
