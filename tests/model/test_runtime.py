"""Which runtime is taken, and what is said where none works."""

import sys

import pytest

from kwsd.errors import ModelError, UnavailableError
from kwsd.model import runtime


@pytest.fixture
def absent(monkeypatch):
    """Makes packages look as if they were not installed."""

    def hide(*packages):
        for package in packages:
            monkeypatch.setitem(sys.modules, package, None)
            monkeypatch.setitem(sys.modules, f"{package}.interpreter", None)
        runtime.fault.cache_clear()

    monkeypatch.delenv("KWSD_BACKEND", raising=False)
    yield hide
    runtime.fault.cache_clear()


def test_without_any_runtime_each_is_named_with_the_mend(absent):
    absent("ai_edge_litert", "tflite_runtime")
    with pytest.raises(UnavailableError, match=r"litert: not installed; tflite-runtime: not installed") as caught:
        runtime.choose()
    assert "pip install ai-edge-litert" in str(caught.value) and caught.value.exit_code == 69


def test_32_bit_arm_is_told_that_new_pythons_have_no_runtime(absent, monkeypatch):
    absent("ai_edge_litert", "tflite_runtime")
    monkeypatch.setattr("platform.machine", lambda: "armv7l")
    with pytest.raises(UnavailableError, match=r"up to 3\.11"):
        runtime.choose()


def test_a_runtime_that_numpy_does_not_fit_is_told_as_that(absent, monkeypatch):
    """tflite-runtime 2.14 imports under numpy 2 and fails at the first interpreter, by SystemError."""

    class Interpreter:
        def __init__(self, **_):
            raise SystemError("<built-in method CreateWrapperFromBuffer> returned a result with an exception set")

    module = type(sys)("tflite_runtime.interpreter")
    module.Interpreter = Interpreter
    absent("ai_edge_litert")
    monkeypatch.setitem(sys.modules, "tflite_runtime", type(sys)("tflite_runtime"))
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", module)
    monkeypatch.setattr("numpy.__version__", "2.4.6")
    with pytest.raises(UnavailableError, match=r"does not fit numpy 2\.4\.6"):
        runtime.choose("tflite-runtime")


def test_a_wanted_runtime_is_not_replaced_by_the_other(absent):
    absent("tflite_runtime")
    with pytest.raises(UnavailableError, match="tflite-runtime: not installed"):
        runtime.choose("tflite-runtime")


def test_a_crash_and_an_endless_loop_in_the_trial_are_told(backend, models, tmp_path, monkeypatch):
    """The child is replaced by one that misbehaves as broken models make the runtime do."""
    model = (models / "rows.tflite").read_bytes()
    script = tmp_path / "trial.py"
    monkeypatch.setattr(runtime, "TRIAL_SCRIPT", script)
    script.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    with pytest.raises(ModelError, match=r"m: .* refuses it .it crashed, signal 11"):
        runtime.start(backend, model, (1, 49, 10), 16000, "m", risky=True)
    monkeypatch.setattr(runtime, "TRIAL_S", 0.5)
    script.write_text("while True: pass\n")
    with pytest.raises(ModelError, match="took more than"):
        runtime.start(backend, model, (1, 49, 10), 16000, "m", risky=True)
