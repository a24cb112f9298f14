"""``kwsd-train freeze``: a checkpoint to one self-describing .tflite file."""

import argparse
import contextlib
import json
import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kwsd.errors import KwsdError, OutputError, UsageError, reason
from kwsd.model.runtime import quiet_stderr
from kwsd.whole_file import write_whole
from kwsd_train import networks
from kwsd_train.data.folders import labels_of
from kwsd_train.export import waveform
from kwsd_train.export.convert import convert, output_name
from kwsd_train.flags import flag as flags
from kwsd_train.flags import options
from kwsd_train.flags import table as flag_table
from kwsd_train.training import checkpoint, progress, tensorflow_import

HELP = "make a .tflite file for kwsd from a checkpoint"
EXAMPLE = "kwsd-train freeze --start_checkpoint latest --output_file yes_no.tflite --quantize int8"

BOUNDS = {"none": 1e-4, "float16": 0.01, "dynamic": 0.05, "int8": 0.05}
"""Tolerance between the file's scores and Keras's: the largest difference in a clip, averaged over clips."""

_REPRESENTATIVE_BATCHES = 5
_MOST_FLOAT_LAYERS = 2
_COMPARED = 300
_log = logging.getLogger("kwsd_train")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_folders(parser)
    parser.add_argument(
        "--data_url", metavar="URL", help="accepted for compatibility with train; nothing is downloaded"
    )
    parser.add_argument(
        "--clip_stride_ms", metavar="MS", help="accepted for compatibility with the tutorial; kwsd has its own"
    )
    options.add_flags(parser, "features and network (default: the checkpoint's)", flag_table.FEATURES)
    options.add_flags(parser, "data (default: the checkpoint's)", flag_table.DATA)
    options.add_flags(parser, "augmentation (default: the checkpoint's)", flag_table.AUGMENTATION)
    group = parser.add_argument_group("freezing")
    group.add_argument(
        "--start_checkpoint",
        required=True,
        metavar="FILE",
        help="checkpoint to freeze; `latest` is the newest in --train_dir",
    )
    group.add_argument(
        "--train_dir",
        type=Path,
        default=Path("/tmp/speech_commands_train"),
        metavar="DIR",
        help="folder of checkpoints (default: /tmp/speech_commands_train)",
    )
    group.add_argument("--output_file", type=Path, required=True, metavar="FILE", help=".tflite file to write")
    flags.add(group, flag_table.FREEZE)
    options.add_trust(group)
    group.add_argument(
        "--weights_file", type=Path, metavar="FILE", help="also write the float weights to this file (.weights.h5)"
    )
    group.add_argument("--name", metavar="TEXT", help="name of the model (default: that of the file)")
    group.add_argument(
        "--metadata",
        type=Path,
        metavar="FILE",
        help="JSON file with the keys version, recognize, training and licence for the model's metadata",
    )


