"""A model too slow for the machine: kwsd looks less often, says so, and comes back."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import soundfile

from kwsd.client import Connection
from tests.helpers.kwsd_process import DEMO, ROOT

# The network takes longer than the stride while the file is there.
SLOWED = """
import pathlib, sys, time
import kwsd.model
from kwsd.cli.main import main

quick, slow = kwsd.model.Model.scores, pathlib.Path(sys.argv.pop(1))

def scores(self, features):
    if slow.exists():
        time.sleep(0.06)
    return quick(self, features)

kwsd.model.Model.scores = scores
sys.exit(main())
"""


def test_the_stride_widens_while_scoring_cannot_keep_up_and_comes_back(tmp_path: Path) -> None:
    """`degraded` with the reason in words, the stride in the snapshot, then `listening` and the stride wanted."""
    slow, path, recording = tmp_path / "slow", tmp_path / "kwsd.sock", tmp_path / "long.wav"
    signal, rate_hz = soundfile.read(DEMO, dtype="int16")
    soundfile.write(recording, np.tile(signal, 4), rate_hz)
    slow.touch()
    arguments = ["--source", recording, "--realtime", "--clip-stride-ms", "40", "--socket", path]
    daemon = subprocess.Popen(
        [sys.executable, "-c", SLOWED, slow, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        log: list[str] = []
        assert daemon.stderr is not None
        reader = threading.Thread(target=log.extend, args=(daemon.stderr,), daemon=True)
        reader.start()
        with connected(path) as client:
            degraded = wait_for_state(client, "degraded")
            assert "scoring cannot keep up" in degraded["reason"], degraded
            client.send({"get": "status"})
            stride_ms = wait_for(client, "snapshot")["stride_ms"]
            assert 40 < stride_ms <= 200 and stride_ms % 20 == 0
            slow.unlink()
            listening = wait_for_state(client, "listening")
            assert listening["since"] > degraded["since"]
            client.send({"get": "status"})
            snapshot = wait_for(client, "snapshot")
            assert snapshot["stride_ms"] == 40 and snapshot["samples_lost"] == 0
    finally:
        daemon.terminate()
        code = daemon.wait(10)
        reader.join(10)
        daemon.stderr.close()
    assert code == 0, log
    assert any("degraded: scoring cannot keep up" in line for line in log), log


def connected(path: Path) -> Connection:
    """The daemon's socket, as soon as it is there."""
    deadline_s = time.monotonic() + 30
    while True:
        try:
            return Connection(str(path))
        except OSError:
            assert time.monotonic() < deadline_s
            time.sleep(0.05)


def wait_for(client: Connection, kind: str) -> dict:
    """The next message of that type."""
    while True:
        message = client.receive(60)
        assert message is not None
        if message["type"] == kind:
            return message


def wait_for_state(client: Connection, state: str) -> dict:
    while (message := wait_for(client, "status"))["state"] != state:
        pass
    return message
