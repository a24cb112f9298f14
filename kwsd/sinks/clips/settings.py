"""The settings of clips."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from kwsd.sinks.settings import SinkSettings
from kwsd.validation.keys import REQUIRED, key
from kwsd.validation.kinds import Boolean, FilePath, Whole


@dataclass(frozen=True)
class ClipsSettings(SinkSettings):
    """A sink of type ``clips``."""

    type: ClassVar[str] = "clips"
    files: ClassVar[tuple[str, ...]] = ("folder",)

    folder: str = key(
        FilePath("a folder path"), REQUIRED, "Folder of the recordings; if missing, created for kwsd's user alone."
    )
    peaks: bool = key(Boolean(), False, "Whether to keep near misses too.")
    max_mb: int = key(Whole(1, 1_000_000), 100, "Beyond this total, the oldest recordings are deleted.", unit="MB")
    max_age_days: int = key(Whole(1, 36_500), 30, "Recordings older than this are deleted.", unit="days")
    before_ms: int = key(Whole(0, 10_000), 700, "How much audio is kept before the end of the word.", unit="ms")
    after_ms: int = key(Whole(0, 10_000), 300, "How much audio is kept after it.", unit="ms")

    def check(self) -> Iterable[tuple[str, str]]:
        from kwsd.errors import ConfigError
        from kwsd.sinks.clips.shelf import check_place

        if self.before_ms + self.after_ms < 100:
            return [("before_ms", "less than 100 ms together with after_ms")]
        try:
            check_place(self.folder)
        except ConfigError as error:
            return [("folder", fault) for fault in error.faults]
        return ()
