"""kwsd check-config: settings that are a configuration again, or faults and 78."""

import argparse
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from kwsd import config
from kwsd.cli import check_config
from kwsd.errors import ModelError, UnavailableError
from kwsd.recognize.settings import RecognizeSettings

FIXTURES = Path(__file__).parents[1] / "fixtures" / "models"

EVERYTHING = """\
model: "0o17"
only: [stop, "on", "1", "true", "~", "a b", "it's", 'say "x"', "é"]
audio: {device: "2", gain_db: -1.5e-07}
recognize: {mode: micro, thresholds: {stop: 0.25, "8e-1": 1, "x: y": 0}}
sinks:
  - {type: stdout, format: text, only: ["on"]}
  - {type: socket, path: "/run/a: b # c", group: audio}
  - {type: webhook, url: "http://example.org", secret_env: HOOK, spool: "/a\\\\b"}
log: {level: error}
"""


@pytest.fixture
def model(monkeypatch):
    """What kwsd.model.load returns, here without a network."""
    found = SimpleNamespace(
        name="kwsd-default",
        path="default.tflite",
        sha256="0" * 64,
        backend="litert",
        verifier=None,
        labels=("_silence_", "_unknown_", "stop", "go"),
        frontend={"type": "mfcc", "stride_ms": 20, "sample_rate_hz": 16000},
        recognize={"mode": "tensorflow", "minimum_count": 5, "thresholds": {"go": 0.9}},
    )
    monkeypatch.setattr("kwsd.model.load", lambda *args, **kwargs: found)
    return found


@pytest.fixture
def check(tmp_path, capsys):
    def run(text: str) -> tuple[int, str, str]:
        file = tmp_path / "kwsd.yaml"
        file.write_text(text)
        code = check_config.run(argparse.Namespace(file=str(file)))
        out, err = capsys.readouterr()
        return code, out, err.replace(str(file), "FILE")

    return run


def again(settings: config.Settings) -> config.Settings:
    return config.read(check_config.to_yaml(settings).encode(), "again.yaml")


@pytest.mark.parametrize("text", [EVERYTHING, "", "sinks: []", "model: default\naudio: {device: 3}"])
def test_what_is_printed_is_the_same_configuration(text):
    settings = config.read(text.encode(), "x.yaml")
    assert again(settings) == settings


def test_effective_settings_have_the_layers_laid_over_each_other(check, model):
    code, out, err = check("recognize: {minimum_count: 2, thresholds: {stop: 0.7}}")
    assert (code, err) == (0, "")
    assert config.read(out.encode(), "x").recognize == RecognizeSettings(
        mode="tensorflow",
        clip_stride_ms=40.0,
        max_clip_stride_ms=200.0,
        average_window_ms=500,
        suppression_ms=700,
        minimum_count=2,
        detection_threshold=0.8,
        armed_threshold=0.5,
        thresholds={"go": 0.9, "stop": 0.7},
        speech_threshold=0.0,
    )
    assert check(out) == (0, out, "")


def test_secrets_are_not_printed(check, model, monkeypatch):
    monkeypatch.setenv("HOOK", "geheim")
    code, out, _ = check(
        "sinks:\n- {type: webhook, url: 'https://me:geheim@example.org/geheim?t=geheim', secret_env: HOOK}"
    )
    assert code == 0
    assert 'url: "https://example.org"  # no more of it is shown\n' in out
    assert "secret_env: HOOK" in out
    assert "geheim" not in out and "me:" not in out
    assert check(out) == (0, out, "")


def test_faults_go_to_standard_error_with_78(check):
    assert check("modell: a\nlog: 3") == (
        78,
        "",
        "FILE:1: key 'modell': unknown; the nearest is 'model'\n"
        "FILE:2: key 'log': got 3; allowed: a mapping (key: value)\n",
    )


def test_words_and_stride_are_checked_against_the_model(check, model):
    code, out, err = check("only: [stopp]\nrecognize:\n  clip_stride_ms: 30\n  thresholds: {gone: 1}\n")
    assert (code, out) == (78, "")
    assert err.splitlines() == [
        "FILE:1: key 'only': the model has no word 'stopp'; the nearest is 'stop'",
        "FILE:4: key 'gone': the model has no word 'gone'; the nearest is 'go'",
        "FILE:3: key 'clip_stride_ms': got 30; allowed: a multiple of the model's row stride of 20 ms",
    ]


def test_a_refused_model_is_a_fault_of_its_line(check, tmp_path):
    (tmp_path / "bad.tflite").write_bytes(b"no flatbuffer")
    code, out, err = check(f"\nmodel: {tmp_path}/bad.tflite")
    assert (code, out) == (78, "")
    assert err.startswith(f"FILE:2: key 'model': {tmp_path}/bad.tflite: ")
    assert err.count("\n") == 1


def test_a_default_model_that_is_refused_is_a_fault_too(check, monkeypatch):
    def load(*args, **kwargs):
        raise ModelError("default", "no such file")

    monkeypatch.setattr("kwsd.model.load", load)
    assert check("log: {level: info}") == (78, "", "FILE:1: key 'model': default: no such file\n")


def test_without_a_runtime_the_rest_is_checked(check, monkeypatch):
    def load(*args, **kwargs):
        raise UnavailableError("TFLite", "no runtime is installed")

    monkeypatch.setattr("kwsd.model.load", load)
    code, out, err = check("recognize: {minimum_count: 2}")
    assert (code, err) == (0, "kwsd: words and strides are not checked: TFLite: no runtime is installed\n")
    assert config.read(out.encode(), "x") == config.read(b"recognize: {minimum_count: 2}", "x")


