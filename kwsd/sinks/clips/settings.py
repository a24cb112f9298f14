"""What can be set of clips."""

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
        FilePath("a folder's path"), REQUIRED, "Where recordings are kept; made, for kwsd's user alone, if missing."
    )
    peaks: bool = key(Boolean(), False, "Whether near misses are kept too.")
    max_mb: int = key(Whole(1, 1_000_000), 100, "Beyond this the oldest recordings are deleted.", unit="MB")
    max_age_days: int = key(Whole(1, 36_500), 30, "Recordings older than this are deleted.", unit="days")
    before_ms: int = key(Whole(0, 10_000), 700, "How much is kept before the end of the word.", unit="ms")
    after_ms: int = key(Whole(0, 10_000), 300, "How much is kept after it.", unit="ms")

    def check(self) -> Iterable[tuple[str, str]]:
        from kwsd.errors import ConfigError
        from kwsd.sinks.clips.shelf import check_place

        if self.before_ms + self.after_ms < 100:
            return [("before_ms", "together with after_ms it is less than 100 ms")]
        try:
            check_place(self.folder)
        except ConfigError as error:
            return [("folder", fault) for fault in error.faults]
        return ()
