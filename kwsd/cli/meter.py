"""``kwsd meter``: level and scores, live, so that a person sees at once whether the microphone works."""

import argparse
import sys
import time
from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kwsd.audio.source import Block, Source
    from kwsd.spotter import Spotter

HELP = "Shows the level (dBFS) and the averaged score of each word (0 to 1), live, until Ctrl-C."
EXAMPLE = "kwsd meter --device usb --seconds 30"

FLOOR_DBFS = -70.0
REDRAW_S = 0.1
LINE_S = 0.5  # where no terminal is redrawn
CLEAR = "\x1b[H\x1b[2J"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from kwsd.cli.options import add_hearing_arguments
    from kwsd.config import flag

    add_hearing_arguments(parser)
    parser.add_argument(
        "--source",
        type=flag("audio", "source"),
        metavar="FILE|-|URL",
        help="a file or standard input at its own pace, or a stream that ffmpeg reads, not the microphone",
    )
    parser.add_argument("--seconds", type=_seconds, metavar="N", help="end after N seconds (default: never)")


def run(args: argparse.Namespace) -> int:
    from kwsd import core_dumps
    from kwsd.audio.open import SourceOptions, open_source
    from kwsd.cli.options import read_settings
    from kwsd.model import load
    from kwsd.spotter import Spotter

    core_dumps.forbid()
    settings = read_settings(args)
    model = load(settings.model, settings.labels, settings.frontend)
    audio = settings.audio if args.source is None else replace(settings.audio, source=args.source)
    spotter = Spotter(model, **vars(settings.recognize))
    source = open_source(audio, SourceOptions(realtime=True), model.sample_rate_hz, spotter.clip_stride_ms)
    meter = Meter(source, spotter, settings.only, on_terminal=sys.stdout is not None and sys.stdout.isatty())
    try:
        meter.run(args.seconds)
    finally:
        source.close()
    return 0


class Meter:
    """Reads a source and shows what a Spotter makes of it.

    Args:
        source: a microphone or a file.
        spotter: with the settings to be tried.
        only: the words that count; None for all.
        on_terminal: redraw bars in place; else a line twice a second.
    """

    def __init__(
        self, source: "Source", spotter: "Spotter", only: Collection[str] | None = None, *, on_terminal: bool
    ) -> None:
        self._source, self._spotter, self._on_terminal = source, spotter, on_terminal
        self._only = spotter.labels if only is None else only
        self._heard = ""
        self._power = 0.0
        self._peak = 0.0
        self._drawn, self._size = 0, (0, 0)

    def run(self, seconds: float | None) -> None:
        """Until the source ends, or for so many seconds."""
        from kwsd.audio.source import Block, Device, End, Gap

        began_s = now_s = time.monotonic()
        show_s = began_s
        while seconds is None or now_s - began_s < seconds:
            item = self._source.read(0.1)
            now_s = time.monotonic()
            if isinstance(self._source, Device):
                self._source.step(now_s)
            if isinstance(item, End):
                break
            if isinstance(item, Block):
                self._hear(item)
            elif isinstance(item, Gap):
                self._spotter.reset(item.lost)
            if now_s >= show_s:
                show_s = now_s + (REDRAW_S if self._on_terminal else LINE_S)
                self._show()
        self._show()

    def _hear(self, block: "Block") -> None:
        import numpy as np

        samples = block.samples
        self._power = float(np.dot(samples, samples)) / len(samples)
        self._peak = max(self._peak, float(np.abs(samples).max()))
        for detection in self._spotter.push(samples):
            if detection.label not in self._only:
                continue
            self._heard = f"{detection.label} ({detection.score:.2f}) at {detection.audio_ms / 1000:.1f} s"

    def _show(self) -> None:
        from kwsd.audio.diagnosis import dbfs

        level_dbfs, peak_dbfs = dbfs(self._power**0.5), dbfs(self._peak)
        self._peak = 0.0
        averages = self._spotter.averages
        labels = self._spotter.labels
        scores = dict.fromkeys(labels, 0.0) if averages is None else dict(zip(labels, averages.tolist(), strict=True))
        if self._on_terminal:
            self._redraw(level_dbfs, peak_dbfs, scores)
            return
        first = sorted(scores, key=lambda label: -scores[label])[:3]
        words = "  ".join(f"{label} {scores[label]:.2f}" for label in first)
        print(
            f"level {level_dbfs:6.1f} dBFS  peak {peak_dbfs:6.1f} dBFS  {words}  {self._state()}".rstrip(), flush=True
        )

    def _redraw(self, level_dbfs: float, peak_dbfs: float, scores: dict[str, float]) -> None:
        import shutil

        columns, lines = size = shutil.get_terminal_size()
        width = max(4, min(50, columns - 24))
        filled = 1 - max(FLOOR_DBFS, level_dbfs) / FLOOR_DBFS
        rows = [f"{'level':12} {bar(filled, width)} {level_dbfs:6.1f} dB"]
        rows += [f"{label[:12]:12} {bar(score, width)} {score:6.2f}" for label, score in best(scores, lines - 3)]
        rows.append(f"peak {peak_dbfs:.1f} dBFS  {self._state()}  {self._heard and 'heard: ' + self._heard}")
        # A terminal of another size has wrapped or moved what is there, so that the way back up is not known.
        again = f"\x1b[{self._drawn}A" if size == self._size else CLEAR
        # Each row is cut to the terminal, since a wrapped one would spoil the way back up.
        text = "".join(f"\r{row[: columns - 1]}\x1b[K\n" for row in rows)
        print((again if self._drawn else "") + text, end="", flush=True)
        self._drawn, self._size = len(rows), size

    def _state(self) -> str:
        from kwsd.status import State

        state = getattr(self._source, "state", None)
        return "" if state is None or state.state == State.LISTENING else f"{state.state}: {state.reason}"


def best(scores: dict[str, float], count: int) -> list[tuple[str, float]]:
    """All words, or where there is no room for them those with the highest scores, in the model's order."""
    shown = sorted(scores, key=lambda label: -scores[label])[: max(1, count)]
    return [(label, score) for label, score in scores.items() if label in shown]


def bar(share: float, width: int) -> str:
    """A bar of ``width`` characters, filled to ``share`` (0 to 1)."""
    filled = round(max(0.0, min(1.0, share)) * width)
    return "#" * filled + "." * (width - filled)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise ValueError
    return seconds


_seconds.__name__ = "positive number of seconds"  # argparse names the type in its message
