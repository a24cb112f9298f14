"""Problems and gaps of a data folder, reported before training on it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kwsd.audio import takes
from kwsd_train.batches.augment import fit
from kwsd_train.data import any_audio
from kwsd_train.data.folders import BACKGROUND_FOLDER, SETS, background_files, speaker_of, which_set
from kwsd_train.data.recordings import is_audio
from kwsd_train.flags import options

if TYPE_CHECKING:
    from kwsd_train.batches.training_data import Data

FAIL, WARN = "fail", "warn"

_FEW_SPEAKERS = 3
"""With so few speakers, a model may learn their voices instead of the word."""
_LATE_MS = 200
_SHOWN = 3


class Finding(NamedTuple):
    """One line: training would fail (`FAIL`), or may disappoint (`WARN`)."""

    level: str
    text: str


def _fail(what: str, why: str, mend: str) -> Finding:
    return Finding(FAIL, f"{what}: {why}. {mend}")


def _warn(what: str, why: str, mend: str) -> Finding:
    return Finding(WARN, f"{what}: {why}. {mend}")


class Folder:
    """The clips of a data folder, by word and set, from their names alone."""

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        self.clips: dict[str, dict[str, list[Path]]] = {}
        self.foreign: list[Path] = []
        self.spellings: dict[str, set[str]] = {}
        for folder in sorted(one for one in path.glob("*") if one.is_dir() and one.name.lower() != BACKGROUND_FOLDER):
            self.spellings.setdefault(folder.name.lower(), set()).add(folder.name)
            by_set = self.clips.setdefault(folder.name.lower(), {name: [] for name in SETS})
            for file in sorted(folder.iterdir()):
                if is_audio(file):
                    kept = settings["validation_percentage"], settings["testing_percentage"]
                    by_set[which_set(file.name, *kept)].append(file)
                elif file.suffix.lower() in any_audio.FOREIGN:
                    self.foreign.append(file)

    def training(self, word: str) -> list[Path]:
        return self.clips.get(word.lower(), {}).get("training", [])


def of_names(folder: Folder, words: Sequence[str], settings: Mapping[str, Any]) -> Iterator[Finding]:
    """Findings from names and folders."""
    if not any(paths for by_set in folder.clips.values() for paths in by_set.values()):
        yield _fail(str(folder.path), "no folder of clips", "Name the folder of word folders by --data_dir.")
        return
    others = sorted(set(folder.clips) - {word.lower() for word in words})
    speakers_of_others = {speaker_of(path) for word in others for path in folder.training(word)}
    for word in words:
        yield from _of_word(folder, word, speakers_of_others)
    if not speakers_of_others:
        yield _warn(
            str(folder.path),
            "no words other than the wanted ones: any speech will be mistaken for one of them",
            "Download some with kwsd-train download, and record some of your own.",
        )
    for word, spellings in folder.spellings.items():
        if len(spellings) > 1:
            yield _warn(word, f"the folders {' and '.join(sorted(spellings))} are one word", "Make them one.")
    if folder.foreign:
        names = _few([f"{path.parent.name}/{path.name}" for path in folder.foreign])
        yield _warn(
            names, "not read in training, only WAV, FLAC, Ogg and MP3 are", "Convert them with kwsd-train import."
        )
    if settings["silence_percentage"] > 0 and not background_files(folder.path):
        mend = "Download it with kwsd-train download, or train with --silence_percentage 0."
        yield _fail(str(folder.path), f"no {BACKGROUND_FOLDER} folder to make silence from", mend)
    yield from _of_codecs(folder, words, others)


def of_sound(data: "Data", settings: Mapping[str, Any]) -> Iterator[Finding]:
    """Findings from the audio of the wanted words' training clips."""
    clips, training, clip_ms = data.clips, data.sets["training"], settings["clip_duration_ms"]
    clip_samples = settings["sample_rate"] * clip_ms // 1000
    for place, word in enumerate(options.words(settings)):
        chosen = training.numbers[training.labels == place + 2].tolist()
        silent = [number for number in chosen if not clips.excerpt(number, 0, clip_samples).any()]
        deaf = [number for number in silent if _another_channel_lives(clips.paths[number])]
        long = [number for number in chosen if clips.length(number) > clip_samples * 1.02]
        late = [number for number in long if _lies_late(clips[number], clip_samples)]
        if deaf:
            why = f"the first channel of {_part(deaf, chosen)} is silent, and it is the only one used"
            yield _warn(word, f"{why}, while another is not", "kwsd-train import uses the loudest channel.")
        if len(silent) > len(deaf):
            mute = [number for number in silent if number not in deaf]
            names = _few([clips.paths[number].name for number in mute])
            yield _warn(word, f"{_part(mute, chosen)} begin with digital silence ({names})", "Remove them.")
        if long:
            why = f"{_part(long, chosen)} are longer than a clip of {clip_ms} ms, and only their beginning is used"
            if late:
                why += f"; in {len(late)} the loudest part comes later, so only what precedes it is learned"
            yield _warn(word, why, "kwsd-train import cuts them to their loudest part.")


