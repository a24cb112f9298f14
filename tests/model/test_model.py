"""Loading and scoring, on every runtime there is: equal to TensorFlow, or refused in one line."""

import json
import subprocess
import sys

import numpy as np
import pytest

from kwsd import model as kwsd_model
from kwsd.errors import ConfigError, KwsdError, ModelError
from kwsd.model import catalogue, load, runtime

LABELS = ("_silence_", "_unknown_", "yes", "no")
WAVEFORM = {"frontend": {"type": "waveform"}, "sample_rate_hz": 16000, "clip_ms": 1000, "scores": "probabilities"}
FLOAT_TOLERANCE, INT8_STEP = 1e-5, 1 / 256


@pytest.mark.parametrize("name", ["rows", "rows-batch", "rows-logits"])
def test_rows_score_as_in_tensorflow(models, backend, golden, features, name):
    model = load(models / f"{name}.tflite", backend=backend)
    scores = model.scores(features)
    assert scores.dtype == np.float32 and scores.shape == (4,)
    np.testing.assert_allclose(scores, golden[name], atol=FLOAT_TOLERANCE)


@pytest.mark.parametrize(("name", "step"), [("rows-int8", INT8_STEP), ("rows-uint8", INT8_STEP), ("rows-int16", 2e-4)])
def test_integer_tensors_are_quantised_by_their_own_parameters(models, backend, golden, features, name, step):
    """One step of the output is allowed: kernels round differently."""
    scores = load(models / f"{name}.tflite", backend=backend).scores(features)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, golden[name], atol=step * 1.01)


@pytest.mark.parametrize("name", ["rows-int8", "rows-uint8", "rows-int16"])
def test_values_beyond_an_integer_input_are_clipped_not_wrapped(models, backend, features, name):
    model = load(models / f"{name}.tflite", backend=backend)
    loud, louder = model.scores(features * 1e3), model.scores(features * 1e6)
    assert loud.tolist() == louder.tolist()


@pytest.mark.parametrize("name", ["waveform", "waveform-open"])
def test_samples_go_in_where_the_front_end_is_in_the_graph(models, backend, golden, waveform, name):
    """AudioSpectrogram, Mfcc and the rate as a second input; an open size is set to the clip."""
    model = load(models / f"{name}.tflite", backend=backend)
    assert model.clip_samples == 16000 and model.frontend == {"type": "waveform", "sample_rate_hz": 16000}
    np.testing.assert_allclose(model.scores(waveform), golden[name], atol=1e-4)
    assert model.features(waveform).tolist() == waveform.tolist()


def test_a_model_tells_what_it_is(models, backend):
    path = models / "rows-int8.tflite"
    model = load(str(path), backend=backend)
    assert (model.name, model.labels, model.sample_rate_hz, model.clip_ms) == ("test-rows-int8", LABELS, 16000, 1000)
    assert model.frontend["type"] == "mfcc" and model.frontend["sample_rate_hz"] == 16000
    assert model.recognize == {"detection_threshold": 0.7, "thresholds": {"no": 0.9}}
    assert model.metadata["format"] == 1 and (model.backend, model.path) == (backend, path)
    import hashlib

    assert model.sha256 == hashlib.sha256(path.read_bytes()).hexdigest() and model.bytes == path.stat().st_size


def test_scores_are_new_arrays_and_do_not_change_later(models, backend, features):
    model = load(models / "rows.tflite", backend=backend)
    first = model.scores(features)
    kept = first.copy()
    model.scores(-features)
    assert first.tolist() == kept.tolist() == model.scores(features).tolist()


def test_a_foreign_model_runs_with_labels_and_front_end(models, backend, golden, features, tmp_path):
    metadata = load(models / "rows.tflite", backend=backend).metadata
    given = {key: metadata[key] for key in ("frontend", "sample_rate_hz", "clip_ms")} | {"scores": "logits"}
    model = load(models / "foreign.tflite", LABELS, given, backend)
    np.testing.assert_allclose(model.scores(features), golden["foreign"], atol=FLOAT_TOLERANCE)
    (tmp_path / "kwt.tflite").write_bytes((models / "foreign.tflite").read_bytes())
    (tmp_path / "kwt.tflite.kwsd.yaml").write_text(json.dumps(given | {"labels": LABELS}))
    assert load(tmp_path / "kwt.tflite", backend=backend).name == "kwt"