def run(args: argparse.Namespace) -> int:
    progress.log_plainly()
    if args.weights_file and not args.weights_file.name.endswith(".weights.h5"):
        raise UsageError("--weights_file", "must end in .weights.h5")
    stored = checkpoint.load(checkpoint.find(args.start_checkpoint, args.train_dir))
    settings = options.resolve(args, options.FEATURE_DEFAULTS, stored.settings)
    settings = {**options.DATA_DEFAULTS, **options.AUGMENT_DEFAULTS, **stored.settings, **settings}
    settings |= options.given(args, options.DATA_DEFAULTS | options.AUGMENT_DEFAULTS)
    options.check_trusted(args, settings)
    if args.original_share and not stored.variables.get("donor"):
        why = "the checkpoint holds no weights of an original model"
        raise UsageError("--original_share", why, "Leave it out, or name a checkpoint of a fine-tuned model.")
    extra = _extra_metadata(args.metadata)
    if stored.settings.get("recognize"):  # of the model that was fine-tuned
        extra = {"recognize": stored.settings["recognize"], **extra}

    tensorflow_import.load()
    import tensorflow as tf

    from kwsd_train.batches import features
    from kwsd_train.export.metadata_writer import write
    from kwsd_train.training.trainer import tested_model

    labels = labels_of(options.words(settings))
    shape = features.shape(settings)
    front = options.frontend_params(settings)
    if args.input == "waveform":
        waveform.check(settings)
        front = waveform.FRONTEND
    shown, compared = _real(settings, args, front) if args.quantize == "int8" else _made_up(settings, front)
    model = tested_model(settings, shape, len(labels), stored.variables, settings["original_share"])
    scorer = scoring(model)
    embedder = embedding_too(scorer) if args.embedding else scorer
    rows = compared
    if args.input == "waveform":
        rows = np.stack([features.create(settings).compute(signal) for signal in compared])
    expected = np.concatenate([scorer(clip[None]) for clip in rows])
    for float_layers in _float_layers(args.quantize, settings):
        try:
            if args.input == "waveform":
                tflite = waveform.to_tflite(embedder, settings, args.quantize, shown, float_layers)
            else:
                tflite = to_tflite(embedder, args.quantize, shown, float_layers)
        except (OSError, tf.errors.OpError) as error:
            why = getattr(error, "strerror", None) or str(error).splitlines()[0]
            raise OutputError(
                tempfile.gettempdir(), f"cannot be written: {why}", "Make room, or set TMPDIR."
            ) from error
        difference = score_difference(tflite, compared, expected, settings["sample_rate"])
        _log.info(
            "Scores differ from Keras by %f (mean over %d clips)%s", difference, len(compared), _told(float_layers)
        )
        if difference <= BOUNDS[args.quantize]:
            break
    else:
        raise KwsdError(
            str(args.output_file),
            f"not written: its scores differ from Keras by {difference:.4f}, more than {BOUNDS[args.quantize]:g}",
            "Freeze with --quantize none.",
        )
    metadata = {
        "format": 1,
        "name": args.name or args.output_file.stem,
        "labels": labels,
        "sample_rate_hz": settings["sample_rate"],
        "clip_ms": settings["clip_duration_ms"],
        "frontend": front,
        "scores": "probabilities",
        **extra,
    }
    if args.embedding:
        metadata["embedding"] = output_name(tflite, "embedding")
    metadata["training"] = {
        "architecture": networks.title(settings["model_architecture"]),
        **extra.get("training", {}),
    }
    write_whole(args.output_file, write(tflite, metadata))
    _log.info("Saved frozen graph to %s", args.output_file)
    if args.weights_file:
        write_weights(model, args.weights_file)
    return 0


def write_weights(model: Any, path: Path) -> None:
    """Write the float weights under a temporary name, then rename. Creates a missing folder. Raises OutputError."""
    temporary = path.with_name(f".{os.getpid()}.{path.name}")  # Keras goes by the ending
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        model.save_weights(temporary)
        temporary.replace(path)
    except OSError as error:  # HDF5 has texts of its own, of several lines
        why = error.strerror or str(error).splitlines()[0]
        raise OutputError(str(path), f"cannot be written: {why}", "Make room or name another file.") from error
    finally:  # after Ctrl-C too
        with contextlib.suppress(OSError):  # renamed, or never created
            temporary.unlink()
    _log.info("Saved weights to %s", path)


def _float_layers(quantize: str, settings: Mapping[str, Any]) -> Sequence[int]:
    """How many of the first layers stay in floats when the others have 8 bits: numbers are tried until scores agree.

    Coefficient 0 of mfcc is the loudness and much larger than the others, which lose most of their precision when all
    share one 8-bit scale.
    """
    if quantize != "int8":
        return (0,)
    return range(int(settings["preprocess"] == "mfcc"), _MOST_FLOAT_LAYERS + 1)


def _told(float_layers: int) -> str:
    if not float_layers:
        return ""
    return f", input and {'first layer' if float_layers == 1 else f'first {float_layers} layers'} in floats"


def scoring(model: Any) -> Any:
    """The same network and weights with a batch of one, and probabilities instead of logits."""
    import keras

    frames, width = model.input.shape[1:]
    fixed = networks.build(model.architecture, frames, width, model.output.shape[-1], batch_size=1)
    fixed.set_weights(model.get_weights())
    return keras.Model(fixed.inputs[0], keras.layers.Softmax()(fixed.outputs[0]))


