"""Recordings of any kind: through libsndfile (including MP3), and others through ffmpeg (a telephone's m4a)."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from kwsd.errors import InputError
from kwsd_train.batches.augment import Signal

FOREIGN = frozenset({".m4a", ".aac", ".mp4", ".3gp", ".amr", ".wma", ".caf", ".webm", ".mkv", ".mov"})
"""Extensions of formats that ffmpeg reads and libsndfile does not."""

_LIMIT_S = 600


def read(path: Path, rate_hz: int) -> Signal:
    """The louder channel of a recording at ``rate_hz``, (n,) in -1..1. Raises InputError."""
    import soundfile
    import soxr

    if not path.is_file():  # a named pipe would wait for its writer
        raise InputError(str(path), "cannot be read: it is not a file", "Leave it out.")
    try:
        samples, file_rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError, RuntimeError):
        with tempfile.TemporaryDirectory() as folder:
            samples, file_rate_hz = soundfile.read(_converted(path, Path(folder)), dtype="float32", always_2d=True)
    if not len(samples):
        raise InputError(str(path), "holds no sound", "Leave it out.")
    samples = np.nan_to_num(samples)
    loudest = samples[:, int(np.argmax(np.square(samples, dtype=np.float64).sum(axis=0)))]
    if file_rate_hz == rate_hz:
        return np.ascontiguousarray(loudest)
    return np.asarray(soxr.resample(np.ascontiguousarray(loudest), file_rate_hz, rate_hz), np.float32)


def _converted(path: Path, folder: Path) -> Path:
    """The first audio stream as WAV, by ffmpeg, which may not open other files or addresses."""
    if not shutil.which("ffmpeg"):
        raise InputError(str(path), "cannot be read without ffmpeg", "sudo apt-get install ffmpeg")
    output = folder / "converted.wav"
    command = ["ffmpeg", "-nostdin", "-v", "error", "-protocol_whitelist", "file", "-i", f"file:{path}"]
    try:
        done = subprocess.run(
            [*command, "-map", "0:a:0", "-c:a", "pcm_s16le", str(output)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LIMIT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(str(path), f"ffmpeg was not done after {_LIMIT_S} s", "Leave it out.") from error
    if done.returncode or not output.exists():
        why = (done.stderr.strip().splitlines() or ["no sound in it"])[-1]
        raise InputError(str(path), f"cannot be read: {why}", "Repair or remove it.")
    return output
