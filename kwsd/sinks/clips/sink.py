"""Keeps the audio around each word, as clips from which a model can learn from its mistakes."""

import io
import logging
from datetime import datetime
from typing import Self

from kwsd.audio.recent import span_ms
from kwsd.errors import ConfigError, UnavailableError
from kwsd.events import Event, PeakEvent, RecordingEvent
from kwsd.sinks.clips.settings import ClipsSettings
from kwsd.sinks.clips.shelf import Shelf
from kwsd.sinks.sink import Services, Sink

log = logging.getLogger(__name__)

TIDY_S = 3600.0  # how often an idle sink deletes recordings that are too old
QUEUE_BYTES = 16 * 2**20  # of samples at 16 kHz


class ClipsSink(Sink):
    """Writes the audio around each detection, and each near miss, as FLAC into a folder of words.

    If a file cannot be written, this is logged once, each lost recording counts as dropped, and the next one is tried
    again.
    """

    name = "clips"
    types = frozenset({"recording"})
    drain_limit_s = 10.0

    def __init__(self, settings: ClipsSettings) -> None:
        super().__init__(settings, settings.only)
        self.audio_ms = settings.before_ms, settings.after_ms
        self.keeps_recordings_in = settings.folder
        self.queue_max = max(16, QUEUE_BYTES // (32 * max(1, sum(self.audio_ms))))
        self._told = False

    @classmethod
    def create(cls, settings: ClipsSettings, _services: Services) -> Self:
        if faults := [f"sinks: clips: {key}: {text}" for key, text in settings.check()]:
            raise ConfigError(*faults)
        return cls(settings)

    def open(self) -> None:
        try:
            import soundfile  # noqa: F401 - found to be missing before anything is heard
        except OSError as error:
            raise UnavailableError("libsndfile", str(error), "Install it: apt install libsndfile1") from error
        settings = self.settings
        self._shelf = Shelf(settings.folder, settings.max_mb * 1_000_000, settings.max_age_days * 86_400.0)
        log.warning(
            "recordings are kept in %s: %g s around each word, at most %d MB and for %d days",
            settings.folder,
            (settings.before_ms + settings.after_ms) / 1000,
            settings.max_mb,
            settings.max_age_days,
        )

    def put(self, event: Event) -> None:
        if not isinstance(event, RecordingEvent) or (self.only is not None and event.of.label not in self.only):
            return
        if self.settings.peaks or not isinstance(event.of, PeakEvent):
            super().put(event)

    def run(self) -> None:
        """Writes recordings; while none come, deletes those that become too old."""
        self._tidy()
        while not self._stopping.is_set():
            with self._changed:
                came = self._changed.wait_for(lambda: self._queue or self._stopping.is_set(), TIDY_S)
            if not came:
                self._tidy()
            elif (event := self.take()) is not None:
                self.finish(self.deliver(event))

    def deliver(self, event: Event) -> bool:
        assert isinstance(event, RecordingEvent), event
        data = self._encoded(event)
        if data is None:
            return False
        try:
            path = self._shelf.keep(
                event.of.label, isinstance(event.of, PeakEvent), datetime.fromisoformat(event.of.time), data
            )
        except OSError as error:
            self._tell(error)
            return False
        log.debug("recorded %s", path)
        if self._told:
            log.info("recordings are kept again in %s", self.settings.folder)
        self._told = False
        return True

    def _encoded(self, event: RecordingEvent) -> bytes | None:
        """This sink's part of the recording, as FLAC; None if the stream had a gap there."""
        import soundfile

        span = span_ms(event.of.audio_ms, self.settings.before_ms, self.settings.after_ms)
        start, end = (max(0, ms * event.rate_hz // 1000 - event.start) for ms in span)
        if not len(samples := event.samples[start:end]):
            return None
        file = io.BytesIO()
        soundfile.write(file, samples, event.rate_hz, format="FLAC", subtype="PCM_16")
        return file.getvalue()

    def _tidy(self) -> None:
        try:
            deleted = self._shelf.tidy()
        except OSError as error:
            self._tell(error)
        else:
            if deleted:
                log.info(
                    "%d recordings in %s were too old, or too many, and are deleted", deleted, self.settings.folder
                )

    def _tell(self, error: OSError) -> None:
        if not self._told:
            folder, why = self.settings.folder, error.strerror or error
            log.warning("recordings cannot be kept in %s: %s; tried again at the next word", folder, why)
        self._told = True