def test_a_bundled_model_without_its_metadata_is_a_foreign_model(backend, tmp_path):
    """It has a second output, which only the metadata names."""
    whole = load("tiny-float32", backend=backend)
    path = tmp_path / "foreign.tflite"
    path.write_bytes(whole.path.read_bytes().replace(b"KWSD", b"ELSE"))
    given = {key: whole.metadata[key] for key in ("frontend", "sample_rate_hz", "clip_ms", "scores")}
    foreign = load(path, whole.labels, given, backend)
    clip = whole.features(np.random.default_rng(5).normal(0, 0.1, 16000).astype(np.float32))
    assert foreign.scores(clip).tolist() == whole.scores(clip).tolist()
    refused(r"gives 12 and \d+ scores for 13 labels", path, [*whole.labels, "x"], given, backend=backend)


def refused(why, path, *args, backend):
    with pytest.raises(ModelError, match=why) as caught:
        load(path, *args, backend=backend)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_sizes_that_do_not_match_are_refused_with_both(models, backend):
    rows = load(models / "rows.tflite", backend=backend).metadata
    given = {key: rows[key] for key in ("frontend", "sample_rate_hz", "clip_ms")} | {"scores": "logits"}
    foreign = models / "foreign.tflite"
    refused("4 scores for 5 labels", foreign, [*LABELS, "up"], given, backend=backend)
    shorter = given | {"clip_ms": 800}
    refused(r"\[1, 49, 10\] float32 does not take a clip of 39 x 10", foreign, LABELS, shorter, backend=backend)
    wider = given | {"frontend": rows["frontend"] | {"coefficients": 13}}
    refused(r"clip of 49 x 13 values of the front end mfcc", foreign, LABELS, wider, backend=backend)
    refused("does not take a clip of 16000 samples", foreign, LABELS, WAVEFORM, backend=backend)
    tiny = given | {"clip_ms": 10}
    refused("shorter than a window", foreign, LABELS, tiny, backend=backend)
    impossible = given | {"frontend": rows["frontend"] | {"lower_hz": 5000}}
    refused("not above lower_hz", foreign, LABELS, impossible, backend=backend)


def test_logits_that_are_called_probabilities_are_refused(models, backend):
    rows = load(models / "rows.tflite", backend=backend).metadata
    given = {key: rows[key] for key in ("frontend", "sample_rate_hz", "clip_ms", "scores")}
    refused("not probabilities", models / "foreign.tflite", LABELS, given, backend=backend)


def test_scores_that_are_not_finite_refuse_the_model(models, backend):
    refused("not finite", models / "waveform-nan.tflite", backend=backend)


def test_scores_that_stop_being_finite_end_with_70(models, backend, features):
    model = load(models / "rows.tflite", backend=backend)
    with pytest.raises(KwsdError, match="not finite") as caught:
        model.scores(features * np.float32("nan"))
    assert caught.value.exit_code == 70


def test_an_operator_that_the_runtime_does_not_have_refuses_the_model(models, backend):
    refused("refuses it.*Betainc", models / "waveform-unknown-op.tflite", backend=backend)


