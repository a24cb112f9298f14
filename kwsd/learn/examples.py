"""What a learned model keeps of its own words: embeddings, to tell a word from those learned later.

They are a metadata entry of the .tflite file, in .npz format:

    base         text: the file that the model was made from, and its hash
    scale        float32: embeddings are ``scale`` times the stored numbers
    labels       text (words,)
    word.N       uint8 (n, features): windows with word N; others.N: windows of its takes without it

An embedding is the network's output for a second of sound, averaged over time to a few dozen numbers; the sound cannot
be reconstructed from it.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kwsd.errors import ModelError
from kwsd.learn.bank import read_arrays
from kwsd.learn.lesson import Examples

ENTRY = "KWSD_EXAMPLES"
LEVELS = 255


@dataclass(frozen=True)
class Memory:
    """See above.

    Attributes:
        base, base_sha256: the file that the words were added to.
        words: examples of each word.
    """

    base: str
    base_sha256: str
    words: Mapping[str, Examples]


def pack(memory: Memory) -> bytes:
    parts = [part for word in memory.words.values() for part in (word.word, word.others)]
    scale = np.float32(max([float(part.max(initial=0)) for part in parts] + [1e-3]) / LEVELS)
    arrays: dict[str, Any] = {}
    for i, examples in enumerate(memory.words.values()):
        arrays[f"word.{i}"] = np.rint(examples.word / scale).clip(0, LEVELS).astype(np.uint8)
        arrays[f"others.{i}"] = np.rint(examples.others / scale).clip(0, LEVELS).astype(np.uint8)
    content = io.BytesIO()
    base = np.array([memory.base, memory.base_sha256])
    np.savez_compressed(content, base=base, scale=scale, labels=np.array(list(memory.words), dtype=str), **arrays)
    return content.getvalue()


def unpack(content: bytes, features: int, source: str) -> Memory:
    """ModelError about ``source`` if the entry is damaged."""
    try:
        arrays = read_arrays(content)
        base, base_sha256 = map(str, arrays["base"].tolist())
        scale = float(arrays["scale"].astype(np.float64))
        words = {
            str(label): Examples(
                _checked(arrays[f"word.{i}"], features) * scale, _checked(arrays[f"others.{i}"], features) * scale
            )
            for i, label in enumerate(arrays["labels"].tolist())
        }
    except (KeyError, ValueError, TypeError) as error:
        raise ModelError(
            source, f"what it remembers of its own words is damaged: {error}", "Learn them again."
        ) from error
    return Memory(base, base_sha256, words)


def _checked(array: NDArray[np.generic], features: int) -> NDArray[np.float64]:
    if array.dtype != np.uint8 or array.ndim != 2 or array.shape[1] != features:
        raise ValueError(f"{array.dtype} {list(array.shape)}, not uint8 [n, {features}]")
    return array.astype(np.float64)
