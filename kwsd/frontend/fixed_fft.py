"""A Fourier transform in 16-bit integers, on many rows at once: kissfft's (Mark Borgerding) with FIXED_POINT=16.

Every stage scales its inputs down first, so that the result is the transform divided by its length. Products are
rounded to 16 bits, sums wrap around, which int16 arrays do by themselves. Source: kiss_fft.c and kiss_fftr.c of version
130, as the TFLite micro front end uses them.
"""

import numpy as np
from numpy.typing import NDArray

Complex16 = NDArray[np.int16]
"""Complex integers: real and imaginary parts along the first axis, which has the length 2."""

ONE = 32767


class FixedRfft:
    """The transform of real rows.

    Args:
        length: samples in a row, a power of two, at least 4.
    """

    def __init__(self, length: int) -> None:
        self._half = half = length // 2
        bits = half.bit_length() - 1
        radices = [4] * (bits // 2) + [2] * (bits % 2)
        self._order = _order(radices)
        circle = _circle(-2 * np.pi * np.arange(half) / half)
        self._stages: list[tuple[int, int, NDArray[np.int32]]] = []
        size = 1
        for radix in reversed(radices):
            steps = np.arange(size) * (half // (radix * size))
            self._stages.append((radix, size, circle[:, np.outer(np.arange(1, radix), steps)]))
            size *= radix
        self._last_turn = _circle(-np.pi * (np.arange(1, half // 2 + 1) / half + 0.5))

    def __call__(self, rows: NDArray[np.int16]) -> Complex16:
        """The bins 0 to length/2 of rows, shape (count, length): shape (2, count, length/2 + 1)."""
        half, count = self._half, len(rows)
        bins = self._complex(np.moveaxis(rows.reshape(count, half, 2), 2, 0))
        low, high = slice(1, half // 2 + 1), slice(half - 1, half // 2 - 1, -1)
        below = _scaled(bins[:, :, low], 2)
        above = _scaled(np.stack((bins[0, :, high], -bins[1, :, high])), 2)
        ends = _scaled(bins[:, :, 0], 2)
        even, odd = (below + above).astype(np.int32), _product(below - above, self._last_turn).astype(np.int32)
        out = np.zeros((2, count, half + 1), np.int16)
        out[0, :, 0], out[0, :, half] = ends[0] + ends[1], ends[0] - ends[1]
        # In this order, since both write the middle bin and the original's second one stays.
        out[:, :, low] = (even + odd) >> 1
        out[0, :, high], out[1, :, high] = (even[0] - odd[0]) >> 1, (odd[1] - even[1]) >> 1
        return out

    def _complex(self, values: Complex16) -> Complex16:
        """The complex transform, shape (2, count, half) to the same."""
        values = values[:, :, self._order]
        for radix, size, twiddles in self._stages:
            groups = self._half // (radix * size)
            parts = _scaled(values.reshape(2, values.shape[1], groups, radix, size), radix)
            first, turned = parts[:, :, :, 0], _product(parts[:, :, :, 1:], twiddles)
            out = np.empty_like(parts)
            if radix == 2:
                np.add(first, turned[:, :, :, 0], out=out[:, :, :, 0])
                np.subtract(first, turned[:, :, :, 0], out=out[:, :, :, 1])
            else:
                even, odd = first + turned[:, :, :, 1], first - turned[:, :, :, 1]
                both, apart = turned[:, :, :, 0] + turned[:, :, :, 2], turned[:, :, :, 0] - turned[:, :, :, 2]
                np.add(even, both, out=out[:, :, :, 0])
                np.subtract(even, both, out=out[:, :, :, 2])
                # odd -+ i * apart
                np.add(odd[0], apart[1], out=out[0, :, :, 1])
                np.subtract(odd[1], apart[0], out=out[1, :, :, 1])
                np.subtract(odd[0], apart[1], out=out[0, :, :, 3])
                np.add(odd[1], apart[0], out=out[1, :, :, 3])
            values = out.reshape(values.shape)
        return values


def _order(radices: list[int]) -> NDArray[np.intp]:
    """Where each input goes before the first stage."""
    order = np.zeros(1, np.intp)
    for radix in reversed(radices):
        order = (order[None, :] * radix + np.arange(radix)[:, None]).reshape(-1)
    return order


def _circle(angles: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.floor(0.5 + ONE * np.stack((np.cos(angles), np.sin(angles)))).astype(np.int32)


def _rounded(products: NDArray[np.int32]) -> Complex16:
    products += 1 << 14
    products >>= 15
    return products.astype(np.int16)


def _scaled(values: Complex16, divisor: int) -> Complex16:
    return _rounded(np.multiply(values, ONE // divisor, dtype=np.int32))


def _product(values: Complex16, turns: NDArray[np.int32]) -> Complex16:
    products = np.empty(values.shape, np.int32)
    np.subtract(values[0] * turns[0], values[1] * turns[1], out=products[0])
    np.add(values[0] * turns[1], values[1] * turns[0], out=products[1])
    return _rounded(products)
