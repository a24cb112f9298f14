"""Front ends: samples in, rows of features out. One file a definition; docs/frontends.md tells them all.

>>> frontend = create({"type": "mfcc", "window_ms": 40, "stride_ms": 20, "lower_hz": 20, "upper_hz": 7600,
...                    "mel_bins": 40, "coefficients": 40})
>>> frontend.frames(16000)
49
"""

from collections.abc import Mapping
from typing import Any

from kwsd.errors import ConfigError
from kwsd.frontend.base import Frontend, Stream
from kwsd.frontend.log_mel import LogMel
from kwsd.frontend.mfcc import Mfcc

__all__ = ["Frontend", "Stream", "create"]


def create(params: Mapping[str, Any]) -> Frontend:
    """The front end that a model's metadata describes.

    Args:
        params: the ``frontend`` mapping, with every key of its type, and ``sample_rate_hz`` (16000 where left out).

    Raises:
        ConfigError: the type is unknown, keys are missing or unknown, or values are out of range; all faults at once.
    """
    given = dict(params)
    rate_hz = given.pop("sample_rate_hz", 16000)
    kind = given.pop("type", None)
    if kind not in ("mfcc", "log_mel"):
        raise ConfigError(f"frontend.type: got {kind!r}")
    window = int(rate_hz * given.pop("window_ms") / 1000)
    stride = int(rate_hz * given.pop("stride_ms") / 1000)
    if kind == "mfcc":
        return Mfcc(rate_hz, window, stride, **given)
    return LogMel(rate_hz, window, stride, **given)
