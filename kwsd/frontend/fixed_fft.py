"""A Fourier transform in 16-bit integers, on many rows at once: kissfft's (Mark Borgerding) with FIXED_POINT=16.

Every stage scales its inputs down first, so that the result is that of the whole divided by its length; products are
rounded, sums wrap around. Integers are kept as int32 arrays and wrapped where 16 bits would not hold them.
Source: kiss_fft.c and kiss_fftr.c of version 130, as the TFLite micro front end uses them.
"""

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int32]
Pair = tuple[Integers, Integers]
"""Real and imaginary parts."""

ONE = 32767


class FixedRfft:
    """The transform of real rows.

    Args:
        length: samples in a row, a power of two, at least 4.
    """

    def __init__(self, length: int) -> None:
        self._half = half = length // 2
        factors = [4] * ((half.bit_length() - 1) // 2) + [2] * ((half.bit_length() - 1) % 2)
        self._order = _order(factors)
        self._twiddles = _circle(-2 * np.pi * np.arange(half) / half)
        self._super_twiddles = _circle(-np.pi * (np.arange(1, half // 2 + 1) / half + 0.5))
        self._factors = factors[::-1]

    def __call__(self, rows: Integers) -> Pair:
        """The bins 0 to length/2 of rows of 16-bit integers, shape (count, length): shape (count, length/2 + 1)."""
        real, imaginary = self._complex(rows[:, 0::2], rows[:, 1::2])
        half = self._half
        low, high = slice(1, half // 2 + 1), slice(half - 1, half // 2 - 1, -1)
        fpk = _scaled((real[:, low], imaginary[:, low]), 2)
        fpnk = _scaled((real[:, high], -imaginary[:, high]), 2)
        f1k, f2k = _sum(fpk, fpnk), _difference(fpk, fpnk)
        tw = _product(f2k, self._super_twiddles)
        out: Pair = np.zeros((len(rows), half + 1), np.int32), np.zeros((len(rows), half + 1), np.int32)
        first = _scaled((real[:, 0], imaginary[:, 0]), 2)
        out[0][:, 0], out[0][:, half] = _wrapped(first[0] + first[1]), _wrapped(first[0] - first[1])
        # In this order, since both write the middle bin and the original's second one stays.
        out[0][:, low], out[1][:, low] = (f1k[0] + tw[0]) >> 1, (f1k[1] + tw[1]) >> 1
        out[0][:, high], out[1][:, high] = (f1k[0] - tw[0]) >> 1, (tw[1] - f1k[1]) >> 1
        return out

    def _complex(self, real: Integers, imaginary: Integers) -> Pair:
        real, imaginary = real[:, self._order], imaginary[:, self._order]
        count, size = len(real), 1
        for radix in self._factors:
            shape = (count, self._half // (radix * size), radix, size)
            parts = _scaled((real.reshape(shape), imaginary.reshape(shape)), radix)
            steps = np.arange(size) * (self._half // (radix * size))
            turned = [(parts[0][:, :, 0], parts[1][:, :, 0])]
            for q in range(1, radix):
                twiddles = self._twiddles[0][steps * q], self._twiddles[1][steps * q]
                turned.append(_product((parts[0][:, :, q], parts[1][:, :, q]), twiddles))
            butterfly = _butterfly4(*turned) if radix == 4 else _butterfly2(*turned)
            real = np.stack([part[0] for part in butterfly], axis=2).reshape(count, self._half)
            imaginary = np.stack([part[1] for part in butterfly], axis=2).reshape(count, self._half)
            size *= radix
        return real, imaginary


def _butterfly2(a: Pair, b: Pair) -> list[Pair]:
    return [_sum(a, b), _difference(a, b)]


def _butterfly4(a: Pair, b: Pair, c: Pair, d: Pair) -> list[Pair]:
    even, odd = _sum(a, c), _difference(a, c)
    both, apart = _sum(b, d), _difference(b, d)
    turned = apart[1], _wrapped(-apart[0])
    return [_sum(even, both), _sum(odd, turned), _difference(even, both), _difference(odd, turned)]


def _order(factors: list[int]) -> NDArray[np.intp]:
    """Where each input goes before the first stage."""
    order = np.zeros(1, np.intp)
    for radix in factors[::-1]:
        order = (order[None, :] * radix + np.arange(radix)[:, None]).reshape(-1)
    return order


def _circle(angles: NDArray[np.float64]) -> Pair:
    return (
        np.floor(0.5 + ONE * np.cos(angles)).astype(np.int32),
        np.floor(0.5 + ONE * np.sin(angles)).astype(np.int32),
    )


def _wrapped(values: Integers) -> Integers:
    return values.astype(np.int16).astype(np.int32)


def _rounded(products: Integers) -> Integers:
    return _wrapped((products + (1 << 14)) >> 15)


def _scaled(pair: Pair, divisor: int) -> Pair:
    return _rounded(pair[0] * (ONE // divisor)), _rounded(pair[1] * (ONE // divisor))


def _product(a: Pair, b: Pair) -> Pair:
    return _rounded(a[0] * b[0] - a[1] * b[1]), _rounded(a[0] * b[1] + a[1] * b[0])


def _sum(a: Pair, b: Pair) -> Pair:
    return _wrapped(a[0] + b[0]), _wrapped(a[1] + b[1])


def _difference(a: Pair, b: Pair) -> Pair:
    return _wrapped(a[0] - b[0]), _wrapped(a[1] - b[1])