def test_files_that_are_no_models_are_refused(models, backend, tmp_path):
    whole = (models / "rows.tflite").read_bytes()
    for name, content, why in (
        ("empty.tflite", b"", "empty"),
        ("text.tflite", b"<!DOCTYPE html><html></html>", "not a TensorFlow Lite model"),
        ("cut.tflite", whole[:-1], "truncated"),
        ("half.tflite", whole[: len(whole) // 2], "truncated"),
    ):
        (tmp_path / name).write_bytes(content)
        refused(why, tmp_path / name, backend=backend)
    with (tmp_path / "large.tflite").open("wb") as file:
        file.truncate(65 * 2**20)
    refused("64 MiB", tmp_path / "large.tflite", backend=backend)
    refused("not a regular file", tmp_path, backend=backend)
    refused("not a regular file", "/dev/zero", backend=backend)


def test_a_name_that_is_nothing_lists_the_bundled_models(backend, tmp_path, monkeypatch):
    (tmp_path / "b-float32.tflite").touch()
    (tmp_path / "a.tflite").touch()
    monkeypatch.setattr(catalogue, "FOLDERS", (tmp_path / "absent", tmp_path))
    assert kwsd_model.bundled_names() == ("a", "b-float32")
    for name in ("nosuch", "nosuch.tflite", "../a"):
        refused("no such file.*Bundled: a, b-float32", name, backend=backend)
    with pytest.raises(ModelError):
        load("", backend=backend)
    with pytest.raises(ModelError):
        load("a\0b", backend=backend)
    with pytest.raises(ModelError):
        load("x" * 5000, backend=backend)


def test_a_bundled_name_is_found_and_means_float32_on_tflite_runtime(models, backend, tmp_path, monkeypatch):
    for name, source in (("words", "rows-int8"), ("words-float32", "rows")):
        (tmp_path / f"{name}.tflite").write_bytes((models / f"{source}.tflite").read_bytes())
    monkeypatch.setattr(catalogue, "FOLDERS", (tmp_path,))
    expected = {"litert": "test-rows-int8", "tflite-runtime": "test-rows"}[backend]
    assert load("words", backend=backend).name == expected
    assert load("words-float32", backend=backend).name == "test-rows"


def test_an_unknown_backend_is_refused_by_name(models, monkeypatch):
    monkeypatch.setenv("KWSD_BACKEND", "onnx")
    with pytest.raises(ConfigError, match=r"'onnx'.*litert or tflite-runtime"):
        load(models / "rows.tflite")


def test_the_environment_chooses_the_backend(models, backend, monkeypatch):
    monkeypatch.setenv("KWSD_BACKEND", backend)
    assert load(models / "rows.tflite").backend == backend


def test_loading_prints_nothing_and_leaves_standard_error_as_it_was(models, backend):
    """In a process of its own, since the runtime speaks at its first model only."""
    program = (
        "import os, sys\n"
        "from kwsd.model import load\n"
        "model = load(sys.argv[1], backend=sys.argv[2])\n"
        "os.write(2, b'after')\n"
        "print(model.name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(models / "rows-int8.tflite"), backend],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("test-rows-int8\n", "after")


def test_what_others_print_during_a_load_is_not_lost(capfd):
    """Only the runtimes' chatter is; their errors only where an exception tells them."""
    import os

    with runtime.quiet_stderr():
        os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\nERROR: odd\nkwsd: warning\n")
    assert capfd.readouterr().err == "ERROR: odd\nkwsd: warning\n"
    with pytest.raises(RuntimeError), runtime.quiet_stderr():
        os.write(2, b"ERROR: the reason\nError in cpuinfo\n")
        raise RuntimeError
    assert capfd.readouterr().err == "Error in cpuinfo\n"


def test_damaged_options_of_custom_operators_never_crash_the_process(models, backend, tmp_path):
    """Runtimes read them unchecked: an unlucky one would end the child by a signal."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from kwsd.errors import ModelError\n"
        "from kwsd.model import load\n"
        "backend, target, whole = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]).read_bytes()\n"
        "last_key, crashed = b'upper_frequency_limit\\0', 0\n"
        "keys = whole.index(last_key) + len(last_key)\n"
        "for i in range(keys + 4, keys + 12):\n"
        "    target.write_bytes(whole[:i] + bytes([whole[i] ^ 0xFF]) + whole[i + 1 :])\n"
        "    try:\n"
        "        load(target, backend=backend)\n"
        "    except ModelError as error:\n"
        "        crashed += 'it crashed, signal' in str(error)\n"
        "print(crashed)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, backend, str(tmp_path / "damaged.tflite"), str(models / "waveform.tflite")],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0, "no damage of these bytes made a trial crash: choose others"


def test_damaged_models_never_crash_or_hang_the_process(models, backend, tmp_path):
    """Bytes of the structure changed at random, loaded in one child that must live to the end."""
    program = (
        "import random, sys\n"
        "from pathlib import Path\n"
        "from kwsd.errors import ModelError\n"
        "from kwsd.model import load\n"
        "backend, target, sources = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]\n"
        "draw, loaded, refused = random.Random(1), 0, 0\n"
        "for source in sources:\n"
        "    whole = Path(source).read_bytes()\n"
        "    for _ in range(40):\n"
        "        data = bytearray(whole)\n"
        "        for _ in range(draw.choice((1, 2, 8))):\n"
        "            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)\n"
        "        target.write_bytes(data)\n"
        "        try:\n"
        "            load(target, backend=backend)\n"
        "            loaded += 1\n"
        "        except ModelError:\n"
        "            refused += 1\n"
        "print(loaded, refused)\n"
    )
    sources = [str(models / f"{name}.tflite") for name in ("rows", "rows-int8", "waveform-open")]
    done = subprocess.run(
        [sys.executable, "-c", program, backend, str(tmp_path / "damaged.tflite"), *sources],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded, refused_count = map(int, done.stdout.split())
    assert loaded + refused_count == 40 * len(sources) and refused_count > 0
