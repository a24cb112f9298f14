"""The bank of negatives beside a model: embeddings of sounds other than the new word, so that no recordings are needed.

A .npz file of at most 1 MB, made by tools/negatives.py:

    sha256       text (models,): hashes of the .tflite files that it was made for
    scale        float32: embeddings are ``scale`` times the stored numbers
    speech       uint8 (n, features): windows of running speech, one every ``stride_ms``
    ends         int32: where in ``speech`` each recording ends
    stride_ms    int32
    words        uint8 (m, features): windows of single words
    labels       text (m,): the word of each
    noise        uint8 (k, features): windows without speech
"""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kwsd.errors import ModelError
from kwsd.model.catalogue import FLOAT32

Doubles = NDArray[np.float64]

ENDING = ".negatives.npz"
BYTES_MAX = 2**20
ARRAYS_BYTES_MAX = 64 * 2**20
FEATURES_MAX = 4096


@dataclass(frozen=True)
class Bank:
    """Embeddings in real numbers; see the module's docstring."""

    speech: Doubles
    ends: NDArray[np.int32]
    stride_ms: int
    words: Doubles
    labels: tuple[str, ...]
    noise: Doubles

    @property
    def hours(self) -> float:
        """Of running speech."""
        return len(self.speech) * self.stride_ms / 3_600_000

    def without(self, word: str) -> "Bank":
        """Without examples of this word."""
        kept = [i for i, label in enumerate(self.labels) if label.casefold() != word.casefold()]
        labels = tuple(self.labels[i] for i in kept)
        return Bank(self.speech, self.ends, self.stride_ms, self.words[kept], labels, self.noise)


def path_of(model: Path) -> Path:
    """The path of a model's bank; the int8 and the float32 file of a name share one."""
    return model.with_name(model.stem.removesuffix(FLOAT32) + ENDING)


def load(model: Path, sha256: str, features: int) -> Bank:
    """The bank of a model.

    Args:
        model: the model's file.
        sha256: its hash.
        features: length of its embedding.

    Raises:
        ModelError: there is none, it is damaged, or it belongs to another model.
    """
    path = path_of(model)
    mend = "kwsd learn works with the models that come with kwsd; tools/negatives.py makes negatives for others."
    try:
        if path.stat().st_size > BYTES_MAX:
            raise ModelError(str(path), f"is larger than {BYTES_MAX >> 10} KiB", mend)
        arrays = read_arrays(path.read_bytes())
    except FileNotFoundError as error:
        raise ModelError(str(model), f"has no negatives beside it ({path.name})", mend) from error
    except (OSError, ValueError) as error:
        raise ModelError(str(path), f"cannot be read: {getattr(error, 'strerror', None) or error}", mend) from error
    try:
        hashes, bank = arrays["sha256"].tolist(), _checked(arrays, features)
    except (KeyError, ValueError) as error:
        raise ModelError(str(path), f"is damaged: {error}", mend) from error
    if sha256 not in hashes:
        raise ModelError(str(path), f"was made for another version of {model.name}", mend)
    return bank


def read_arrays(content: bytes) -> dict[str, NDArray[np.generic]]:
    """The arrays of an untrusted .npz file; ValueError if it is not one, or unpacks to too much."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > ARRAYS_BYTES_MAX:
                raise ValueError(f"it unpacks to more than {ARRAYS_BYTES_MAX >> 20} MiB")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, KeyError, SyntaxError) as error:
        raise ValueError(f"not a .npz file ({error})") from error
    except Exception as error:  # zlib.error, tokenize errors of headers: anything numpy may raise for a damaged file
        raise ValueError(f"a damaged .npz file ({error})") from error


def _checked(arrays: dict[str, NDArray[np.generic]], features: int) -> Bank:
    scale = float(arrays["scale"].astype(np.float64))
    if not 0 < scale < 1e6:
        raise ValueError(f"its scale is {scale}")
    real = {}
    for name in ("speech", "words", "noise"):
        array = arrays[name]
        if array.dtype != np.uint8 or array.ndim != 2 or array.shape[1] != features or not len(array):
            raise ValueError(f"{name} are {array.dtype} {list(array.shape)}, not uint8 [n, {features}]")
        real[name] = array.astype(np.float64) * scale
    ends, labels, stride_ms = arrays["ends"], arrays["labels"], int(arrays["stride_ms"].astype(np.int64))
    rising = ends.dtype.kind == "i" and ends.ndim == 1 and len(ends) and (np.diff(ends, prepend=0) > 0).all()
    if not rising or int(ends[-1]) != len(real["speech"]):
        raise ValueError("its recordings do not end where its speech does")
    if labels.dtype.kind != "U" or labels.shape != (len(real["words"]),) or not 0 < stride_ms <= 10_000:
        raise ValueError("its words have no labels")
    return Bank(real["speech"], ends.astype(np.int32), stride_ms, real["words"], tuple(labels.tolist()), real["noise"])
