"""The last seconds of a stream, kept for sinks that want the audio around an event."""

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

WORD_ENDS_MS = 300
"""How long before the end of the deciding window a word is over, because its scores must be high for a while first."""


def span_ms(audio_ms: int, before_ms: int, after_ms: int) -> tuple[int, int]:
    """Where a recording of an event begins and ends.

    Args:
        audio_ms: of the event: the end of the window that decided.
        before_ms, after_ms: around the end of the word. 700 and 300 are the second that was scored last.
    """
    word_end_ms = audio_ms - WORD_ENDS_MS
    return word_end_ms - before_ms, word_end_ms + after_ms


class RecentAudio:
    """A ring of the newest samples of a stream, by their position in it.

    Args:
        capacity: how many samples it keeps.
        position: of the next sample, counted from the stream's beginning, lost samples included.
    """

    def __init__(self, capacity: int, position: int = 0) -> None:
        self._ring: Samples = np.zeros(capacity, np.float32)
        self._begin = self._position = position

    @property
    def position(self) -> int:
        """Of the sample that comes next."""
        return self._position

    def push(self, samples: Samples) -> None:
        """Takes the next samples, shape (n,), any n."""
        self._position += len(samples)
        kept = samples[-len(self._ring) :]
        at = (self._position - len(kept)) % len(self._ring)
        first = min(len(kept), len(self._ring) - at)
        self._ring[at : at + first] = kept[:first]
        self._ring[: len(kept) - first] = kept[first:]

    def lose(self, count: int) -> None:
        """Records missing samples: nothing before them is joined to what follows."""
        self._position += count
        self._begin = self._position

    def cut(self, start: int, end: int) -> tuple[int, Samples]:
        """The samples from position ``start`` up to ``end``, as far as available: their first position, and a copy."""
        start = max(start, self._begin, self._position - len(self._ring))
        end = max(start, min(end, self._position))
        return start, self._ring.take(np.arange(start, end), mode="wrap")
