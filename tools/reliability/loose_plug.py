"""A loose plug, again and again: the microphone goes and comes back four times within two seconds. See `soak.py`."""

import random
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.helpers.virtual_mic import VirtualMic, missing
from tools.reliability.daemon import Daemon, connected, faults, snapshot_of

TIMES = 4
WITHIN_S = 2.0
PROMISED_S = 3.0
LIMIT_S = 30.0
HEARD_S = 0.3  # of audio, before it counts as heard


def loose_plug(flaps: int) -> dict[str, Any]:
    """So many flaps of a whole daemon's microphone, at moments drawn with a fixed seed."""
    if absent := missing():
        raise SystemExit(f"soak: the virtual microphone needs {absent}")
    with tempfile.TemporaryDirectory(prefix="kwsd-plug-") as name:
        virtual = VirtualMic(Path(name) / "mic")
        daemon = Daemon("--no-stdout", "--socket", f"{name}/kwsd.sock", env=virtual.env)
        try:
            return _observe(daemon, virtual, f"{name}/kwsd.sock", flaps)
        finally:
            daemon.end(signal.SIGKILL if daemon.alive else None)
            virtual.do("stop")


def _observe(daemon: Daemon, virtual: VirtualMic, path: str, flaps: int) -> dict[str, Any]:
    draw = random.Random(16)
    connection = connected(daemon, path)
    heard_after_s, began_s = [], time.monotonic()
    while daemon.alive and len(heard_after_s) < flaps:
        _wait_for_audio(connection, HEARD_S)
        _flap(virtual, draw)
        heard_after_s.append(_wait_for_audio(connection, HEARD_S))
        daemon.sample()
        if len(heard_after_s) % 10 == 0:
            print(f"soak: {len(heard_after_s)} flaps, last heard after {heard_after_s[-1]:.1f} s", file=sys.stderr)
    last, took_s = snapshot_of(connection), time.monotonic() - began_s
    connection.close()
    code = daemon.end(signal.SIGTERM)
    log_bytes = sum(len(line) + 1 for line in daemon.log)
    return {
        "flaps": len(heard_after_s),
        "took_s": round(took_s, 1),
        "heard_after_s_median": round(statistics.median(heard_after_s), 2),
        "heard_after_s_max": round(max(heard_after_s), 2),
        "deaf": sum(seconds > PROMISED_S for seconds in heard_after_s),
        "log_bytes": log_bytes,
        "cpu_s_per_s": round(last["cpu_s"] / took_s, 4),
        **daemon.holdings(),
        "faults": faults(
            (code != 0, f"it ended with {code}: {daemon.log[-1:]}"),
            (max(heard_after_s) > PROMISED_S, f"deaf for {max(heard_after_s):.1f} s"),
            (log_bytes > 2000 * flaps, f"{log_bytes} bytes of log"),
            (any("Expression" in line for line in daemon.log), "what PortAudio prints is in the log"),
        ),
    }


def _flap(virtual: VirtualMic, draw: random.Random) -> None:
    """Away and back, at moments drawn within two seconds."""
    moments_s = sorted(draw.uniform(0, WITHIN_S) for _ in range(2 * TIMES))
    began_s = time.monotonic()
    for number, moment_s in enumerate(moments_s):
        time.sleep(max(0.0, began_s + moment_s - time.monotonic()))
        virtual.do("load" if number % 2 else "unload")


def _wait_for_audio(connection: Any, seconds: float) -> float:
    """How long it takes until so much audio is heard from now on."""
    began_s, before_s = time.monotonic(), snapshot_of(connection)["audio_s"]
    while (waited_s := time.monotonic() - began_s) < LIMIT_S:
        if snapshot_of(connection)["audio_s"] >= before_s + seconds:
            break
        time.sleep(0.02)
    return waited_s - seconds
