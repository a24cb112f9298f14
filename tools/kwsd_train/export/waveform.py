"""The front end as a part of the graph, for ``freeze --input waveform``.

Such a file has the inputs of TensorFlow's Android speech app: samples, float32 [N,1] in -1..1, and their rate, int32
[1].
mfcc and average use the operators AudioSpectrogram and Mfcc, which TFLite's runtimes have as custom ones; log_mel
uses builtin ones.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kwsd.errors import UsageError
from kwsd.frontend.spectrum import hann
from kwsd_train.export.convert import convert
from kwsd_train.flags import options

FRONTEND = {"type": "waveform"}
"""The ``frontend`` of such a model's metadata."""


def check(settings: Mapping[str, Any]) -> None:
    """UsageError for a front end that cannot be part of a graph."""
    if settings["preprocess"] == "micro":
        raise UsageError(
            "--input", "TFLite's runtimes do not have the operator of the micro front end", "Leave it out."
        )


def to_tflite(scorer: Any, settings: Mapping[str, Any], quantize: str, signals: Any, float_layers: int = 0) -> bytes:
    """The .tflite bytes of a Keras model with one input (1, frames, width), preceded by its front end.

    Args:
        signals: clips (n, samples) in -1..1 that show the ranges of all tensors; used for int8, in which front end,
            inputs and output stay in floats.
        float_layers: of the network, see `convert.convert`.
    """
    import keras

    samples = keras.Input(batch_shape=(signals.shape[1], 1), name="decoded_sample_data")
    rate_hz = keras.Input(batch_shape=(1,), dtype="int32", name="sample_rate")
    rows = _rows_layer(settings, scorer.input.shape)(samples, rate_hz)
    whole = keras.Model([samples, rate_hz], scorer(rows))
    signature = [keras.InputSpec(shape=one.shape, dtype=one.dtype, name=one.name) for one in whole.inputs]
    shown = {
        "decoded_sample_data": signals[:, :, None],
        "sample_rate": np.full((len(signals), 1), settings["sample_rate"], np.int32),
    }
    with tempfile.TemporaryDirectory() as folder:
        whole.export(folder, format="tf_saved_model", verbose=False, input_signature=[signature])
        return convert(Path(folder), quantize, shown, float_layers)


def _rows_layer(settings: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    """A Keras layer: samples (n, 1) and their rate (1,) to features of that shape, as in ``kwsd.frontend``."""
    import keras
    import tensorflow as tf

    params = options.frontend_params(settings)
    window, stride = (int(settings["sample_rate"] * params[key] / 1000) for key in ("window_ms", "stride_ms"))
    length = 1 << (window - 1).bit_length()

    def mfcc(samples: Any, rate_hz: Any) -> Any:
        return tf.raw_ops.Mfcc(
            spectrogram=_powers(samples),
            sample_rate=tf.reshape(rate_hz, []),
            lower_frequency_limit=params["lower_hz"],
            upper_frequency_limit=params["upper_hz"],
            filterbank_channel_count=params["mel_bins"],
            dct_coefficient_count=params["coefficients"],
        )

    def average(samples: Any, rate_hz: Any) -> Any:
        pooled = (length // 2 + 1) // params["bins"]
        return tf.nn.avg_pool2d(_powers(samples)[..., None], (1, pooled), (1, pooled), "SAME")[..., 0]

    def _powers(samples: Any) -> Any:
        return tf.raw_ops.AudioSpectrogram(input=samples, window_size=window, stride=stride, magnitude_squared=True)

    def log_mel(samples: Any, rate_hz: Any) -> Any:
        frames = tf.signal.frame(samples[:, 0], window, stride) * hann(window, window - window % 2).astype(np.float32)
        magnitudes = tf.abs(tf.signal.rfft(frames, [length]))
        bank = tf.signal.linear_to_mel_weight_matrix(
            params["mel_bins"],
            length // 2 + 1,
            settings["sample_rate"],
            float(params["lower_hz"]),
            float(params["upper_hz"]),
            tf.float64,
        )
        energies = magnitudes ** params["power"] @ tf.cast(bank, tf.float32)
        return tf.math.log(energies + params["floor"])

    operations = {"mfcc": mfcc, "average": average, "log_mel": log_mel}[params["type"]]

    class FrontEnd(keras.layers.Layer):  # type: ignore[misc]
        """The front end of the settings."""

        def call(self, samples: Any, rate_hz: Any) -> Any:
            return tf.reshape(operations(samples, rate_hz), shape)

        def compute_output_shape(self, samples_shape: Any, rate_hz_shape: Any) -> Any:
            return shape

    return FrontEnd()
