"""Whoever does the work: what a pool is to a scan."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(eq=False)
class Job:
    """A call of one of the functions of `kwsd.scan.work`.

    Attributes:
        address: the recording, for messages.
        losses: how often whoever did it died.
    """

    address: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    losses: int = 0


LOSSES_MAX = 2
"""A recording that takes so many workers down with it is given up."""


class Lost:
    """Nobody has done a job: each who tried has died."""


class Pool(Protocol):
    """Does jobs, in any order. One thread uses it."""

    @property
    def capacity(self) -> int:
        """How many jobs keep everybody busy; may change."""

    def submit(self, job: Job) -> None: ...

    def next(self, timeout_s: float) -> tuple[Job, Any] | None:
        """A job that is done, with its result, or `Lost`; None where none was within the time.

        Raises KwsdError where no more work can be done at all.
        """

    def close(self) -> None:
        """Ends at once; what is not done is forgotten."""
