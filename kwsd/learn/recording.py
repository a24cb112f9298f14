"""Takes from a microphone: prompted for one after another, and again if one is unusable."""

import sys
import time
from typing import TYPE_CHECKING

import numpy as np

from kwsd.audio import takes
from kwsd.audio.signal import Signal
from kwsd.audio.source import Block, Gap
from kwsd.errors import UnavailableError

if TYPE_CHECKING:
    from kwsd.audio.microphone.microphone import Microphone

REDRAW_S = 0.1
DEAF_S = 8.0
REJECTED_MAX = 10
FLOOR_DBFS = -70.0
BAR_COLUMNS = 30


class Listener:
    """Takes stretches of samples from a microphone, showing their level.

    Args:
        microphone: used only here; its owner must not call it meanwhile.
        on_terminal: draw the level in place; else show nothing.
    """

    def __init__(self, microphone: "Microphone", *, on_terminal: bool) -> None:
        self._microphone, self._on_terminal = microphone, on_terminal

    def hear(self, seconds: float, prompt: str) -> Signal:
        """The next ``seconds`` without a gap, (samples,). UnavailableError if the microphone delivers nothing."""
        missing = round(seconds * self._microphone.rate_hz)
        blocks: list[Signal] = []
        deadline_s = time.monotonic() + seconds + DEAF_S
        drawn_s = 0.0
        while sum(map(len, blocks)) < missing:
            now_s = time.monotonic()
            if now_s > deadline_s:
                reason = self._microphone.state.reason or "no samples come"
                raise UnavailableError(self._microphone.name, reason, "Run kwsd doctor.")
            self._microphone.step(now_s)
            item = self._microphone.read(0.05)
            if isinstance(item, Block):
                blocks.append(item.samples.copy())
                if self._on_terminal and now_s - drawn_s > REDRAW_S:
                    drawn_s = now_s
                    print(f"\r{prompt}  {_meter(item.samples)}\x1b[K", end="", flush=True)
            elif isinstance(item, Gap):  # nothing may be joined across a gap
                blocks.clear()
        return np.concatenate(blocks)[:missing] if blocks else np.zeros(0, np.float32)


class Recorder:
    """Prompts for takes.

    Args:
        listener: where samples come from.
        clip_samples: the length of a take.
        pause_s: silence before each prompt.
        take_s: how long it listens after the prompt.
        on_terminal: draw prompts in place; else a line for each.
    """

    def __init__(
        self, listener: Listener, clip_samples: int, *, pause_s: float, take_s: float, on_terminal: bool
    ) -> None:
        self._listener, self._clip_samples, self._on_terminal = listener, clip_samples, on_terminal
        self._pause_s, self._take_s = pause_s, take_s
        self._rejected = 0

    def take(self, word: str, title: str) -> Signal:
        """The loudest clip of a usable take. UnavailableError after ten unusable ones in a row."""
        while True:
            self._listener.hear(self._pause_s, f"{title}: wait ...")
            self._ask(f"{title}: say {word!r} now")
            take = self._listener.hear(self._take_s, f"{title}: say {word!r} now")
            self._ask("")
            why = takes.fault(take, self._clip_samples)
            if why is None:
                self._rejected = 0
                return takes.loudest(take, self._clip_samples)
            print(f"again, please: {why}", flush=True)
            self._rejected += 1
            if self._rejected == REJECTED_MAX:
                raise UnavailableError("microphone", f"{REJECTED_MAX} takes in a row were unusable; {why}")

    def _ask(self, line: str) -> None:
        """A line of its own without a terminal; with one, the meter's line is overwritten."""
        if self._on_terminal:
            print(f"\r{line}\x1b[K", end="", flush=True)
        elif line:
            print(line, flush=True)


def _meter(samples: Signal) -> str:
    level_dbfs = 20 * float(np.log10(max(float(np.sqrt(np.mean(np.square(samples)))), 1e-6)))
    clipped = "  CLIPPED" if np.abs(samples).max() >= takes.FULL_SCALE else ""
    filled = round(max(0.0, min(1.0, 1 - level_dbfs / FLOOR_DBFS)) * BAR_COLUMNS)
    return f"{'#' * filled}{'.' * (BAR_COLUMNS - filled)} {level_dbfs:6.1f} dBFS{clipped}"


def on_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()
