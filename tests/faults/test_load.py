"""A machine too busy, a spotter thread that stalls: no sample is lost unnoticed, and no word joined across a loss."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import soundfile

from kwsd.audio.microphone.inlet import Inlet
from kwsd.audio.microphone.reader import BlockReader
from kwsd.audio.microphone.wire import Outlet, widen
from kwsd.audio.source import Block, Gap
from kwsd.client import Connection
from kwsd.events import Detection
from kwsd.model import load
from kwsd.spotter import Spotter
from tests.helpers.busy import all_cores_busy
from tests.helpers.kwsd_process import DEMO, LIMIT_S, ROOT
from tests.helpers.virtual_mic import VirtualMic

RATE_HZ = 16_000
BLOCK = 640  # the model's stride
TWO_SECONDS = 1 << 16  # bytes of a pipe
JITTER_S = 0.15  # of what is under way between the microphone and the spotter

# kwsd, whose network waits while a file is there, and whose pipe takes two seconds.
STALLED = """
import pathlib, sys, time
import kwsd.audio.microphone.capture, kwsd.model
from kwsd.cli.main import main

quick, stalled = kwsd.model.Model.scores, pathlib.Path(sys.argv.pop(1))

def scores(self, features):
    while stalled.exists():
        time.sleep(0.01)
    return quick(self, features)

