"""``waveform``: the network takes the samples themselves."""

import numpy as np

from kwsd.frontend.base import Doubles, Floats, Frontend
from kwsd.frontend.keys import Rows


class Waveform(Frontend):
    """Samples pass through: ``compute`` returns them as float32, shape (n,). A "row" is one sample, without a width.

    Args:
        rows: frames of one sample.
    """

    def __init__(self, rows: Rows) -> None:
        super().__init__(rows, 1)

    def _rows(self, frames: Doubles) -> Floats:
        return frames[:, 0].astype(np.float32)
