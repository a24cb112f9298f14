"""What listening costs, as one JSON line; docs/performance.md names the keys and their units.

    make bench        (or: python tools/bench.py [--model MODEL])

Times depend on the machine, so the line ends with ``reference_us``, a fixed piece of numpy work timed in the same run,
and ``overhead_ratio``, the cost of a stride without the network in units of it.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from kwsd.model import load  # noqa: E402
from kwsd.spotter import Spotter  # noqa: E402
from tools.bench_microphone import microphone  # noqa: E402
from tools.bench_scan import measure  # noqa: E402

DEMO = ROOT / "examples" / "demo.flac"
STEADY_S = 10.0
TRIALS = 5
PACED_BLOCKS = 150


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default", help="bundled model or .tflite file (default: default)")
    model = parser.parse_args().model
    figures = {**stages(model), **process(model)}
    figures |= microphone(model, figures["clip_stride_ms"], load(model).sample_rate_hz)
    figures |= measure(model, 10, figures["invoke_us_per_stride"], figures["clip_stride_ms"])
    figures["reference_us"] = reference_us()
    figures["overhead_ratio"] = round(figures["overhead_us_per_stride"] / figures["reference_us"], 2)
    print(json.dumps(figures))


def reference_us() -> float:
    """A fixed piece of work: a real FFT of 16,384 points in double precision; the fastest of many."""
    signal = np.sin(np.arange(16384.0))
    return round(min(_timed(lambda: np.fft.rfft(signal)) for _ in range(200)), 2)


def _timed(work: Callable[[], Any]) -> float:
    began_ns = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - began_ns) / 1000


class Stopwatch:
    """Wraps a method and adds up the time spent in it."""

    def __init__(self, owner: Any, name: str) -> None:
        self.us = 0.0
        inner = getattr(owner, name)

        def timed(*arguments: Any) -> Any:
            began_ns = time.perf_counter_ns()
            try:
                return inner(*arguments)
            finally:
                self.us += (time.perf_counter_ns() - began_ns) / 1000

        setattr(owner, name, timed)


def stages(model_name: str) -> dict[str, Any]:
    """Microseconds a stride by stage, on the demo in blocks of a stride.

    Each stage's best of some runs without pause, and its median where every block comes when a microphone would bring
    it: by then the caches hold something else.
    """
    signal, rate_hz = soundfile.read(DEMO, dtype="float32")
    stride_s = Spotter(load(model_name)).clip_stride_ms / 1000
    count = round(rate_hz * stride_s)
    blocks = [signal[at : at + count] for at in range(0, len(signal) - count, count)]
    runs = [_one_run(model_name, blocks) for _ in range(TRIALS)]
    best = _parts({name: min(run[name] for run in runs) for name in runs[0]})
    paced = _parts(_one_run(model_name, blocks[:PACED_BLOCKS], pause_s=stride_s))
    return best | {f"paced_{name}": us for name, us in paced.items()}


def _parts(us: dict[str, float]) -> dict[str, float]:
    parts = {
        "frontend_us_per_stride": us["frontend"],
        "invoke_us_per_stride": us["invoke"],
        "model_overhead_us_per_stride": us["model"] - us["invoke"],
        "recogniser_us_per_stride": us["recogniser"],
        "rest_us_per_stride": us["total"] - us["frontend"] - us["model"] - us["recogniser"],
        "overhead_us_per_stride": us["total"] - us["invoke"],
    }
    return {name: round(value, 1) for name, value in parts.items()}


def _one_run(model_name: str, blocks: list[Any], pause_s: float = 0.0) -> dict[str, float]:
    model = load(model_name)
    spotter = Spotter(model)
    spotter.push(np.zeros(model.clip_samples, np.float32))  # from now on each block is a stride
    before = spotter.strides
    watches = {
        "frontend": Stopwatch(spotter._window._stream, "rows"),
        "invoke": Stopwatch(model, "_invoke"),
        "model": Stopwatch(model, "scores"),
        "recogniser": Stopwatch(spotter._recognizer, "process"),
    }
    total_us = 0.0
    for block in blocks:
        time.sleep(pause_s)
        total_us += _timed(lambda block=block: spotter.push(block))
    strides = spotter.strides - before
    return {"total": total_us / strides, **{name: each.us / strides for name, each in watches.items()}}


def process(model_name: str) -> dict[str, Any]:
    """The whole daemon, fed a recording at the pace of the clock: CPU, memory, start, delay."""
    signal, rate_hz = soundfile.read(DEMO, dtype="int16")
    with tempfile.TemporaryDirectory() as folder:
        path, recording = f"{folder}/kwsd.sock", f"{folder}/long.wav"
        soundfile.write(recording, np.tile(signal, 3), rate_hz)
        began_s = time.monotonic()
        daemon = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "kwsd",
                "-q",
                "--model",
                model_name,
                "--source",
                recording,
                "--realtime",
                "--no-stdout",
                "--socket",
                path,
            ],
            cwd=ROOT,
        )
        try:
            start_s = {}
            with _connect(path, daemon) as connection:
                reader = connection.makefile("rb")
                hello = json.loads(reader.readline())
                assert hello["type"] == "hello", hello
                first = _until(connection, reader, lambda snapshot: snapshot["audio_s"] > 0)
                start_s["listening"] = time.monotonic() - began_s
                _until(connection, reader, lambda snapshot: snapshot["strides"] > 0)
                start_s["first_score"] = time.monotonic() - began_s
                time.sleep(1)  # let what start-up costs pass by
                first = _until(connection, reader, lambda _: True)
                cpu_s, audio_s = _cpu_s(daemon.pid), first["audio_s"]
                latencies_ms = _detections(reader, STEADY_S)
                last = _until(connection, reader, lambda _: True)
                cpu_s = _cpu_s(daemon.pid) - cpu_s
        finally:
            daemon.kill()
            daemon.wait()
    return {
        "cpu_s_per_audio_s": round(cpu_s / (last["audio_s"] - audio_s), 4),
        "rss_mb": last["rss_mb"],
        "start_to_listening_s": round(start_s["listening"], 3),
        "start_to_first_score_s": round(start_s["first_score"], 3),
        "sample_to_event_ms_median": round(statistics.median(latencies_ms), 2) if latencies_ms else None,
        "sample_to_event_ms_max": max(latencies_ms, default=None),
        "clip_stride_ms": last["stride_ms"],
    }


def _connect(path: str, daemon: "subprocess.Popen[bytes]") -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(30)
    while daemon.poll() is None:
        try:
            connection.connect(path)
        except OSError:
            time.sleep(0.002)
        else:
            return connection
    raise SystemExit(f"kwsd ended with {daemon.returncode}")


def _until(connection: socket.socket, reader: Any, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Asks for the snapshot until it satisfies the condition."""
    while True:
        connection.sendall(b'{"get":"status"}\n')
        while (message := json.loads(reader.readline()))["type"] != "snapshot":
            pass
        if condition(message):
            return dict(message)
        time.sleep(0.002)


def _detections(reader: Any, seconds: float) -> list[float]:
    """The latencies of the detections that come within so many seconds."""
    latencies_ms, end_s = [], time.monotonic() + seconds
    while time.monotonic() < end_s:
        message = json.loads(reader.readline())
        if message["type"] == "detection":
            latencies_ms.append(message["latency_ms"])
    return latencies_ms


def _cpu_s(pid: int) -> float:
    """User and system time of a process and its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
