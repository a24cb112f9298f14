"""Wanted and other words by synthesized voices, in addition to the few speakers who have recorded a word.

The clips are in the cache, not in the data folder.
"""

import hashlib
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kwsd.errors import InputError, UnavailableError
from kwsd.learn.speech_engines import PACKAGES, Voice
from kwsd.whole_file import write_whole
from kwsd_train.commands import synthesize
from kwsd_train.data import own_clips

_COMMON = (
    "house water music garden lamp window yesterday people summer table kitchen paper finger morning number letter "
    "doctor river mountain yellow orange seven eleven maybe really because hello please thank sorry open close begin "
    "play louder quiet lower higher after before again never always under over little better school machine travel "
    "cousin purple silver market ticket jacket pocket planet happy story answer question minute second"
)

OTHER_WORDS = tuple(_COMMON.split())
"""Other words by the same voices, so that a voice is not mistaken for the word."""

TAKES, OTHER_TAKES = 2, 4
"""Number of clips of each wanted word, and of other words, by each voice."""

_TEMPO, _PITCH = (0.8, 1.25), (0.85, 1.2)
_log = logging.getLogger("kwsd_train")


class Said(NamedTuple):
    """A clip: its path, and its word."""

    path: Path
    word: str


def make(
    words: Sequence[str],
    none_of: Sequence[str],
    count: int,
    cache_dir: Path,
    *,
    rate_hz: int,
    clip_ms: int,
    codec: str,
    seed: int,
) -> list[Said]:
    """Clips of ``words``, and of others, by ``count`` voices; made now or found in ``cache_dir``.

    None if no engine is installed, which is logged.

    Args:
        none_of: words excluded from the others.
        codec: that of the other clips, lest a model learn the codec.
    """
    key = hashlib.sha256(repr((rate_hz, clip_ms, codec, seed)).encode()).hexdigest()[:8]
    folder = cache_dir / f"voices-{key}"
    request = hashlib.sha256(repr((sorted(words), sorted(none_of), count)).encode()).hexdigest()[:16]
    made = folder / f"{request}.txt"
    if made.exists():
        listed = [folder / line for line in made.read_text().splitlines()]
        if all(path.exists() for path in listed):
            return [Said(path, path.parent.name) for path in listed]
    try:
        voices = synthesize.choose(None, count, seed)
    except UnavailableError:
        packages = " ".join(PACKAGES.values())
        _log.warning("No other voices of %s: no text to speech. sudo apt-get install %s", ", ".join(words), packages)
        return []
    others = [word for word in OTHER_WORDS if word not in none_of]
    wished = [
        (Said(own_clips.path_of(folder, word, voice.speaker, take, codec), word), voice)
        for place, voice in enumerate(voices)
        for word, takes in _program(words, others, place)
        for take in range(takes)
    ]
    missing = [(said, voice) for said, voice in wished if not said.path.exists()]
    if missing:
        _log.info("%d clips by %d synthesized voices are made ...", len(missing), len(voices))

    def speak(one: tuple[Said, Voice]) -> None:
        said, voice = one
        draw = np.random.default_rng(
            int.from_bytes(hashlib.sha256(f"{seed}/{said.path.name}/{said.word}".encode()).digest()[:8])
        )
        try:
            signal = synthesize.utter(voice, said.word, rate_hz, clip_ms, _TEMPO, _PITCH, draw)
        except (InputError, UnavailableError) as error:  # too long for this voice; there are others
            _log.debug("%s", error)
            return
        own_clips.write(said.path, signal, rate_hz)

    with ThreadPoolExecutor() as pool:
        list(pool.map(speak, missing))
    spoken = [said for said, _ in wished if said.path.exists()]
    write_whole(made, "".join(f"{said.path.relative_to(folder)}\n" for said in spoken))
    return spoken


def _program(words: Sequence[str], others: Sequence[str], place: int) -> list[tuple[str, int]]:
    """The words of the voice of this number, and how often it says each: the others in turn."""
    chosen = [others[(place * OTHER_TAKES + offset) % len(others)] for offset in range(OTHER_TAKES)] if others else []
    return [*((word, TAKES) for word in words), *((word, 1) for word in dict.fromkeys(chosen))]
