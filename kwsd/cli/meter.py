"""``kwsd meter``: level and scores, live, to see at a glance whether the microphone works."""

import argparse
import sys
import time
from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from kwsd.cli.display import Display, Moment

if TYPE_CHECKING:
    from kwsd.audio.source import Block, Source
    from kwsd.spotter import Spotter

HELP = "Shows level (dBFS) and averaged scores (0 to 1), live, until Ctrl-C."
EXAMPLE = "kwsd meter --device usb --seconds 30"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from kwsd.cli.options import add_hearing_arguments
    from kwsd.config import flag

    add_hearing_arguments(parser)
    parser.description = (
        f"{HELP}\n\nIn a bar, | marks the word's threshold and > its highest score of the last seconds. "
        "Of several models of a configuration, the first is used."
    )
    parser.add_argument(
        "--source",
        type=flag("audio", "source"),
        metavar="FILE|-|URL",
        help="instead of the microphone: a file, - for standard input, or a stream that ffmpeg reads",
    )
    parser.add_argument(
        "--socket",
        metavar="PATH",
        help="show what the kwsd that serves this socket hears, without opening the microphone",
    )
    parser.add_argument("--seconds", type=_seconds, metavar="N", help="stop after N seconds (default: never)")


def run(args: argparse.Namespace) -> int:
    display = Display(on_terminal=sys.stdout is not None and sys.stdout.isatty())
    if args.socket is not None:
        from kwsd.cli.remote_meter import RemoteMeter

        _check(args)
        RemoteMeter(args.socket, display, args.listener).run(args.seconds)
        return 0
    return _run_here(args, display)


def _check(args: argparse.Namespace) -> None:
    from kwsd.errors import UsageError

    for name in ("config", "model", "device", "channel", "gain_db", "source"):
        if getattr(args, name) is not None:
            raise UsageError(
                f"--{name.replace('_', '-')}", "the kwsd at --socket has its own", "Leave one of them out."
            )


def _run_here(args: argparse.Namespace, display: Display) -> int:
    from kwsd import core_dumps
    from kwsd.audio.open import SourceOptions, open_source
    from kwsd.cli.options import first_model, read_settings
    from kwsd.config.effective import Plan
    from kwsd.daemon.ensemble import new_spotter

    core_dumps.forbid()
    settings = read_settings(args)
    first = first_model(Plan(settings))
    audio = settings.audio if args.source is None else replace(settings.audio, source=args.source)
    spotter = new_spotter(first)
    source = open_source(audio, SourceOptions(realtime=True), first.model.sample_rate_hz, spotter.clip_stride_ms)
    meter = Meter(source, spotter, display, first.only)
    try:
        meter.run(args.seconds)
    finally:
        source.close()
    return 0


class Meter:
    """Reads a source and shows how a Spotter scores it.

    Args:
        source: a microphone or a file.
        spotter: with the settings to try.
        display: shows it.
        only: the words to show as detected; None for all.
    """

    def __init__(
        self, source: "Source", spotter: "Spotter", display: Display, only: Collection[str] | None = None
    ) -> None:
        self._source, self._spotter, self._display = source, spotter, display
        self._only = [word for word in spotter.labels if not word.startswith("_")] if only is None else only
        display.thresholds.update({word: spotter.threshold(word) for word in self._only})
        self._heard = ""
        self._power = 0.0
        self._peak = 0.0

    def run(self, seconds: float | None) -> None:
        """Runs until the source ends, or for this many seconds."""
        from kwsd.audio.source import Block, End, Gap, LiveSource

        began_s = now_s = time.monotonic()
        while seconds is None or now_s - began_s < seconds:
            item = self._source.read(0.1)
            now_s = time.monotonic()
            if isinstance(self._source, LiveSource):
                self._source.step(now_s)
            if isinstance(item, End):
                break
            if isinstance(item, Block):
                self._hear(item)
            elif isinstance(item, Gap):
                self._spotter.reset(item.lost)
            if self._display.is_due(now_s):
                self._display.show(self._moment(), now_s)
        self._display.show(self._moment(), now_s)

    def _hear(self, block: "Block") -> None:
        import numpy as np

        samples = block.samples
        self._power = float(np.dot(samples, samples)) / len(samples)
        self._peak = max(self._peak, float(np.abs(samples).max()))
        for detection in self._spotter.push(samples):
            if detection.label not in self._only:
                continue
            self._heard = f"heard: {detection.label} ({detection.score:.2f}) at {detection.audio_ms / 1000:.1f} s"

    def _moment(self) -> Moment:
        from kwsd.audio.diagnosis import dbfs

        peak_dbfs, self._peak = dbfs(self._peak), 0.0
        averages, labels = self._spotter.averages, self._spotter.labels
        scores = dict.fromkeys(labels, 0.0) if averages is None else dict(zip(labels, averages.tolist(), strict=True))
        remark = f"{self._state()}  {self._heard}".strip()
        return Moment(scores, dbfs(self._power**0.5), peak_dbfs, remark)

    def _state(self) -> str:
        from kwsd.status import State

        state = getattr(self._source, "state", None)
        return "" if state is None or state.state == State.LISTENING else f"{state.state}: {state.reason}"


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise ValueError
    return seconds


_seconds.__name__ = "positive number of seconds"  # argparse names the type in its message
