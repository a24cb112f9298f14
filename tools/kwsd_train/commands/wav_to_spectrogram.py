"""``kwsd-train wav-to-spectrogram``: a picture of a recording, byte for byte as TensorFlow's wav_to_spectrogram.

Rows are time, downwards; columns are frequency, from 0 Hz on the left to half the sample rate on the right.
"""

import argparse
import io
import logging
from pathlib import Path
from typing import Any

from kwsd.errors import InputError, UnavailableError
from kwsd_train.flags import flag as flags
from kwsd_train.flags import table as flag_table
from kwsd_train.training import progress

HELP = "draw the spectrogram of a recording as a greyscale PNG image"
EXAMPLE = "kwsd-train wav-to-spectrogram --input_wav stop.wav --output_image stop.png --brightness 64"

_log = logging.getLogger("kwsd_train")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    read = "WAV, FLAC, Ogg or MP3 file; the first channel is used"
    parser.add_argument("--input_wav", type=Path, required=True, metavar="FILE", help=read)
    flags.add(parser, flag_table.WAV_TO_SPECTROGRAM)
    parser.add_argument(
        "--output_image",
        "--output_png",
        type=Path,
        default=Path("spectrogram.png"),
        metavar="FILE",
        help="image to write (default: spectrogram.png)",
    )


def run(args: argparse.Namespace) -> int:
    progress.log_plainly()
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise UnavailableError("Pillow", "it is not installed", "Install it: pip install 'kwsd[train]'.") from error

    from kwsd.whole_file import write_whole

    signal = _first_channel(args.input_wav)
    if len(signal) < args.window_size:
        raise InputError(
            str(args.input_wav), f"its {len(signal)} samples are less than a window", "Lower --window_size."
        )
    picture = io.BytesIO()
    Image.fromarray(grey(signal, args.window_size, args.stride, args.brightness)).save(picture, "PNG")
    write_whole(args.output_image, picture.getvalue())
    _log.info('Wrote to "%s"', args.output_image)
    return 0


def grey(signal: Any, window: int, stride: int, brightness: float) -> Any:
    """Magnitudes as grey values.

    Port of AudioSpectrogram (magnitude_squared off) and the scaling in tensorflow/examples/wav_to_spectrogram, with
    their roundings: powers and magnitudes to float32, greys cut off.

    Args:
        signal: samples in -1..1, shape (n,) with n at least ``window``.
        window, stride: in samples.
        brightness: grey of magnitude 1.

    Returns:
        uint8, shape (frames, bins): 1 + (n - window) // stride frames, next power of two / 2 + 1 bins.
    """
    import numpy as np

    from kwsd.frontend.spectrum import hann

    frames = np.lib.stride_tricks.sliding_window_view(np.asarray(signal, np.float64), window)[::stride]
    length = 1 << (window - 1).bit_length()
    rows = np.empty((len(frames), length // 2 + 1), np.uint8)
    for start in range(0, len(frames), 256):  # a long recording's spectra would fill the memory
        spectrum = np.fft.rfft(frames[start : start + 256] * hann(window, window), length)
        magnitudes = np.sqrt((np.square(spectrum.real) + np.square(spectrum.imag)).astype(np.float32))
        rows[start : start + 256] = np.minimum(magnitudes * np.float32(brightness), np.float32(255)).astype(np.uint8)
    return rows


def _first_channel(path: Path) -> Any:
    """Samples at the file's own rate, shape (n,), all of them finite. InputError if it cannot be read."""
    import numpy as np
    import soundfile

    try:
        signal = soundfile.read(path, dtype="float32", always_2d=True)[0][:, 0]
    except (soundfile.LibsndfileError, OSError) as error:
        raise InputError(str(path), f"cannot be read: {getattr(error, 'error_string', error)}") from error
    if len(signal) and not np.isfinite(signal).any():
        raise InputError(str(path), "cannot be read: none of its samples is a finite number")
    return np.nan_to_num(signal, posinf=1.0, neginf=-1.0)
