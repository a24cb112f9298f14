"""Endurance: does kwsd still hear after a day, in the same memory, and do all sinks get every event?

    make soak        (or: python tools/reliability/soak.py [--hours 24] [--minutes 60])

Five runs, told as one JSON line; a verdict on standard error; code 1 when something broke.

recording   24 hours of audio through standard input, as fast as the machine allows: the demo and noise in turn, always
            the same, so that every round must be heard alike.
microphone  60 minutes (SOAK_MINUTES) in real time from a virtual microphone, with every sink on: standard output,
            socket (readers, one that never reads, one that sends garbage, some that vanish) and a webhook with a spool
            whose server answers slowly, with errors, twice, or not at all. Every sink must get the same events.
busy        10 minutes of the same with every core busy: audio heard and audio counted as lost must make up the time.
plug        60 times a loose plug (away and back four times within two seconds): the same process hears within 3 s.
house       20 kwsd at one MQTT broker, which is away for a minute; one of them is killed. No event may be lost.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.helpers.busy import all_cores_busy  # noqa: E402
from tests.helpers.virtual_mic import VirtualMic, missing  # noqa: E402
from tools.reliability.daemon import Daemon, connected, faults, growth, snapshot_of  # noqa: E402
from tools.reliability.house import house  # noqa: E402
from tools.reliability.loose_plug import loose_plug  # noqa: E402
from tools.reliability.peers import Hook, Readers  # noqa: E402

DEMO = ROOT / "examples" / "demo.flac"
ROUND_S = 60  # demo, then noise; a multiple of any clip stride
SAMPLE_EVERY_S = 2.0


# A day of audio.


def one_round() -> bytes:
    """The demo and then noise, a minute in all, as 16-bit samples at 16 kHz."""
    demo, rate_hz = soundfile.read(DEMO, dtype="int16")
    noise = np.random.default_rng(6).normal(0, 300, ROUND_S * rate_hz - len(demo)).astype("<i2")
    return demo.astype("<i2").tobytes() + noise.tobytes()


def recording(hours: float) -> dict[str, Any]:
    """Hours of audio, faster than they last."""
    rounds = max(20, round(hours * 3600 / ROUND_S))
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/kwsd.sock"
        began_s = time.monotonic()
        daemon = Daemon("--source", "-", "--raw-rate", "16000", "--socket", path, stdin=subprocess.PIPE)
        pipe, data = daemon.process.stdin, one_round()
        assert pipe is not None
        broken_pipe = False
        try:
            for count in range(rounds):
                pipe.write(data)
                if count % max(1, rounds // 400) == 0:
                    daemon.sample()
                if count % max(1, rounds // 10) == 0:
                    print(f"soak: {count * ROUND_S / 3600:.1f} h of audio", file=sys.stderr, flush=True)
            pipe.close()
        except BrokenPipeError:
            broken_pipe = True
        code = daemon.end()
    heard = words_by_round(daemon.events, rounds)
    unlike = sum(words != heard[1] for words in heard[1:])
    return {
        "audio_h": round(rounds * ROUND_S / 3600, 2),
        "took_s": round(time.monotonic() - began_s, 1),
        "rounds": rounds,
        "detections": len(daemon.events),
        "rounds_heard_otherwise": unlike,
        **daemon.holdings(),
        "faults": faults(
            (code != 0 or broken_pipe, f"it ended with {code}: {daemon.log[-1:]}"),
            (not heard[1], "no word was heard"),
            (unlike > 0, f"{unlike} rounds were not heard as the second one was"),
            *growth(daemon),
        ),
    }


def words_by_round(events: list[dict[str, Any]], rounds: int) -> list[list[tuple[str, int]]]:
    """Word and place of every event, by the round in which it was heard."""
    heard: list[list[tuple[str, int]]] = [[] for _ in range(rounds + 1)]
    for event in events:
        number, place_ms = divmod(event["audio_ms"], ROUND_S * 1000)
        heard[number].append((event["label"], place_ms))
    return heard[:rounds]


# An hour in real time.


def microphone(minutes: float, *, busy: bool = False) -> dict[str, Any]:
    """Minutes in real time with every sink on; with every core ``busy`` samples may be lost, if they are counted."""
    if absent := missing():
        raise SystemExit(f"soak: the virtual microphone needs {absent}")
    with tempfile.TemporaryDirectory(prefix="kwsd-soak-") as name:
        folder = Path(name)
        demo, rate_hz = soundfile.read(DEMO, dtype="int16")
        soundfile.write(folder / "demo.wav", demo, rate_hz)
        hook, virtual = Hook(), VirtualMic(folder / "mic")
        config = folder / "kwsd.yaml"
        config.write_text(
            f"sinks:\n  - type: stdout\n  - type: socket\n    path: {folder}/kwsd.sock\n"
            f"  - type: webhook\n    url: {hook.url}\n    spool: {folder}/hook.db\n"
            "    timeout_s: 1\n    max_age_s: 600\n"
        )
        daemon = Daemon("--config", str(config), env=virtual.env)
        try:
            with all_cores_busy() if busy else contextlib.nullcontext():
                return _observe(daemon, virtual, hook, folder, minutes, may_lose=busy)
        finally:
            daemon.end(signal.SIGKILL if daemon.alive else None)
            virtual.do("stop")


def _observe(
    daemon: Daemon, virtual: VirtualMic, hook: Hook, folder: Path, minutes: float, *, may_lose: bool
) -> dict[str, Any]:
    path = f"{folder}/kwsd.sock"
    connection = connected(daemon, path)
    readers = Readers(path, lambda: daemon.alive)
    while snapshot_of(connection)["audio_s"] == 0:
        time.sleep(0.05)
    first, cpu_s, began_s = snapshot_of(connection), daemon.cpu_s, time.monotonic()
    end_s, next_change_s, refusals = began_s + 60 * minutes, began_s + 120, 0
    with virtual.playing(folder / "demo.wav"):
        while (now_s := time.monotonic()) < end_s and daemon.alive:
            daemon.sample()
            if now_s >= next_change_s:  # for twenty seconds of every four minutes nobody is there
                hook.down()
                time.sleep(min(20, max(0, end_s - now_s)))
                hook.up()
                refusals, next_change_s = refusals + 1, now_s + 240
            time.sleep(SAMPLE_EVERY_S)
        last, took_s, cpu_s = snapshot_of(connection), time.monotonic() - began_s, daemon.cpu_s - cpu_s
    give_up_s = time.monotonic() + 120
    while any(sink["queued"] for name, sink in snapshot_of(connection)["sinks"].items() if name == "webhook"):
        if time.monotonic() > give_up_s:
            break
        time.sleep(0.2)
    sinks = snapshot_of(connection)["sinks"]
    code = daemon.end(signal.SIGTERM)
    connection.close()
    readers.end()
    hook.down()
    ids = [event["id"] for event in daemon.events]
    lost = {f"socket reader {n}": len(ids) - len(got) for n, got in enumerate(readers.got, 1)}
    posted = list(dict.fromkeys(hook.taken))
    lost["webhook"] = len(ids) - len(posted)
    audio_s = last["audio_s"] - first["audio_s"]
    accounted_s = audio_s + (last["samples_lost"] - first["samples_lost"]) / 16_000
    return {
        "minutes": round(took_s / 60, 2),
        "audio_s_per_s": round(audio_s / took_s, 5),
        "accounted_s_per_s": round(accounted_s / took_s, 5),
        "samples_lost": last["samples_lost"],
        "overruns": last["overruns"],
        "detections": len(ids),
        "events_lost": sum(lost.values()),
        "webhook_posts": sum(hook.answers.values()),
        "webhook_answers": dict(hook.answers),
        "webhook_times_down": refusals,
        "webhook_retried": sinks["webhook"]["retried"],
        "webhook_twice": len(hook.taken) - len(posted),
        "socket_dropped_for_the_deaf": sinks["socket"]["dropped"],
        "socket_misbehaved": readers.misbehaved,
        "states": dict(readers.states),
        "cpu_s_per_audio_s": round(cpu_s / audio_s, 4),
        **daemon.holdings(),
        "faults": faults(
            (code != 0, f"it ended with {code}: {daemon.log[-1:]}"),
            (not ids, "no word was heard"),
            (not may_lose and (last["samples_lost"] > 0 or last["overruns"] > 0), "samples were lost"),
            (abs(accounted_s - took_s) > 0.5 + 0.002 * took_s, f"{took_s - accounted_s:.1f} s are not accounted for"),
            *((got != ids, f"socket reader {n} got other events") for n, got in enumerate(readers.got, 1)),
            (posted != ids, "the webhook got other events, or in another order"),
            (readers.dropped > 0, "a subscriber that reads was told of dropped lines"),
            *growth(daemon),
        ),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=24, help="of audio from a recording; 0 for none (default: 24)")
    parser.add_argument(
        "--minutes",
        type=float,
        default=float(os.environ.get("SOAK_MINUTES", "60")),
        help="in real time; 0 for none (default: SOAK_MINUTES or 60)",
    )
    parser.add_argument("--busy-minutes", type=float, default=10, help="with every core busy (default: 10)")
    parser.add_argument("--flaps", type=int, default=60, help="of a loose plug (default: 60)")
    parser.add_argument("--daemons", type=int, default=20, help="at one MQTT broker; 0 for none (default: 20)")
    parser.add_argument("--away-s", type=float, default=60, help="how long that broker is away (default: 60 s)")
    arguments = parser.parse_args()
    runs: dict[str, Any] = {}
    if arguments.hours > 0:
        runs["recording"] = recording(arguments.hours)
    if arguments.minutes > 0:
        runs["microphone"] = microphone(arguments.minutes)
    if arguments.busy_minutes > 0:
        runs["busy"] = microphone(arguments.busy_minutes, busy=True)
    if arguments.flaps > 0:
        runs["plug"] = loose_plug(arguments.flaps)
    if arguments.daemons > 0:
        runs["house"] = house(arguments.daemons, arguments.away_s)
    print(json.dumps(runs), flush=True)
    broken = [f"{name}: {what}" for name, run in runs.items() for what in run["faults"]]
    print("soak: " + ("; ".join(broken) if broken else "nothing broke"), file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