kwsd.model.Model.scores = scores
kwsd.audio.microphone.capture.PIPE_BYTES = 1 << 16
sys.exit(main())
"""


def test_a_spotter_that_stalls_hears_what_is_before_and_after_as_two_recordings() -> None:
    """A full pipe takes no further block; they are counted, and the spotter starts afresh behind them."""
    signal, _ = soundfile.read(DEMO, dtype="int16")
    blocks = [signal[at : at + BLOCK] for at in range(0, len(signal) - BLOCK + 1, BLOCK)]
    stall = range(150, 310)  # six seconds and more, of which the pipe takes two
    reading, writing = os.pipe()
    widen(writing, TWO_SECONDS)
    overruns: list[int] = []
    inlet, outlet, model = Inlet(), Outlet(writing, RATE_HZ, BLOCK, overruns.append), load("default")
    inlet.follow(reading)
    reader, spotter = BlockReader(inlet, RATE_HZ, 0.0), Spotter(model)
    heard, detections, gaps = 0, [], []
    for number, block in enumerate(blocks):
        outlet.write(block.tobytes(), overflowed=False)
        while number not in stall and (item := reader.read(0.0)) is not None:
            if isinstance(item, Gap):
                gaps.append((heard, item.lost))
                spotter.reset(item.lost)
            else:
                assert isinstance(item, Block)
                heard += len(item.samples)
                detections += spotter.push(item.samples)
    os.close(writing)
    inlet.close()
    (before, lost) = gaps[0]
    assert len(gaps) == 1 and lost == overruns[-1] * BLOCK == reader.samples_lost > 4 * RATE_HZ
    assert heard + lost == len(blocks) * BLOCK, "every sample is heard or counted"
    first, second = Spotter(model), Spotter(model)
    expected = first.push(signal[:before])
    expected += [
        Detection(word.label, word.score, word.audio_ms + (before + lost) * 1000 // RATE_HZ)
        for word in second.push(signal[before + lost : len(blocks) * BLOCK])
    ]
    assert detections == expected and len(expected) >= 8


class Observer:
    """Asks a kwsd how much it has heard and lost, and sets that against the clock."""

    def __init__(self, path: Path) -> None:
        deadline_s = time.monotonic() + LIMIT_S
        while True:
            try:
                self._connection = Connection(str(path))
                break
            except OSError:
                assert time.monotonic() < deadline_s, "kwsd does not serve its socket"
                time.sleep(0.05)
        self._connection.send({"subscribe": {"types": []}})
        self.until(lambda now: now["audio_s"] > 0.5, "it hears")
        self.first, self.first_s = self.snapshot(), time.monotonic()

    def snapshot(self) -> dict:
        self._connection.send({"get": "status"})
        while (message := self._connection.receive(LIMIT_S)) is not None:
            if message["type"] == "snapshot":
                return message
        raise AssertionError("no snapshot")

    def until(self, condition, what: str) -> dict:
        deadline_s = time.monotonic() + LIMIT_S
        while not condition(now := self.snapshot()):
            assert time.monotonic() < deadline_s, f"never: {what}; last: {now}"
            time.sleep(0.02)
        return now

    def missing_s(self, now: dict) -> float:
        """Audio that the clock says there was, and that is neither heard nor counted as lost."""
        accounted_s = now["audio_s"] - self.first["audio_s"]
        accounted_s += (now["samples_lost"] - self.first["samples_lost"]) / RATE_HZ
        return time.monotonic() - self.first_s - accounted_s

    def wait_for_balance(self) -> dict:
        """The snapshot at which audio heard and audio lost make up the time that has passed."""
        return self.until(lambda now: abs(self.missing_s(now)) < JITTER_S, "audio heard and lost make up the time")

    def close(self) -> None:
        self._connection.close()


@contextlib.contextmanager
def observed(program: list[str], path: Path, virtual: VirtualMic) -> Iterator[tuple[Observer, list[str]]]:
    """A kwsd on the virtual microphone, in which the demo is played; its observer and its log."""
    daemon = subprocess.Popen(
        [sys.executable, *program, "--no-stdout", "--socket", str(path)],
        cwd=ROOT,
        env={**os.environ, **virtual.env},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    log: list[str] = []
    reader = threading.Thread(target=lambda: log.extend(daemon.stderr), daemon=True)
    reader.start()
    signal, rate_hz = soundfile.read(DEMO, dtype="int16")
    recording = path.with_name("demo.wav")
    soundfile.write(recording, signal[: 5 * rate_hz], rate_hz)  # short, since a piece begun is played to its end
    try:
        with virtual.playing(recording), contextlib.closing(Observer(path)) as observer:
            yield observer, log
    finally:
        daemon.terminate()
        code = daemon.wait(LIMIT_S)
        reader.join(LIMIT_S)
        daemon.stderr.close()
    assert code == 0, log


def test_what_a_stalled_spotter_loses_is_counted_said_and_a_gap(microphone: VirtualMic, tmp_path: Path) -> None:
    """Heard and lost samples make up the time, before and after; the log and the snapshot say how much was lost."""
    stalled = tmp_path / "stalled"
    with observed(["-c", STALLED, str(stalled)], tmp_path / "kwsd.sock", microphone) as (observer, log):
        assert observer.wait_for_balance()["samples_lost"] == 0
        stalled.touch()
        observer.until(lambda now: now["overruns"] >= 25, "a second is lost")
        stuck = observer.until(lambda now: now["state"] == "degraded", "it is said")
        assert "scoring is stuck" in stuck["reason"]
        stalled.unlink()
        after = observer.wait_for_balance()
        assert after["samples_lost"] == after["overruns"] * BLOCK >= RATE_HZ
        strides = after["strides"]
        observer.until(lambda now: now["strides"] > strides + 25, "it scores again")
        again = observer.wait_for_balance()
        assert (again["samples_lost"], again["state"]) == (after["samples_lost"], "listening")
    (said,) = [line for line in log if "s of audio lost" in line]
    assert float(said.split()[1]) == round(after["samples_lost"] / RATE_HZ, 2)


def test_with_all_cores_busy_every_sample_is_heard_or_counted(microphone: VirtualMic, tmp_path: Path) -> None:
    """Ten seconds here; `make soak` does it for ten minutes."""
    with observed(["-m", "kwsd"], tmp_path / "kwsd.sock", microphone) as (observer, _), all_cores_busy(2):
        end_s = time.monotonic() + 10
        while time.monotonic() < end_s:
            observer.snapshot()
            time.sleep(0.5)
        assert observer.wait_for_balance()["audio_s"] > 8
