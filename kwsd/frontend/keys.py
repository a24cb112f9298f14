"""The keys of each front end, and how they constrain each other. docs/frontends.md lists them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from kwsd.errors import ConfigError
from kwsd.validation.kinds import Choice, Kind, Number, Whole, nearest
from kwsd.validation.yaml import shown


class _Flag(Kind):
    allowed = "true or false"

    def accept(self, value: Any) -> Any:
        if not isinstance(value, bool):
            raise ValueError
        return value


WINDOW_SAMPLES_MAX = 65_536
WINDOW_SAMPLES_MIN = {"waveform": 1, "micro": 33}
"""2 for others. The scaling of micro's integers needs a transform of at least 64 samples."""

_MS, _HZ, _CHANNELS = Number(0, 60_000), Number(0, 192_000), Whole(1, 1024)
_ROWS: Mapping[str, Kind] = {"window_ms": _MS, "stride_ms": _MS}
_BAND: Mapping[str, Kind] = {"lower_hz": _HZ, "upper_hz": _HZ}

FRONTENDS: Mapping[str, Mapping[str, Kind]] = {
    "mfcc": {**_ROWS, **_BAND, "mel_bins": _CHANNELS, "coefficients": _CHANNELS},
    "log_mel": {**_ROWS, **_BAND, "mel_bins": _CHANNELS, "power": Whole(1, 2), "floor": Number(0, 1e9)},
    "psf_mfcc": {
        **_ROWS,
        **_BAND,
        "nfft": Whole(2, WINDOW_SAMPLES_MAX),
        "filters": _CHANNELS,
        "coefficients": _CHANNELS,
        "preemphasis": Number(0, 1),
        "lifter": Number(0, 65_536),
        "append_energy": _Flag(),
        "window": Choice(("rectangular", "hamming", "hann")),
    },
    "average": {**_ROWS, "bins": Whole(1, WINDOW_SAMPLES_MAX)},
    "micro": {**_ROWS, "bins": _CHANNELS},
    "waveform": {},
}
"""Keys of each front end, besides ``type``; all are required."""

SAMPLE_RATE_HZ = Whole(1000, 384_000)
MICRO_RATE_MIN_HZ = 15_000


class Rows(NamedTuple):
    """How samples are cut into frames.

    Attributes:
        rate_hz: rate of the samples.
        window: samples in a frame.
        stride: samples from the start of a frame to the start of the next.
    """

    rate_hz: int
    window: int
    stride: int

    @property
    def fft_length(self) -> int:
        """The smallest power of two that holds a frame."""
        return 1 << (self.window - 1).bit_length()


def checked(params: Any) -> tuple[str, Rows, dict[str, Any]]:
    """Type, frames and the other keys of a ``frontend`` mapping; ConfigError with all faults if it is invalid."""
    if not isinstance(params, Mapping):
        raise ConfigError(f"frontend: got {shown(params)}; allowed: a mapping with 'type' and that type's keys")
    kind = params.get("type")
    if not isinstance(kind, str) or kind not in FRONTENDS:
        got = "key 'type' is missing" if "type" not in params else f"key 'type': got {shown(kind)}"
        raise ConfigError(f"frontend: {got}; allowed: {Choice(tuple(FRONTENDS)).allowed}")
    kinds: Mapping[str, Kind] = {"sample_rate_hz": SAMPLE_RATE_HZ, **FRONTENDS[kind]}
    values = {"sample_rate_hz": 16000} | {key: value for key, value in params.items() if key != "type"}
    faults = [f"key {shown(key)} is missing" for key in kinds if key not in values]
    for key, value in values.items():
        if key not in kinds:
            faults.append(f"unknown key {shown(key)}; {nearest(str(key), tuple(kinds))}")
            continue
        try:
            values[key] = kinds[key].accept(value)
        except ValueError as error:
            faults.append(f"key {shown(key)}: {str(error) or f'got {shown(value)}'}; allowed: {kinds[key].allowed}")
    if not faults:
        rows = _rows(kind, values)
        faults = _contradictions(kind, rows, values)
    if faults:
        raise ConfigError(*(f"frontend {kind}: {fault}" for fault in faults))
    return kind, rows, values


def _rows(kind: str, values: dict[str, Any]) -> Rows:
    """Removes the values that make up ``Rows``."""
    rate_hz = values.pop("sample_rate_hz")
    if kind == "waveform":
        return Rows(rate_hz, 1, 1)
    window_ms, stride_ms = values.pop("window_ms"), values.pop("stride_ms")
    if kind == "psf_mfcc":  # which rounds, while TensorFlow's programs truncate
        window, stride = int(window_ms / 1000 * rate_hz + 0.5), int(stride_ms / 1000 * rate_hz + 0.5)
    else:
        window, stride = int(rate_hz * window_ms / 1000), int(rate_hz * stride_ms / 1000)
    return Rows(rate_hz, window, stride)


def _contradictions(kind: str, rows: Rows, values: Mapping[str, Any]) -> list[str]:
    faults = []
    least, most = WINDOW_SAMPLES_MIN.get(kind, 2), WINDOW_SAMPLES_MAX
    if not least <= rows.window <= most:
        is_wrong = f"{rows.window} samples at {rows.rate_hz} Hz; allowed: {least} to {most} samples"
        faults.append(f"key 'window_ms': {is_wrong}")
    if kind == "micro" and rows.rate_hz < MICRO_RATE_MIN_HZ:
        faults.append(f"its bank ends at 7500 Hz; {rows.rate_hz} Hz is a rate below {MICRO_RATE_MIN_HZ} Hz")
    if rows.stride < 1:
        faults.append(f"key 'stride_ms': less than one sample at {rows.rate_hz} Hz")
    if "upper_hz" in values:
        lower_hz, upper_hz = values["lower_hz"], values["upper_hz"]
        if upper_hz <= lower_hz:
            faults.append(f"key 'upper_hz': {upper_hz:g} Hz is not above lower_hz, {lower_hz:g} Hz")
        if upper_hz > rows.rate_hz / 2:
            half_hz = rows.rate_hz / 2
            faults.append(f"key 'upper_hz': {upper_hz:g} Hz is above half the rate of the samples, {half_hz:g} Hz")
    for bank in ("mel_bins", "filters"):
        if bank in values and values.get("coefficients", 1) > values[bank]:
            faults.append(f"key 'coefficients': {values['coefficients']} are more than {bank}, {values[bank]}")
    if "bins" in values and values["bins"] > (bins := rows.fft_length // 2 + 1):
        faults.append(f"key 'bins': {values['bins']} are more than the spectrum's {bins}")
    return faults
