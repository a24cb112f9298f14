"""``kwsd-train wav-to-features``: the features of a recording as a C file, for NumPy, or as a table.

The numbers are those of ``kwsd.frontend``, which train and the daemon use too.
"""

import argparse
import io
import json
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kwsd.errors import UsageError
from kwsd_train.flags import flag as flags
from kwsd_train.flags import options
from kwsd_train.flags import table as flag_table
from kwsd_train.training import progress

HELP = "write the features of a recording as C source, .npz or CSV"
EXAMPLE = "kwsd-train wav-to-features --input_wav yes.wav --window_stride_ms 20 --quantize --output_c_file yes.cc"

FLAGS = tuple(flag for flag in flag_table.FEATURES if flag.name not in ("wanted_words", "model_architecture"))

QUANTIZED_RANGES = {"mfcc": (-247.0, 30.0), "average": (0.0, 127.5), "micro": (0.0, 26.0)}
"""Features that become 0 and 255, as in the tutorial's input_data.get_features_range."""

_log = logging.getLogger("kwsd_train")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_flags(parser, "features", FLAGS)
    group = parser.add_argument_group("files")
    group.add_argument(
        "--input_wav", required=True, metavar="FILE", help="WAV, FLAC, Ogg or MP3 file; the first channel is used"
    )
    group.add_argument("--output_c_file", type=Path, metavar="FILE", help="C source file to write")
    group.add_argument("--output_npz_file", type=Path, metavar="FILE", help="NumPy archive to write")
    group.add_argument("--output_csv_file", type=Path, metavar="FILE", help="CSV table to write, one line per window")
    group.add_argument(
        "--quantize",
        action="store_true",
        help="write whole numbers from 0 to 255 (not with log_mel, which has no fixed range)",
    )


def run(args: argparse.Namespace) -> int:
    progress.log_plainly()
    settings = options.resolve(args, flags.defaults(FLAGS))
    params = options.frontend_params(settings)
    if args.quantize and settings["preprocess"] not in QUANTIZED_RANGES:
        raise UsageError("--quantize", f"{settings['preprocess']} has no range that would become 0 to 255")
    writers = {args.output_c_file: _c_source, args.output_npz_file: _npz, args.output_csv_file: _csv}
    writers.pop(None, None)
    if not writers:
        raise UsageError("wav-to-features", "no file to write", "Name one by --output_c_file.")

    import numpy as np

    from kwsd.audio.clip import read_clip
    from kwsd.whole_file import write_whole
    from kwsd_train.batches import features

    front = features.create(settings)
    rate_hz = settings["sample_rate"]
    clip = read_clip(args.input_wav, rate_hz, rate_hz * settings["clip_duration_ms"] // 1000, any_format=True)
    rows = front.compute(clip)
    if not np.isfinite(rows).all():
        raise UsageError("--log_floor", "with 0, digital silence has no logarithm", "Raise it.")
    if args.quantize:
        rows = quantized(rows, settings["preprocess"])
    for path, write in writers.items():
        write_whole(path, write(rows, args.input_wav, settings, params))
        _log.info('Wrote to "%s"', path)
    return 0


def quantized(rows: Any, preprocess: str) -> Any:
    """Features as uint8: ``round(255 (v - min) / (max - min))``, clamped to 0..255."""
    import numpy as np

    low, high = QUANTIZED_RANGES[preprocess]
    scaled = np.rint(255 * (np.asarray(rows, np.float64) - low) / (high - low))
    return np.clip(scaled, 0, 255).astype(np.uint8)


def _c_source(rows: Any, wav: str, settings: Mapping[str, Any], params: Mapping[str, Any]) -> bytes:
    height, width = rows.shape
    base = "g_" + re.sub(r"\W", "_", Path(wav).stem.lower(), flags=re.ASCII)
    flags = " \\\n".join(f" *   --{name}={value}" for name, value in settings.items() if value is not None)
    kind = "unsigned char" if rows.dtype == "uint8" else "float"
    lines = [
        f"/* Made by kwsd-train wav-to-features \\\n{flags}\n */",
        f"\nconst int {base}_width = {width};",
        f"const int {base}_height = {height};\n",
        f"const {kind} {base}_data[] = {{",
        *_tens([_number(value, "f") for value in rows.ravel()]),
        "};",
    ]
    return ("\n".join(lines) + "\n").encode()


def _csv(rows: Any, wav: str, settings: Mapping[str, Any], params: Mapping[str, Any]) -> bytes:
    return "".join(",".join(_number(value) for value in row) + "\n" for row in rows).encode()


def _npz(rows: Any, wav: str, settings: Mapping[str, Any], params: Mapping[str, Any]) -> bytes:
    """Arrays ``features``, shape (windows, width), and ``frontend``: JSON for ``kwsd.frontend.create``."""
    import numpy as np

    content = io.BytesIO()
    frontend = json.dumps({**params, "sample_rate_hz": settings["sample_rate"]})
    np.savez(content, features=rows, frontend=np.array(frontend))
    return content.getvalue()


def _tens(numbers: Sequence[str]) -> list[str]:
    """Lines of ten, with a comma after each number, which C allows after the last too."""
    return [f"    {', '.join(numbers[start : start + 10])}," for start in range(0, len(numbers), 10)]


def _number(value: Any, suffix: str = "") -> str:
    """A float32 with nine digits, which represent it exactly; an integer unchanged."""
    if value.dtype.kind == "u":
        return str(value)
    text = f"{value:.9g}"
    return (text if any(sign in text for sign in ".e") else f"{text}.0") + suffix
