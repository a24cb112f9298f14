"""The positions of a recording's clips, and the samples that a series of them needs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Grid:
    """The clips of a recording and its tail: one at its start, and one every stride after it.

    Args:
        clip_samples: length of a clip, and of the tail that follows a recording.
        stride_samples: from the start of one clip to the start of the next.
    """

    clip_samples: int
    stride_samples: int

    def clips(self, samples: int) -> int:
        """Number of clips of a recording with this many samples, including those that end in its tail."""
        return 1 + samples // self.stride_samples

    def start(self, clip: int) -> int:
        """The first sample of a clip."""
        return clip * self.stride_samples

    def end(self, clip: int) -> int:
        """The sample after the last one of a clip."""
        return clip * self.stride_samples + self.clip_samples

    def span(self, clips: int) -> int:
        """Number of samples in this many successive clips."""
        return (clips - 1) * self.stride_samples + self.clip_samples

    def chunks(self, blocks: Iterable[Samples], tail: Samples, clips_at_once: int) -> Iterator[Samples]:
        """A whole recording and its tail, in pieces of ``clips_at_once`` clips each; the last may have fewer.

        Args:
            blocks: the recording, cut anywhere.
            tail: what follows it, of a clip's length.
        """
        held = _Held()
        span, step = self.span(clips_at_once), clips_at_once * self.stride_samples
        for block in _followed(blocks, tail):
            held.append(block)
            while len(held) >= span:
                yield held.first(span)
                held.drop(step)
        if len(held) >= self.clip_samples:
            yield held.first(len(held))


def _followed(blocks: Iterable[Samples], tail: Samples) -> Iterator[Samples]:
    yield from blocks
    yield tail


class _Held:
    """Samples that are still needed. If clips are further apart than they are long, some never are."""

    def __init__(self) -> None:
        self._blocks: list[Samples] = []
        self._count = 0
        self._skip = 0

    def __len__(self) -> int:
        return self._count

    def append(self, block: Samples) -> None:
        skipped = min(self._skip, len(block))
        self._skip -= skipped
        self._blocks.append(block[skipped:])
        self._count += len(block) - skipped

    def first(self, samples: int) -> Samples:
        self._blocks = [np.concatenate(self._blocks)]
        return self._blocks[0][:samples]

    def drop(self, samples: int) -> None:
        self._skip = max(0, samples - self._count)
        self._blocks = [self._blocks[0][samples:].copy()]
        self._count = len(self._blocks[0])
