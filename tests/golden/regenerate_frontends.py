"""Makes frontends.npz: what TensorFlow's own operations say about a few half-second signals.

    python tests/golden/regenerate_frontends.py

needs TensorFlow (made with 2.21) and soundfile. The file holds, under ``signal/NAME``, int16 samples; under
``params/CASE`` the front end's parameters as JSON; under ``CASE/NAME`` the features, float32. The speech is from
tests/data/clips. python_speech_features needs no golden values, since the tests run it.
"""

import json
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
SPEECH = HERE.parent / "data" / "clips"
SAMPLES = 8000

BAND = {"lower_hz": 20, "upper_hz": 4000}
WIDE = {"lower_hz": 20, "upper_hz": 7600}
CASES = {
    "mfcc-tutorial": {"type": "mfcc", "window_ms": 30, "stride_ms": 10, **BAND, "mel_bins": 40, "coefficients": 40},
    "mfcc-wide": {"type": "mfcc", "window_ms": 40, "stride_ms": 20, **WIDE, "mel_bins": 40, "coefficients": 13},
    "mfcc-8000": {
        **{"type": "mfcc", "sample_rate_hz": 8000, "window_ms": 30, "stride_ms": 30},
        **{"lower_hz": 100, "upper_hz": 3900, "mel_bins": 23, "coefficients": 12},
    },
    "mfcc-weak": {"type": "mfcc", "window_ms": 16, "stride_ms": 40, **BAND, "mel_bins": 40, "coefficients": 20},
    "log_mel-power": {
        "type": "log_mel",
        "window_ms": 40,
        "stride_ms": 20,
        **WIDE,
        "mel_bins": 40,
        "power": 2,
        "floor": 1e-6,
    },
    "log_mel-magnitude": {
        "type": "log_mel",
        "window_ms": 32,
        "stride_ms": 32,
        **BAND,
        "mel_bins": 20,
        "power": 1,
        "floor": 1e-3,
    },
    "log_mel-odd": {
        **{"type": "log_mel", "sample_rate_hz": 11025, "window_ms": 23.1, "stride_ms": 30},
        **{"lower_hz": 60, "upper_hz": 5512, "mel_bins": 64, "power": 2, "floor": 1e-6},
    },
    "average-tutorial": {"type": "average", "window_ms": 30, "stride_ms": 20, "bins": 40},
    "average-padded": {"type": "average", "window_ms": 40, "stride_ms": 40, "bins": 40},
    "micro-tutorial": {"type": "micro", "window_ms": 30, "stride_ms": 20, "bins": 40},
    "micro-long": {"type": "micro", "window_ms": 40, "stride_ms": 30, "bins": 24},
}


def signals() -> dict[str, np.ndarray]:
    """Half a second each, int16."""
    import soundfile

    rng = np.random.default_rng(59185)
    time_s = np.arange(SAMPLES) / 16000
    clicks = np.zeros(SAMPLES)
    clicks[[10, 2500, 2501, 6000]] = 1, -1, 0.5, 0.01
    quiet_then_loud = rng.normal(0, 1, SAMPLES) * np.where(time_s < 0.2, 1e-4, 0.3)
    made = {
        "silence": np.zeros(SAMPLES),
        "noise": rng.normal(0, 0.1, SAMPLES),
        "step": quiet_then_loud,
        "tone": 0.5 * np.sin(2 * np.pi * 440 * time_s) + 0.3 * np.sin(2 * np.pi * 2210.5 * time_s),
        "chirp": 0.8 * np.sin(2 * np.pi * (50 * time_s + 7000 * time_s**2)),
        "click": clicks,
    }
    as_int16 = {name: np.clip(np.round(x * 32768), -32768, 32767).astype(np.int16) for name, x in made.items()}
    clip, _rate_hz = soundfile.read(sorted((SPEECH / "yes").iterdir())[0], dtype="int16")
    loudest = int(np.argmax(np.convolve(clip.astype(float) ** 2, np.ones(SAMPLES), "valid")))
    return as_int16 | {"speech": clip[loudest : loudest + SAMPLES]}


def features(case: dict, samples: np.ndarray) -> np.ndarray:
    """What TensorFlow makes of int16 samples."""
    import tensorflow as tf

    rate_hz = case.get("sample_rate_hz", 16000)
    window, stride = (int(rate_hz * case[key] / 1000) for key in ("window_ms", "stride_ms"))
    signal = samples.astype(np.float32) / 32768
    if case["type"] == "log_mel":  # in double precision, which these functions take
        return log_mel(tf, case, rate_hz, window, stride, tf.constant(signal, tf.float64))
    if case["type"] == "micro":
        from tensorflow.lite.experimental.microfrontend.python.ops import audio_microfrontend_op

        micro = audio_microfrontend_op.audio_microfrontend(
            tf.constant(samples),
            sample_rate=rate_hz,
            window_size=case["window_ms"],
            window_step=case["stride_ms"],
            num_channels=case["bins"],
            out_scale=1,
            out_type=tf.float32,
        )
        return (micro * (10.0 / 256.0)).numpy()
    spectrogram = tf.raw_ops.AudioSpectrogram(
        input=signal[:, None], window_size=window, stride=stride, magnitude_squared=True
    )
    if case["type"] == "mfcc":
        mfcc = tf.raw_ops.Mfcc(
            spectrogram=spectrogram,
            sample_rate=rate_hz,
            lower_frequency_limit=case["lower_hz"],
            upper_frequency_limit=case["upper_hz"],
            filterbank_channel_count=case["mel_bins"],
            dct_coefficient_count=case["coefficients"],
        )
        return mfcc.numpy()[0]
    width = spectrogram.shape[-1] // case["bins"]
    pooled = tf.nn.avg_pool2d(spectrogram[..., None], [1, 1, width, 1], [1, 1, width, 1], "SAME")
    return pooled.numpy()[0, :, :, 0]


def log_mel(tf, case: dict, rate_hz: int, window: int, stride: int, signal) -> np.ndarray:
    """tf.signal's functions, as a recipe would put them together."""
    spectrogram = tf.abs(tf.signal.stft(signal, window, stride, window_fn=tf.signal.hann_window)) ** case["power"]
    matrix = tf.signal.linear_to_mel_weight_matrix(
        case["mel_bins"], spectrogram.shape[-1], rate_hz, case["lower_hz"], case["upper_hz"], tf.float64
    )
    return tf.math.log(spectrogram @ matrix + case["floor"]).numpy().astype(np.float32)


def main() -> None:
    arrays = {f"signal/{name}": samples for name, samples in signals().items()}
    for name, case in CASES.items():
        arrays[f"params/{name}"] = np.array(json.dumps(case))
        for signal in signals():
            arrays[f"{name}/{signal}"] = features(case, arrays[f"signal/{signal}"])
    np.savez_compressed(HERE / "frontends.npz", **arrays)


if __name__ == "__main__":
    main()