def test_faults_of_the_table_and_of_the_model_are_told_together(check, model):
    """In the order of lines, each once; what is broken already is not held against the model too."""
    code, out, err = check(
        "modle: x\nrecognize:\n  mode: foo\n  clip_stride_ms: 33\n  thresholds: {stopp: 0.5, go: 2}\nonly: [nope, 5]\n"
    )
    assert (code, out) == (78, "")
    wheres = [line.split(" ", 3)[:3] for line in err.splitlines()]
    assert wheres == [
        ["FILE:1:", "key", "'modle':"],
        ["FILE:3:", "key", "'mode':"],
        ["FILE:4:", "key", "'clip_stride_ms':"],
        ["FILE:5:", "key", "'go':"],
        ["FILE:5:", "key", "'stopp':"],
        ["FILE:6:", "key", "'only':"],
        ["FILE:6:", "key", "'only':"],
    ], err


def test_a_file_with_faults_may_name_no_model_and_another_file(check, tmp_path):
    """Neither ends in anything but faults."""
    code, _, err = check("model: 5\nonly: [nope]\n")
    assert code == 78 and len(err.splitlines()) == 1, err
    (tmp_path / "m.tflite").write_bytes((FIXTURES / "foreign.tflite").read_bytes())
    code, _, err = check(f"modle: 5\nmodel: {tmp_path}/m.tflite\nfrontend: {tmp_path}/no.yaml\n")
    assert code == 78 and len(err.splitlines()) == 2 and "no.yaml: cannot be read" in err, err


@pytest.mark.parametrize(("key", "why"), [("labels", "the labels cannot be read: "), ("frontend", "cannot be read: ")])
def test_a_file_of_a_foreign_model_that_is_missing_is_told_where_it_is_named(check, tmp_path, key, why):
    (tmp_path / "m.tflite").write_bytes((FIXTURES / "foreign.tflite").read_bytes())
    (tmp_path / "labels").write_text("a\n")
    (tmp_path / "frontend").write_text("scores: logits\n")
    (tmp_path / key).unlink()
    code, _, err = check(f"model: {tmp_path}/m.tflite\nlabels: {tmp_path}/labels\nfrontend: {tmp_path}/frontend\n")
    assert code == 78
    assert f":{2 if key == 'labels' else 3}: key '{key}': {tmp_path}/{key}: {why}" in err, err


@pytest.mark.parametrize(
    ("sink", "why"),
    [
        ("{type: webhook, url: 'https://example.org', secret_file: /nonexistent/secret}", "key 'secret_file': "),
        ("{type: webhook, url: 'https://example.org', secret_env: KWSD_NO_SUCH_SECRET}", "key 'secret_env': "),
        (
            "{type: socket, path: /tmp/kwsd-test.sock, group: no-such-group}",
            "key 'group': socket /tmp/kwsd-test.sock: there is no group 'no-such-group'",
        ),
        ("{type: socket, path: /nonexistent/folder/kwsd.sock}", "there is no folder '/nonexistent'"),
        ("{type: socket, path: /etc/passwd}", "something of this name exists and is not a socket"),
        ("{type: webhook, url: 'https://example.org', spool: /nonexistent/hook.db}", "no folder '/nonexistent'"),
        ("{type: webhook, url: 'https://example.org', spool: /etc/passwd}", "is not a spool of kwsd"),
        ("{type: webhook, url: 'https://example.org', spool: /etc}", "is not a regular file"),
    ],
)
def test_what_a_start_would_refuse_is_refused_here_too(check, model, sink, why):
    """On this machine, as this user."""
    code, _, told = check(f"only: [stop]\nsinks:\n  - {sink}\n")
    assert code == 78
    assert ":3: " in told and why in told, told


@pytest.mark.parametrize(
    ("text", "module", "told"),
    [
        ("\nhttp: {}\n", "prometheus_client", "FILE:2: key 'metrics': prometheus_client is not installed; "),
        ("sinks:\n- {type: mqtt, host: localhost}\n", "paho", "FILE:2: key 'type': paho-mqtt is not installed; "),
    ],
)
def test_a_package_that_a_start_would_miss_is_told(check, model, monkeypatch, text, module, told):
    monkeypatch.setitem(sys.modules, module, None)
    code, out, err = check(text)
    assert (code, out) == (78, "")
    assert err.startswith(told) and "pip install 'kwsd[house]'" in err
    assert err.count("\n") == 1


def test_without_metrics_http_needs_no_package(check, model, monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    assert check("http: {metrics: false}")[0] == 0


def test_each_of_several_models_shows_all_that_holds_for_it(check):
    text = "model: [{model: default, only: [stop]}, {model: tiny, only: [go]}]\nrecognize: {minimum_count: 4}\n"
    code, out, err = check(text)
    assert (code, err) == (0, "")
    assert config.read(out.encode(), "x") == config.read(text.encode(), "x")
    for name, word in (("kwsd-default", "stop"), ("kwsd-tiny", "go")):
        lines = out.partition(f"# effective for {name}:\n")[2].partition("# effective")[0].splitlines()
        shown = config.read("\n".join(line[4:] for line in lines if line.startswith("#   ")).encode(), "x")
        assert shown.only == (word,)
        assert shown.recognize.minimum_count == 4
        assert None not in [value for name, value in vars(shown.recognize).items() if name != "on_demand"]
    assert check(out) == (0, out, "")


def test_each_listener_shows_all_that_holds_for_it(check):
    code, out, err = check("listeners: {kitchen: {recognize: {minimum_count: 4}}, porch: {model: tiny}}\n")
    assert (code, err) == (0, "")
    kitchen, porch = config.read(out.encode(), "x").named.values()
    assert kitchen.recognize.minimum_count == 4 and porch.recognize.minimum_count is not None
    assert kitchen.recognize.detection_threshold is not None
    assert check(out) == (0, out, "")
