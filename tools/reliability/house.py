"""A house of many kwsd at one MQTT broker, which goes away and comes back; one of them is killed."""

import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.helpers.broker import Broker, Watcher, broker, missing, wait_until, watching  # noqa: E402
from tools.reliability.daemon import Daemon, faults  # noqa: E402

DEMO = ROOT / "examples" / "demo.flac"
MAX_AGE_S = 600  # nothing gets too old while the broker is away
HEARD_S = 20.0  # with the broker there, before it goes and after it came back
LIMIT_S = 120.0
WILL_LIMIT_S = 5.0


def house(daemons: int, away_s: float) -> dict[str, Any]:
    """So many whole kwsd, each with words from a file at the clock's pace; their broker is away for ``away_s``.

    Every event of every one has to reach a subscriber whose session outlives the broker's absence, in order. A kwsd
    that is killed has to be offline by its will; those that end by SIGTERM say so themselves.
    """
    if absent := missing():
        raise SystemExit(f"soak: the house needs {absent}")
    with tempfile.TemporaryDirectory(prefix="kwsd-house-") as name:
        folder = Path(name)
        speech = _speech(folder, 3 * HEARD_S + away_s + LIMIT_S)
        kept = ("allow_anonymous true", "persistence true", f"persistence_location {folder}/", "max_queued_messages 0")
        with broker(folder, *kept) as served, watching(served.port, session="soak") as watcher:
            rooms = {f"room{n:02}": _start(folder, served, f"room{n:02}", speech) for n in range(daemons)}
            try:
                return _observe(rooms, served, watcher, away_s)
            finally:
                for daemon in rooms.values():
                    if daemon.alive:
                        daemon.end(signal.SIGKILL)


def _speech(folder: Path, seconds: float) -> Path:
    """The demo, again and again."""
    demo, rate_hz = soundfile.read(DEMO, dtype="int16")
    path = folder / "speech.wav"
    soundfile.write(path, np.resize(demo, round(seconds * rate_hz)), rate_hz)
    return path


def _start(folder: Path, served: Broker, room: str, speech: Path) -> Daemon:
    path = folder / f"{room}.yaml"
    mqtt = f"{{type: mqtt, host: 127.0.0.1, port: {served.port}, node: {room}, max_age_s: {MAX_AGE_S}}}"
    path.write_text(f"sinks: [{{type: stdout}}, {mqtt}]\n")
    return Daemon("-q", "--config", str(path), "--source", str(speech), "--realtime")


def _observe(rooms: dict[str, Daemon], served: Broker, watcher: Watcher, away_s: float) -> dict[str, Any]:
    def online() -> bool:
        return all(watcher.last(f"kwsd/{room}/availability") == b"online" for room in rooms)

    def events(room: str) -> list[str]:
        return [message.json["id"] for message in watcher.of(f"kwsd/{room}/event")]

    _took(lambda: online() and all(map(events, rooms)), "all are online and were heard")
    _listen(rooms, HEARD_S)
    served.stop()
    _listen(rooms, away_s)
    before = len(watcher.messages)
    served.start()
    back_s = _took(lambda: _seen_online(watcher, before) >= set(rooms), "all are back")
    _listen(rooms, HEARD_S)

    first, *others = rooms
    rooms[first].process.kill()
    will_s = _took(lambda: watcher.last(f"kwsd/{first}/availability") == b"offline", "the will")
    codes = {rooms[room].end(signal.SIGTERM) for room in others}
    _took(lambda: all(watcher.last(f"kwsd/{room}/availability") == b"offline" for room in rooms), "all are offline")
    rooms[first].end()
    made = {room: [event["id"] for event in rooms[room].events] for room in rooms}
    # What the killed one had printed and not published yet died with it.
    lost = sum(len(set(made[room]) - set(events(room))) for room in others)
    twice = sum(sum(Counter(events(room)).values()) - len(set(events(room))) for room in rooms)
    disordered = [room for room in others if list(dict.fromkeys(events(room))) != made[room]]
    return {
        "daemons": len(rooms),
        "broker_away_s": away_s,
        "detections": sum(map(len, made.values())),
        "events_lost": lost,
        "events_twice": twice,
        "online_again_after_s": round(back_s, 1),
        "offline_after_kill_s": round(will_s, 2),
        "rss_max_mb": round(max(max(daemon.rss_mb) for daemon in rooms.values()), 1),
        "threads_max": max(max(daemon.threads) for daemon in rooms.values()),
        "faults": faults(
            (codes != {0}, f"they ended with {sorted(codes)}"),
            (lost > 0, f"{lost} events never came"),
            (bool(disordered), f"out of order: {', '.join(disordered)}"),
            (will_s > WILL_LIMIT_S, f"a killed one was offline only after {will_s:.1f} s"),
        ),
    }


def _seen_online(watcher: Watcher, since: int) -> set[str]:
    """The rooms that said that they are online after so many messages."""
    new = watcher.messages[since:]
    return {
        each.topic.split("/")[1] for each in new if each.topic.endswith("/availability") and each.payload == b"online"
    }


def _listen(rooms: dict[str, Daemon], seconds: float) -> None:
    end_s = time.monotonic() + seconds
    while (left_s := end_s - time.monotonic()) > 0:
        for daemon in rooms.values():
            daemon.sample()
        time.sleep(min(left_s, 1.0))


def _took(condition: Callable[[], object], what: str) -> float:
    began_s = time.monotonic()
    wait_until(condition, what, LIMIT_S)
    return time.monotonic() - began_s
