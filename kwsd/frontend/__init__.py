"""Front ends: samples in, rows of features out. One file per definition; docs/frontends.md describes them.

>>> frontend = create({"type": "mfcc", "window_ms": 40, "stride_ms": 20, "lower_hz": 20, "upper_hz": 7600,
...                    "mel_bins": 40, "coefficients": 40})
>>> frontend.frames(16000)
49
"""

from collections.abc import Callable, Mapping
from typing import Any

from kwsd.frontend.average import Average
from kwsd.frontend.base import Frontend, Stream
from kwsd.frontend.keys import checked
from kwsd.frontend.log_mel import LogMel
from kwsd.frontend.mfcc import Mfcc
from kwsd.frontend.micro import Micro
from kwsd.frontend.psf import PsfMfcc
from kwsd.frontend.waveform import Waveform

__all__ = ["Frontend", "Stream", "create"]

_DEFINITIONS: Mapping[str, Callable[..., Frontend]] = {
    "mfcc": Mfcc,
    "log_mel": LogMel,
    "psf_mfcc": PsfMfcc,
    "average": Average,
    "micro": Micro,
    "waveform": Waveform,
}


def create(params: Mapping[str, Any]) -> Frontend:
    """The front end that a model's metadata describes.

    Args:
        params: the ``frontend`` mapping, with every key of its type, and ``sample_rate_hz`` (default 16000).

    Raises:
        ConfigError: the type is unknown, keys are missing or unknown, values are out of range or contradict each other.
            All faults are reported together, one line each.
    """
    kind, rows, values = checked(params)
    return _DEFINITIONS[kind](rows, **values)
