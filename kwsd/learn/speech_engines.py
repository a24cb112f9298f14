"""Text to speech by programs in Debian: espeak-ng, flite, festival.

Each would rather use a wrong voice than fail: espeak-ng uses the plain voice for an unknown variant, flite its first
voice for any unknown one, and festival succeeds without a file. So every voice is tried before it is used.
"""

import functools
import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from kwsd.audio.signal import Signal
from kwsd.errors import UnavailableError

PACKAGES: Mapping[str, str] = {"espeak-ng": "espeak-ng", "flite": "flite", "festival": "festival festvox-kallpc16k"}
"""Engine -> Debian packages."""

TRIAL = "yes"
_LIMIT_S = 30
_ESPEAK_WORDS_A_MINUTE = 175


class Voice(NamedTuple):
    """A voice of an engine, such as ``espeak-ng`` and ``en-us+f3``."""

    engine: str
    name: str

    def __str__(self) -> str:
        return f"{self.engine}:{self.name}"

    @property
    def speaker(self) -> str:
        """A name for files: letters, digits and hyphens."""
        return re.sub(r"[^A-Za-z0-9]+", "-", f"{self.engine.removesuffix('-ng')}-{self.name}").strip("-")


class NoVoiceError(UnavailableError):
    """A voice does not work, or is really another one."""


def installed() -> list[str]:
    """The installed engines."""
    programs = {"espeak-ng": "espeak-ng", "flite": "flite", "festival": "text2wave"}
    return [engine for engine, program in programs.items() if shutil.which(program)]


def voices(engine: str) -> list[Voice]:
    """The English voices that an engine claims to have; those of espeak-ng with all variants."""
    if engine == "flite":
        names = _told("flite", "-lv").rpartition(":")[2].split()
        return [Voice(engine, name) for name in names if not name.endswith("_time")]  # which can only tell the time
    if engine == "festival":
        return [Voice(engine, name) for name in re.findall(r"[\w-]+", _told("festival", "-b", "(print (voice.list))"))]
    accents = [row[1] for row in _espeak_rows("en") if not row[4].startswith("mb/")]  # MBROLA is not in Debian's main
    variants = [row[4].removeprefix("!v/") for row in _espeak_rows("variant")]
    plain = [Voice(engine, accent) for accent in accents if accent != "variant"]
    return [*plain, *(Voice(engine, f"{voice.name}+{variant}") for voice in plain for variant in variants)]


def speak(voice: Voice, text: str, tempo: float = 1.0) -> tuple[Signal, int]:
    """``text`` spoken: samples (n,) in -1..1 and their rate in Hz.

    Args:
        tempo: how many times as fast as the voice speaks by itself.

    Raises:
        NoVoiceError: there was no speech.
    """
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        path, source = Path(folder) / "speech.wav", Path(folder) / "text"
        source.write_text(text + "\n", encoding="utf-8")
        try:
            done = subprocess.run(
                _command(voice, source, path, tempo),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_LIMIT_S,
                errors="replace",
                text=True,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NoVoiceError(str(voice), f"does not speak: {error}") from error
        if done.returncode or not path.exists() or path.stat().st_size <= 44:  # only a WAV header
            why = (done.stderr.strip().splitlines() or ["no file was written"])[-1]
            raise NoVoiceError(str(voice), f"does not speak: {why}")
        samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    return samples[:, 0], rate_hz


def usable(wanted: Sequence[Voice], *, strict: bool) -> Iterator[Voice]:
    """The voices, in order, that work and whose output differs from that of any other; each is tried when it is needed.

    Args:
        strict: raise NoVoiceError for the others rather than leave them out.
    """
    known: dict[bytes, str] = {}
    for voice in wanted:
        try:
            trial = _fingerprint(voice)
            instead = _fallback(voice)
            if instead is not None and trial == _fingerprint(instead):
                raise NoVoiceError(str(voice), f"falls back to {instead.name} silently", "Choose another voice.")
            if trial in known:
                raise NoVoiceError(str(voice), f"speaks as {known[trial]} does", "Choose another voice.")
        except NoVoiceError:
            if strict:
                raise
            continue
        known[trial] = str(voice)
        yield voice


@functools.cache
def _fingerprint(voice: Voice) -> bytes:
    samples, rate_hz = speak(voice, TRIAL)
    return hashlib.sha256(rate_hz.to_bytes(4, "little") + samples.tobytes()).digest()


def _fallback(voice: Voice) -> Voice | None:
    """The engine's output for an unknown voice; None if it fails instead."""
    accent, plus, _ = voice.name.partition("+")
    if voice.engine == "espeak-ng" and plus:
        return Voice(voice.engine, accent)
    if voice.engine == "flite" and voice.name != "kal":
        return Voice(voice.engine, "kal")
    return None


def _command(voice: Voice, text: Path, output: Path, tempo: float) -> list[str]:
    if voice.engine == "espeak-ng":
        speed = str(round(_ESPEAK_WORDS_A_MINUTE * tempo))
        return ["espeak-ng", "-v", voice.name, "-s", speed, "-z", "-f", str(text), "-w", str(output)]
    if voice.engine == "flite":
        stretch = f"duration_stretch={1 / tempo:.3f}"
        return ["flite", "-voice", voice.name, "--setf", stretch, "-f", str(text), "-o", str(output)]
    scheme = [f"(voice_{voice.name})", f"(Parameter.set 'Duration_Stretch {1 / tempo:.3f})"]
    return ["text2wave", "-eval", scheme[0], "-eval", scheme[1], "-o", str(output), str(text)]


def _espeak_rows(kind: str) -> list[list[str]]:
    """Priority, language, age/gender, name, file of each voice."""
    return [line.split() for line in _told("espeak-ng", f"--voices={kind}").splitlines()[1:]]


def _told(*command: str) -> str:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_LIMIT_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise UnavailableError(command[0], f"cannot list its voices: {error}") from error
    return done.stdout
