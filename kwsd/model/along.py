"""Scores of the overlapping clips of a long series of rows: work that neighbours share is done once."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kwsd.errors import KwsdError
from kwsd.model.tensors import Floats, quantiser, scorer


class ClipsOfRows:
    """Runs a network on each clip of some rows. The scores equal those of `kwsd.model.Model.scores` to the last bit.

    One clip at a time: a graph for batches of clips is at most 3 % faster (docs/performance.md), since a single clip
    keeps a core busy. The savings are around the network: rows are quantised once instead of once per clip, scores are
    read all at once, and a clip that equals the one before, as in digital silence, reuses its scores.

    Args:
        source: the model, for errors.
        interpreter: with its tensors allocated.
        clip, output: details of the input that takes the clip, and of the output with the scores.
        logits: whether the output needs a softmax.
        verify: the final scores of a clip from its scores and rows; None if they are final.
    """

    def __init__(
        self,
        source: str,
        interpreter: Any,
        clip: Mapping[str, Any],
        output: Mapping[str, Any],
        *,
        logits: bool,
        verify: Callable[[Floats, Floats], Floats] | None = None,
    ) -> None:
        self._verify = verify
        self._source, self._interpreter, self._logits = source, interpreter, logits
        self._clip_index, self._clip_shape = clip["index"], tuple(clip["shape"].tolist())
        self._output_index, self._output_kind = output["index"], np.dtype(output["dtype"])
        self._labels = int(output["shape"].prod())
        self._quantise, self._scores_of = quantiser(clip), scorer(output, logits=logits)

    def scores(self, rows: Floats, clip_rows: int, hop_rows: int) -> Floats:
        """The scores of every whole clip, shape (clips, labels), float32.

        Args:
            rows: of the front end, shape (n, width) or (n,), n at least ``clip_rows``.
            clip_rows: rows of a clip.
            hop_rows: rows from the start of one clip to the start of the next.

        Raises:
            KwsdError: scores are not finite.
        """
        numbers = self._run(self._quantise(rows), clip_rows, hop_rows)
        scores = np.array([self._scores_of(each) for each in numbers]) if self._logits else self._scores_of(numbers)
        if not np.isfinite(scores).all():
            raise KwsdError(self._source, "its scores are not finite")
        if self._verify is not None:
            for clip, own in enumerate(scores):
                scores[clip] = self._verify(own, rows[clip * hop_rows :][:clip_rows])
        return scores

    def _run(self, rows: NDArray[Any], clip_rows: int, hop_rows: int) -> NDArray[Any]:
        repeated = _repeated(rows, clip_rows, hop_rows)
        numbers = np.empty((len(repeated), self._labels), self._output_kind)
        set_tensor, invoke, get_tensor = (
            self._interpreter.set_tensor,
            self._interpreter.invoke,
            self._interpreter.get_tensor,
        )
        for clip, is_repeated in enumerate(repeated.tolist()):
            if is_repeated:
                numbers[clip] = numbers[clip - 1]
                continue
            start = clip * hop_rows
            set_tensor(self._clip_index, rows[start : start + clip_rows].reshape(self._clip_shape))
            invoke()
            numbers[clip] = get_tensor(self._output_index).reshape(-1)
        return numbers


def _repeated(rows: NDArray[Any], clip_rows: int, hop_rows: int) -> NDArray[np.bool_]:
    """Which clips equal the previous one, shape (clips,)."""
    clips = 1 + (len(rows) - clip_rows) // hop_rows
    rows = rows.reshape(len(rows), -1)
    differs = np.zeros(len(rows), np.int64)
    differs[hop_rows:] = (rows[hop_rows:] != rows[:-hop_rows]).any(axis=1)
    sums = np.concatenate(([0], np.cumsum(differs)))
    starts = np.arange(clips) * hop_rows
    repeated: NDArray[np.bool_] = sums[starts + clip_rows] == sums[starts]
    repeated[0] = False
    return repeated
