"""Make the negatives beside a model, by which `kwsd learn` tells a new word from all else.

    KWSD_DATA=data python tools/negatives.py models/default.tflite models/tiny.tflite models/accurate.tflite

Of each model NAME.tflite, and NAME-float32.tflite beside it where it is there, the embeddings of training clips are
written to NAME.negatives.npz (kwsd/learn/bank.py says what is in it), of at most 1 MB: single words, the model's own
and others, among them all that sound like one of its own to it; running speech in which, by the transcript, none of
its words is said; and noise. The same data gives the same bytes.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from kwsd_train.data.folders import listed_files, table_rows, which_set

from kwsd import model as models
from kwsd.audio.signal import fit
from kwsd.errors import KwsdError
from kwsd.learn import bank, embedding
from kwsd.model.catalogue import FLOAT32

BYTES_MAX = 1_000_000
LEVELS = 63
"""Embeddings are kept in 6 bits: finer ones take room and change nothing."""

STRIDE_MS = 320
EACH_OWN, EACH_OTHER, OTHERS_MAX = 60, 50, 400
SOUND_ALIKE = 0.3
NOISE_EVERY_S = 4
FAINT = 1e-4


class Maker:
    """Embeddings of one model's training clips.

    Args:
        data: laid out as $KWSD_DATA.
        hidden: words of which nothing may be in the bank.
    """

    def __init__(self, path: Path, data: Path, hidden: set[str]) -> None:
        self.model = models.load(path)
        self._data, self._hidden = data, hidden
        self._draw = np.random.default_rng(1)

    def words(self) -> Iterator[tuple[str, Any]]:
        """Label and embedding; ``_other_`` for those that nobody has named."""
        own = set(self.model.labels)
        folders = sorted(path for path in (self._data / "speech_commands").iterdir() if path.is_dir())
        for folder in folders:
            word = folder.name
            if word.startswith("_") or word in self._hidden:
                continue
            paths = [path for path in sorted(folder.iterdir()) if which_set(path.name, 10, 10) == "training"]
            count = EACH_OWN if word in own else EACH_OTHER
            if word == "unidentified":
                word, count = "_other_", OTHERS_MAX
            for place in self._draw.permutation(len(paths))[: 4 * count].tolist():
                signal = self._read(paths[place])
                clip = self._with_faint_noise(fit(signal, self.model.clip_samples))
                features = self.model.features(clip)
                if count > 0 or (word not in own and self._sounds_like_a_word(features)):
                    count -= 1
                    yield word, self.model.embedding(features)

    def _sounds_like_a_word(self, features: Any) -> bool:
        scores = dict(zip(self.model.labels, self.model.scores(features).tolist(), strict=True))
        return max(score for label, score in scores.items() if not label.startswith("_")) > SOUND_ALIKE

    def speech(self) -> Iterator[Any]:
        """Embeddings (windows, features) of one recording after another."""
        folder = self._data / "running_speech" / "train"
        for row in table_rows(folder / "transcripts.tsv"):
            said = set(row["transcript"].split())
            if row["contains"] or row["homophones"] or said & self._hidden:
                continue
            signal = self._with_faint_noise(self._read(folder / row["file"]))
            if len(signal) >= self.model.clip_samples:
                yield embedding.of_stream(self.model, signal, STRIDE_MS)

    def noise(self) -> Iterator[Any]:
        folder = self._data / "noise"
        table = folder / "noise.tsv"
        if table.exists():
            names = [row["file"] for row in table_rows(table) if row["split"] == "train"]
        else:
            names = [path.name for path in listed_files(folder, "--data")]
        step = NOISE_EVERY_S * self.model.sample_rate_hz
        for name in names:
            signal = self._read(folder / name)
            for start in range(0, len(signal) - self.model.clip_samples + 1, step):
                level = np.float32(10 ** (self._draw.uniform(-30, 6) / 20))
                clip = self._with_faint_noise(level * signal[start : start + self.model.clip_samples])
                yield self.model.embedding(self.model.features(clip))

    def _read(self, path: Path) -> Any:
        signal, rate_hz = soundfile.read(path, dtype="float32")
        if rate_hz != self.model.sample_rate_hz:
            raise KwsdError(str(path), f"is at {rate_hz} Hz, the model at {self.model.sample_rate_hz}")
        return signal

    def _with_faint_noise(self, signal: Any) -> Any:
        return (signal + self._draw.normal(0, FAINT, len(signal)).astype(np.float32)).clip(-1, 1)


def make(path: Path, data: Path, hidden: set[str]) -> None:
    maker = Maker(path, data, hidden)
    labels, words = zip(*maker.words(), strict=True)
    noise = np.stack(list(maker.noise()))
    recordings = list(maker.speech())
    scale = np.float32(max(part.max() for part in (np.stack(words), noise, np.concatenate(recordings))) / LEVELS)
    target = bank.path_of(path)
    files = (path, path.with_name(path.stem + FLOAT32 + path.suffix))
    hashes = [models.load(file).sha256 for file in files if file.exists()]

    def write() -> int:
        arrays = {name: kept(value, scale) for name, value in (("words", np.stack(words)), ("noise", noise))}
        arrays["speech"] = kept(np.concatenate(recordings), scale)
        ends = np.cumsum([len(part) for part in recordings], dtype=np.int32)
        facts = {"sha256": np.array(hashes), "scale": scale, "ends": ends, "stride_ms": np.int32(STRIDE_MS)}
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        with temporary.open("wb") as file:
            np.savez_compressed(file, labels=np.array(labels), **arrays, **facts)
        temporary.replace(target)
        return target.stat().st_size

    while (size := write()) > BYTES_MAX:  # every so many recordings fewer
        excess = size / BYTES_MAX - 1
        drop = max(2, int(1 / max(excess, 0.01)))
        recordings = [part for i, part in enumerate(recordings) if i % drop != drop - 1]
    hours = sum(map(len, recordings)) * STRIDE_MS / 3_600_000
    print(f"{target}: {size} bytes, {len(words)} words, {len(noise)} of noise, {hours:.2f} h of speech")


def kept(values: Any, scale: Any) -> Any:
    return np.rint(values / scale).clip(0, LEVELS).astype(np.uint8)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL.tflite")
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("KWSD_DATA", "data")), help="default: $KWSD_DATA"
    )
    parser.add_argument("--without", default="", metavar="W,...", help="words that must not be in it, for measurements")
    args = parser.parse_args()
    try:
        for path in args.models:
            make(path, args.data, set(filter(None, args.without.split(","))))
    except (KwsdError, OSError) as error:
        sys.exit(f"negatives.py: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
