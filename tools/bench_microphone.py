"""What a microphone costs: kwsd beside a bare PortAudio callback that throws its blocks away. Part of `bench.py`.

The microphone is the virtual one of the tests, a private PulseAudio server; where that cannot be started, nothing is
measured, and the reason is told.
"""

import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "tests" / "virtual_mic.sh"
ROUNDS = 3
SETTLE_S = 3.0
ROUND_S = 8.0

CALLBACK = """
import sys, threading, numpy, sounddevice
with sounddevice.InputStream(
    samplerate=int(sys.argv[1]), blocksize=int(sys.argv[2]), channels=1, dtype="int16", callback=lambda *_: None
):
    threading.Event().wait()
"""


class Cost(NamedTuple):
    """Of a process and those that it started, a second: CPU seconds of all, of the first alone, and wake-ups."""

    cpu_s: float
    own_cpu_s: float
    wakes: float


def microphone(model: str, block_ms: float, rate_hz: int) -> dict[str, float | None]:
    """Kwsd and the bare callback in turn, the medians of some rounds; each None where they cannot be measured."""
    if (why := _why_not()) is not None:
        print(f"bench: the cost of a microphone is not measured: {why}", file=sys.stderr)
        return dict.fromkeys(figures(Cost(0, 0, 0), Cost(1, 1, 1)))
    frames = str(round(rate_hz * block_ms / 1000))
    with _virtual_microphone() as (folder, env):
        daemon = ["-m", "kwsd", "-q", "--model", model, "--no-stdout", "--socket", f"{folder}/kwsd.sock"]
        bare = ["-c", CALLBACK, str(rate_hz), frames]
        rounds = [(_cost(daemon, env), _cost(bare, env)) for _ in range(ROUNDS)]
    return figures(*(Cost(*map(statistics.median, zip(*costs, strict=True))) for costs in zip(*rounds, strict=True)))


def figures(ours: Cost, bare: Cost) -> dict[str, float]:
    """The two as keys of the line that `make bench` prints."""
    return {
        "microphone_cpu_s_per_s": round(ours.cpu_s, 5),
        "microphone_capture_cpu_s_per_s": round(ours.cpu_s - ours.own_cpu_s, 5),
        "microphone_wakes_per_s": round(ours.wakes, 1),
        "callback_cpu_s_per_s": round(bare.cpu_s, 5),
        "callback_wakes_per_s": round(bare.wakes, 1),
        "microphone_ratio": round(ours.cpu_s / bare.cpu_s, 2),
    }


def _why_not() -> str | None:
    if not Path("/proc/self/schedstat").exists():
        return "this kernel does not tell the CPU time of threads (/proc/PID/schedstat)"
    done = subprocess.run(
        [SCRIPT, "missing"], env={**os.environ, "KWSD_MIC_DIR": "/tmp"}, capture_output=True, text=True
    )
    return None if done.returncode == 0 else f"install {', '.join(done.stdout.split())}"


@contextmanager
def _virtual_microphone() -> Iterator[tuple[str, dict[str, str]]]:
    with tempfile.TemporaryDirectory(prefix="kwsd-bench-") as folder:
        env = {**os.environ, "KWSD_MIC_DIR": folder}
        subprocess.run([SCRIPT, "start"], env=env, check=True)
        try:
            exports = subprocess.run([SCRIPT, "env"], env=env, check=True, capture_output=True, text=True).stdout
            yield folder, env | dict(word.split("=", 1) for word in shlex.split(exports) if "=" in word)
        finally:
            subprocess.run([SCRIPT, "stop"], env=env, check=True)


def _cost(arguments: list[str], env: dict[str, str]) -> Cost:
    """Runs Python with these arguments for a while."""
    process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=env, stderr=subprocess.DEVNULL)
    try:
        time.sleep(SETTLE_S)
        before, began_s = _usage(process.pid), time.monotonic()
        time.sleep(ROUND_S)
        after, took_s = _usage(process.pid), time.monotonic() - began_s
    finally:
        process.kill()
        process.wait()
    if not after:
        raise SystemExit(f"bench: {shlex.join(arguments)[:60]} ended too soon")
    spent = {key: [now - then for now, then in zip(after[key], before.get(key, (0, 0)), strict=True)] for key in after}
    cpu_ns = sum(ns for ns, _ in spent.values())
    own_ns = sum(ns for (pid, _), (ns, _) in spent.items() if pid == process.pid)
    return Cost(cpu_ns / 1e9 / took_s, own_ns / 1e9 / took_s, sum(wakes for _, wakes in spent.values()) / took_s)


def _usage(pid: int) -> dict[tuple[int, str], tuple[int, int]]:
    """CPU time in nanoseconds, and how often it was woken, of each thread of a process and of its children."""
    usage = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        cpu_ns, _, turns = (task / "schedstat").read_text().split()
        usage[pid, task.name] = int(cpu_ns), int(turns)
        for child in (task / "children").read_text().split():
            usage |= _usage(int(child))
    return usage
