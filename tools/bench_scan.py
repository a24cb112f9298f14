"""What a scan of recordings costs, beside ``kwsd --source`` in the same run: one JSON line, and part of tools/bench.py.

    python tools/bench_scan.py [--model MODEL] [--minutes N]

CPU time is counted over all processes, and the difference of a long and a short recording taken, so that starting up
does not count.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "examples" / "demo.flac"
SHORT_S = 60


class Run(NamedTuple):
    """What a run of kwsd took."""

    cpu_s: float
    wall_s: float
    rss_mb: float


def measure(model: str, minutes: float, invoke_us: float | None = None, clip_stride_ms: float = 40) -> dict[str, Any]:
    """The keys of docs/performance.md that begin with ``scan_``.

    Args:
        minutes: of the long recording.
        invoke_us: time of the network alone.
    """
    with tempfile.TemporaryDirectory() as folder:
        long_s = SHORT_S + minutes * 60
        long, short = _recording(folder, "long.wav", long_s), _recording(folder, "short.wav", SHORT_S)
        extra_s = long_s - SHORT_S
        source = [_run("--model", model, "-q", "--source", path) for path in (long, short)]
        one = [_run("scan", "--model", model, "-q", "--jobs", "1", path) for path in (long, short)]
        two = [_run("scan", "--model", model, "-q", "--jobs", "2", path) for path in (long, short)]
    source_s, one_s = (runs[0].cpu_s - runs[1].cpu_s for runs in (source, one))
    figures = {
        "source_times_real_time": round(extra_s / source_s),
        "scan_times_real_time": round(extra_s / one_s),
        "scan_to_source_ratio": round(source_s / one_s, 2),
        "scan_two_cores_ratio": round((one[0].wall_s - one[1].wall_s) / (two[0].wall_s - two[1].wall_s), 2),
        "scan_rss_mb": round(one[0].rss_mb, 1),
    }
    if invoke_us is not None:
        figures["scan_limit_times_real_time"] = round(1000 * clip_stride_ms / invoke_us)
    return figures


def _recording(folder: str, name: str, seconds: float) -> str:
    signal, rate_hz = soundfile.read(DEMO, dtype="int16")
    path = f"{folder}/{name}"
    soundfile.write(path, np.resize(signal, int(seconds * rate_hz)), rate_hz)
    return path


def _run(*arguments: str) -> Run:
    began_s = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "kwsd", *arguments], cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, arguments
    return Run(usage.ru_utime + usage.ru_stime, time.monotonic() - began_s, usage.ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default", help="bundled model or .tflite file (default: default)")
    parser.add_argument("--minutes", type=float, default=10, help="of sound (default: 10)")
    arguments = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from kwsd.model import load

    model = load(arguments.model)
    print(json.dumps(measure(arguments.model, arguments.minutes, model.invoke_us(500))))


if __name__ == "__main__":
    main()
