"""Networks by name. Each family has a file; a builder takes (frames, width, labels) and returns a Keras model.

Input: features (batch, frames, width). Output: logits (batch, labels). TensorFlow is imported by a builder only.
``path/to/file.py:function`` names the user's own builder: (features, labels) to logits, Keras tensors both.
"""

import importlib
import importlib.util
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kwsd.errors import UsageError
from kwsd_train.extra import missing

_NAMES = {
    "tutorial": "single_fc conv low_latency_conv low_latency_svdf tiny_conv tiny_embedding_conv",
    "ds_cnn": "ds_cnn_s ds_cnn_m ds_cnn_l",
    "tc_resnet": "tc_resnet8 tc_resnet14 tc_resnet8_1_5 tc_resnet14_1_5",
    "matchboxnet": "matchboxnet_3x1x64 matchboxnet_3x2x64 matchboxnet_6x2x64",
    "bc_resnet": "bc_resnet_1 bc_resnet_1_5 bc_resnet_2 bc_resnet_3 bc_resnet_6 bc_resnet_8",
    "recurrent": "gru lstm crnn_s crnn_m crnn_l att_rnn mhatt_rnn",
    "res2d1d": "res2d1d_tiny res2d1d res2d1d_large",
}

FAMILIES = {name: family for family, names in _NAMES.items() for name in names.split()}
"""Name of each architecture -> module with a dict BUILDERS that has it."""


def is_own(name: str) -> bool:
    """Whether the name is a function in the user's file, ``path/to/file.py:function``, not one of FAMILIES."""
    return ".py:" in name


def absolute(name: str) -> str:
    """The name with an absolute path, so that a checkpoint refers to the same file wherever it is used."""
    path, colon, function = name.rpartition(":")
    return f"{Path(path).resolve()}{colon}{function}" if is_own(name) else name


def title(name: str) -> str:
    """The name without a path, as used in the names of checkpoints."""
    return name.rpartition(":")[2] if is_own(name) else name


def check(name: str) -> None:
    """UsageError for an invalid name, or a missing file. `build` checks the content of the file."""
    if is_own(name):
        if not Path(name.rpartition(":")[0]).is_file():
            raise _refused(name, FileNotFoundError("no such file"))
    elif name not in FAMILIES:
        allowed = ", ".join(f'"{known}"' for known in FAMILIES)
        raise UsageError("--model_architecture", f'argument "{name}" not recognized', f"It is one of {allowed}.")


def build(name: str, frames: int, width: int, labels: int, batch_size: int | None = None) -> Any:
    """A new keras.Model of that name, its weights drawn from Keras's global seed. ``model.architecture`` is the name.

    UsageError if a function in the user's file fails, or does not return logits (batch, labels).
    """
    builder = _builder(name)
    import keras

    features = keras.Input((frames, width), batch_size=batch_size)
    try:
        logits = builder(features, labels)
        if tuple(logits.shape[1:]) != (labels,):
            raise ValueError(f"it gives {logits.shape}, not (batch, {labels})")
        model = keras.Model(features, logits, name=title(name))
    except Exception as error:
        if not is_own(name):
            raise
        raise _refused(name, error) from error
    model.architecture = name
    return model


def _builder(name: str) -> Callable[[Any, int], Any]:
    """The function that makes logits from features."""
    check(name)
    if name in FAMILIES:
        builder: Callable[[Any, int], Any] = _module(FAMILIES[name]).BUILDERS[name]
        return builder
    path, _, function = name.rpartition(":")
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None and spec.loader is not None  # the name ends in .py
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        own: Callable[[Any, int], Any] = getattr(module, function)
    except Exception as error:  # the user's file may raise anything
        raise missing(error) or _refused(name, error) from error
    return own


def _module(family: str) -> Any:
    return importlib.import_module(f"kwsd_train.networks.{family}")


def _refused(name: str, error: Exception) -> UsageError:
    return UsageError("--model_architecture", f"{name} does not build a network: {type(error).__name__}: {error}")


def embedding(model: Any) -> Any:
    """The features before the last layer, a Keras tensor (batch, n). UsageError if that layer is not a dense one."""
    last = model.layers[-1]
    if type(last).__name__ != "Dense" or len(last.input.shape) != 2:
        raise UsageError(
            "--model_architecture", f"{model.name} does not end in one dense layer, so it has no embedding"
        )
    return last.input


def parameters(model: Any) -> int:
    """Number of trainable parameters; moving averages of batch norm do not count."""
    return sum(_size(weight) for weight in model.trainable_weights)


def multiply_adds(model: Any) -> int:
    """Multiply-adds of one clip in convolutions, dense and recurrent layers and attention, padding counted."""
    return sum(_of_layer(layer) for layer in model.layers)


def _of_layer(layer: Any) -> int:
    directions = [getattr(layer, side) for side in ("forward_layer", "backward_layer") if hasattr(layer, side)]
    cells = [one.cell for one in directions or [layer] if hasattr(one, "cell")]
    if cells:
        weights = [weight for cell in cells for weight in (cell.kernel, cell.recurrent_kernel)]
        return int(layer.input.shape[1]) * sum(_size(weight) for weight in weights)
    if type(layer).__name__ == "Dot":
        return int(math.prod(layer.output.shape[1:])) * int(layer.input[0].shape[layer.axes[0]])
    kernel = getattr(layer, "kernel", None)
    return 0 if kernel is None else int(_size(kernel) * math.prod(layer.output.shape[1:-1]))


def _size(weight: Any) -> int:
    return int(weight.shape.num_elements())
