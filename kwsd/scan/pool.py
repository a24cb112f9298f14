"""The interface of a pool of workers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(eq=False)
class Job:
    """A call of one of the functions of `kwsd.scan.work`.

    Attributes:
        address: the recording, for messages.
        losses: how often a worker died on it.
    """

    address: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    losses: int = 0


LOSSES_MAX = 2
"""How many workers a recording may kill before it is abandoned."""


class Lost:
    """A job was not done: each worker that tried it died."""


class Pool(Protocol):
    """Does jobs, in any order. Used by one thread."""

    @property
    def capacity(self) -> int:
        """How many jobs keep all workers busy; may change."""

    def submit(self, job: Job) -> None: ...

    def next(self, timeout_s: float) -> tuple[Job, Any] | None:
        """A job that is done, with its result or `Lost`; None if there was none within the time.

        Raises KwsdError if no more work can be done at all.
        """

    def close(self) -> None:
        """Ends at once; unfinished jobs are discarded."""
