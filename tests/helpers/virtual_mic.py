"""tests/virtual_mic.sh from Python: a microphone without a sound card."""

import contextlib
import os
import shlex
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[1] / "virtual_mic.sh"


class VirtualMic:
    """A private sound server whose null sink's monitor is the microphone.

    Args:
        folder: where its socket and files live; a short path.

    Attributes:
        env: what leads ALSA, hence PortAudio, to it.
    """

    def __init__(self, folder: Path) -> None:
        self._env = {**os.environ, "KWSD_MIC_DIR": str(folder)}
        self.do("start")
        words = shlex.split(self.do("env"))
        self.env = dict(word.split("=", 1) for word in words if "=" in word)

    def do(self, *command: str | Path, limit_s: float = 60) -> str:
        """Runs a command of the script; its output."""
        done = subprocess.run(
            [SCRIPT, *command], env=self._env, capture_output=True, text=True, timeout=limit_s, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, f"virtual_mic.sh {command}: {done.stdout}{done.stderr}"
        return done.stdout

    def pactl(self, *arguments: str) -> list[list[str]]:
        """What pactl prints, as lines of columns."""
        done = subprocess.run(
            ["pactl", *arguments], env={**os.environ, **self.env}, capture_output=True, text=True, timeout=10
        )
        assert done.returncode == 0, f"pactl {arguments}: {done.stderr}"
        return [line.split("\t") for line in done.stdout.splitlines()]

    def sources_in_use(self) -> set[str]:
        """Names of the sources that somebody records from."""
        names = {row[0]: row[1] for row in self.pactl("list", "short", "sources")}
        return {names[row[1]] for row in self.pactl("list", "short", "source-outputs")}

    def play(self, path: Path) -> None:
        """Plays a WAV in real time; returns at its end."""
        self.do("play", path)

    @contextlib.contextmanager
    def playing(self, path: Path) -> Iterator[None]:
        """Plays a WAV again and again meanwhile; where the server went away, as soon as it is back."""
        stop = threading.Event()

        def play() -> None:
            while not stop.is_set():
                command = [SCRIPT, "play", str(path)]
                done = subprocess.run(command, env=self._env, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                if done.returncode:
                    stop.wait(0.2)

        player = threading.Thread(target=play)
        player.start()
        try:
            yield
        finally:
            stop.set()
            player.join()


def missing() -> str:
    """What is not installed, in words; empty when nothing is."""
    done = subprocess.run(
        [SCRIPT, "missing"], env={**os.environ, "KWSD_MIC_DIR": "/tmp"}, capture_output=True, text=True
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr
