"""The virtual microphone of ``virtual_mic.sh``, for tests written in Python."""

import os
import shlex
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).with_name("virtual_mic.sh")


def missing() -> str:
    """The Debian packages that are not installed, in words; empty when all are."""
    done = subprocess.run([SCRIPT, "missing"], env={**os.environ, "KWSD_MIC_DIR": "/"}, capture_output=True, text=True)
    return ", ".join(done.stdout.split("\n")[:-1])


class VirtualMicrophone:
    """One microphone; its commands are those of the script: ``microphone("freeze")``.

    Args:
        folder: where the server keeps its things; the path must be short.
        rate_hz: the microphone's rate.

    Attributes:
        env: the environment in which PortAudio finds it.
    """

    def __init__(self, folder: Path, rate_hz: int = 16_000) -> None:
        self._env = {**os.environ, "KWSD_MIC_DIR": str(folder), "KWSD_MIC_RATE": str(rate_hz)}
        self.env = dict(os.environ)
        for line in self("env").splitlines():
            name, _, value = shlex.split(line)[1].partition("=")
            self.env[name] = value

    def __call__(self, command: str, *arguments: str | Path) -> str:
        done = subprocess.run(
            [SCRIPT, command, *map(str, arguments)], env=self._env, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, f"virtual_mic.sh {command}: {done.stderr}"
        return done.stdout

    def play(self, path: Path) -> "subprocess.Popen[bytes]":
        """Begins to play a WAV; wait() for the end."""
        return subprocess.Popen([SCRIPT, "play", str(path)], env=self._env, stdin=subprocess.DEVNULL)