def embedding_too(scorer: Any) -> Any:
    """The same with a second output: the features before the last layer."""
    import keras

    *_, last, _softmax = scorer.layers
    embedding = networks.embedding(keras.Model(scorer.inputs[0], last.output, name=scorer.name))
    return keras.Model(scorer.inputs[0], {"scores": scorer.outputs[0], "embedding": embedding})


def to_tflite(scorer: Any, quantize: str, representative: Any, float_layers: int = 0) -> bytes:
    """The .tflite bytes of a Keras model with a fixed batch; see `convert`."""
    import keras

    # explicit, since an export leaves the batch open by default: 1.7 times slower, 9 times on tflite-runtime
    signature = [keras.InputSpec(shape=scorer.input.shape, dtype="float32", name="features")]
    with tempfile.TemporaryDirectory() as folder:
        scorer.export(folder, format="tf_saved_model", verbose=False, input_signature=signature)
        shown = {"features": representative[:, None]}
        return convert(Path(folder), quantize, shown, float_layers)


def _real(settings: Mapping[str, Any], args: argparse.Namespace, front: Mapping[str, Any]) -> tuple[Any, Any]:
    """The file's inputs: as in training, to find ranges, and from the validation set, to compare scores."""
    from kwsd_train.batches.examples import Examples
    from kwsd_train.batches.training_data import load_data

    if front is waveform.FRONTEND:  # samples have no bands to mask
        settings = {**settings, "time_masks": 0, "band_masks": 0, "mixup": 0.0}
    front = {**front, "sample_rate_hz": settings["sample_rate"]}
    examples = Examples(load_data(settings, options.folders(args)), settings, front)
    shown = np.concatenate([examples.batch(step).rows for step in range(1, _REPRESENTATIVE_BATCHES + 1)])
    compared = examples.evaluation_set("validation", 0, _COMPARED)[0]
    return shown, compared if len(compared) else shown[:_COMPARED]


def _made_up(settings: Mapping[str, Any], front: Mapping[str, Any]) -> tuple[Any, Any]:
    """Noise from faint to full scale as inputs, enough to compare floats with floats without any data."""
    from kwsd import frontend

    created = frontend.create({**front, "sample_rate_hz": settings["sample_rate"]})
    draw = np.random.default_rng(settings["seed"])
    count = settings["sample_rate"] * settings["clip_duration_ms"] // 1000
    clips = [draw.normal(0, 10 ** (level_db / 20), count).clip(-1, 1) for level_db in range(-90, 0, 3)]
    rows = np.stack([created.compute(clip.astype(np.float32)) for clip in clips])
    return rows, rows


def score_difference(tflite: bytes, clips: Any, expected: Any, rate_hz: int) -> float:
    """Mean over clips of the largest difference between the file's scores and ``expected``."""
    from ai_edge_litert.interpreter import Interpreter

    with quiet_stderr():
        interpreter = Interpreter(model_content=tflite, num_threads=1)
        interpreter.allocate_tensors()
    (source, *rate), target = interpreter.get_input_details(), interpreter.get_output_details()[0]
    for detail in rate:
        interpreter.set_tensor(detail["index"], np.array([rate_hz], np.int32))
    differences = []
    for clip, scores in zip(clips, expected, strict=True):
        interpreter.set_tensor(source["index"], _quantized(clip.reshape(source["shape"]), source))
        interpreter.invoke()
        raw = interpreter.get_tensor(target["index"])[0]
        scale, zero = target["quantization"]
        told = (raw.astype(np.float32) - zero) * scale if scale else raw
        differences.append(float(np.abs(told - scores).max()))
    return float(np.mean(differences))


def _quantized(values: Any, tensor: Mapping[str, Any]) -> Any:
    scale, zero = tensor["quantization"]
    if not scale:
        return values.astype(tensor["dtype"])
    limits = np.iinfo(tensor["dtype"])
    return np.clip(np.round(values / scale) + zero, limits.min, limits.max).astype(tensor["dtype"])


def _extra_metadata(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        extra = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(str(path), f"cannot be used as metadata: {reason(error)}") from error
    allowed = ("version", "recognize", "training", "licence")
    if not isinstance(extra, dict) or not extra.keys() <= set(allowed):
        raise UsageError(str(path), f"must be a JSON object with keys out of {', '.join(allowed)}")
    return extra