def _of_word(folder: Folder, word: str, speakers_of_others: set[str]) -> Iterator[Finding]:
    by_set = folder.clips.get(word.lower())
    if by_set is None or not any(by_set.values()):
        yield _fail(word, f"no clip of it in {folder.path}", "Record some with kwsd-train record, or import them.")
        return
    if not by_set["training"]:
        speakers = sorted({speaker_of(path) for paths in by_set.values() for path in paths})
        kept = " and ".join(name for name in SETS if by_set[name])
        why = f"no clip to train on: its speakers ({_few(speakers)}) are kept for {kept}"
        mend = "Add takes under other names, or give --validation_percentage 0 --testing_percentage 0."
        yield _fail(word, why, mend)
        return
    speakers = sorted({speaker_of(path) for path in by_set["training"]})
    if len(speakers) == 1:
        mend = "Two takes each by ten people are worth more than twenty by one."
        yield _warn(word, f"its {len(by_set['training'])} training clips are all by one speaker, {speakers[0]}", mend)
    silent_voices = [speaker for speaker in speakers if speaker not in speakers_of_others]
    if len(speakers) <= _FEW_SPEAKERS and silent_voices:
        why = f"no other word by {_few(silent_voices)}, so the model may learn the voice instead of the word"
        yield _warn(word, why, "kwsd-train record prompts for some (--other_words).")


def _of_codecs(folder: Folder, words: Sequence[str], others: Sequence[str]) -> Iterator[Finding]:
    """A word in one codec among others in another is recognised by its codec."""
    rest = Counter(path.suffix.lower() for word in others for path in folder.training(word))
    if not rest:
        return
    usual, count = rest.most_common(1)[0]
    for word in words:
        endings = Counter(path.suffix.lower() for path in folder.training(word))
        if endings and usual not in endings and count > 0.9 * rest.total() and _lossy(usual) != _lossy(*endings):
            why = f"its clips are {', '.join(sorted(endings))}, nearly all other words are {usual}"
            mend = "A model may learn the codec; --codec of record, import and synthesize writes either."
            yield _warn(word, why, mend)


def _lossy(*endings: str) -> bool:
    return bool(set(endings) & {".opus", ".ogg", ".oga", ".mp3"})


def _another_channel_lives(path: Path) -> bool:
    import soundfile

    samples, _ = soundfile.read(path, dtype="float32", always_2d=True)
    return bool(samples[:, 1:].any())


def _lies_late(signal: Any, clip_samples: int) -> bool:
    """Whether the loudest part begins so late that the beginning of the file has less of the word."""
    first, best = (
        float(np.square(part).sum()) for part in (fit(signal, clip_samples), takes.loudest(signal, clip_samples))
    )
    return first < 0.5 * best


def _part(some: Sequence[Any], of: Sequence[Any]) -> str:
    return f"{len(some)} of {len(of)} clips"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
