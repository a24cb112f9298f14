"""Networks by name. Each family has a file; a builder takes (frames, width, labels) and gives a Keras model.

Input: features (batch, frames, width). Output: logits (batch, labels). TensorFlow is imported by a builder only.
"""

import importlib
from typing import Any

from kwsd.errors import UsageError

FAMILIES = {
    "single_fc": "tutorial",
    "conv": "tutorial",
    "low_latency_conv": "tutorial",
    "low_latency_svdf": "tutorial",
    "tiny_conv": "tutorial",
    "tiny_embedding_conv": "tutorial",
    "ds_cnn_s": "ds_cnn",
    "ds_cnn_m": "ds_cnn",
    "ds_cnn_l": "ds_cnn",
    "tc_resnet8": "tc_resnet",
    "tc_resnet14": "tc_resnet",
    "tc_resnet8_1_5": "tc_resnet",
    "tc_resnet14_1_5": "tc_resnet",
    "bc_resnet_1": "bc_resnet",
    "bc_resnet_1_5": "bc_resnet",
    "bc_resnet_2": "bc_resnet",
    "bc_resnet_3": "bc_resnet",
    "bc_resnet_6": "bc_resnet",
    "bc_resnet_8": "bc_resnet",
    "res2d1d": "res2d1d",
}
"""Name of each architecture -> module with a dict BUILDERS that has it."""


def check(name: str) -> None:
    """UsageError for a name that is none."""
    if name not in FAMILIES:
        allowed = ", ".join(f'"{known}"' for known in FAMILIES)
        raise UsageError("--model_architecture", f'argument "{name}" not recognized', f"It is one of {allowed}.")


def build(name: str, frames: int, width: int, labels: int, batch_size: int | None = None) -> Any:
    """A fresh keras.Model of that name, its weights drawn from Keras's global seed."""
    check(name)
    builders = importlib.import_module(f"kwsd_train.architectures.{FAMILIES[name]}").BUILDERS
    import keras

    features = keras.Input((frames, width), batch_size=batch_size)
    return keras.Model(features, builders[name](features, labels), name=name)


def parameters(model: Any) -> int:
    """Numbers that training changes; moving averages of batch norm are not among them."""
    return sum(int(weight.shape.num_elements()) for weight in model.trainable_weights)


def multiply_adds(model: Any) -> int:
    """Multiply-adds of one clip in convolutions and dense layers, padding counted."""
    return sum(_of_layer(layer) for layer in model.layers)


def _of_layer(layer: Any) -> int:
    kernel = getattr(layer, "kernel", None)
    if kernel is None:
        return 0
    positions = 1
    for size in layer.output.shape[1:-1]:
        positions *= size
    return int(kernel.shape.num_elements()) * positions
