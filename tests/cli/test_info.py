"""kwsd info: the bundled models, and all about one."""

import hashlib
import json
from pathlib import Path

import pytest

from kwsd.model import catalogue

MODELS = Path(__file__).parents[1] / "fixtures" / "models"
WORDS = "_silence_ _unknown_ yes no"


@pytest.fixture
def bundled(monkeypatch, tmp_path):
    """Two bundled models, int8 and float32."""
    for name, source in (("words", "rows-int8"), ("words-float32", "rows")):
        (tmp_path / f"{name}.tflite").write_bytes((MODELS / f"{source}.tflite").read_bytes())
    monkeypatch.setattr(catalogue, "FOLDERS", (tmp_path,))


@pytest.mark.usefixtures("bundled")
def test_without_a_model_the_bundled_ones_are_listed_with_their_words(kwsd, capsys):
    assert kwsd("info") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["words", "words-float32"]
    assert all(line.endswith(WORDS) for line in lines)
    assert kwsd("info", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [(entry["name"], entry["labels"]) for entry in found] == [
        (name, WORDS.split()) for name in ("words", "words-float32")
    ]


@pytest.mark.usefixtures("bundled")
@pytest.mark.parametrize("model", ["words-float32", str(MODELS / "rows.tflite")])
def test_json_has_the_documented_keys_and_numbers(kwsd, capsys, model):
    assert kwsd("info", model, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    keys = ["metadata", "inputs", "outputs", "bytes", "sha256", "parameters", "multiply_adds", "invoke_us"]
    assert list(facts) == keys
    content = (MODELS / "rows.tflite").read_bytes()
    assert (facts["bytes"], facts["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert facts["metadata"]["labels"] == WORDS.split() and facts["metadata"]["format"] == 1
    (tensor,) = facts["inputs"]
    assert (tensor["shape"], tensor["type"]) == ([1, 49, 10], "float32") and "scale" not in tensor
    assert [output["shape"] for output in facts["outputs"]] == [[1, 4]]
    assert (facts["parameters"], facts["multiply_adds"]) == (1318, 11880)
    assert facts["invoke_us"] > 0


def test_quantised_tensors_show_their_parameters(kwsd, capsys):
    assert kwsd("info", str(MODELS / "rows-int8.tflite"), "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["outputs"][0]["type"] == "int8"
    assert (facts["outputs"][0]["scale"], facts["outputs"][0]["zero_point"]) == (1 / 256, -128)


def test_for_people_every_fact_has_a_line(kwsd, capsys):
    assert kwsd("info", str(MODELS / "rows-int8.tflite")) == 0
    text = capsys.readouterr().out
    for fact in ("test-rows-int8", WORDS, "1000 ms at 16000 Hz", "mfcc", "int8", "1,318", "11,880", "zero point -128"):
        assert fact in text


def test_a_foreign_model_needs_its_description(kwsd, capsys, tmp_path):
    foreign = str(MODELS / "foreign.tflite")
    assert kwsd("info", foreign) == 78
    assert capsys.readouterr().err.startswith(f"kwsd: {foreign}: it carries no KWSD metadata")
    labels, frontend = tmp_path / "labels.txt", tmp_path / "frontend.yaml"
    labels.write_text(WORDS.replace(" ", "\n"))
    frontend.write_text(
        "frontend: {type: mfcc, window_ms: 40, stride_ms: 20, lower_hz: 20, upper_hz: 4000,\n"
        "           mel_bins: 40, coefficients: 10}\n"
        "sample_rate_hz: 16000\nclip_ms: 1000\nscores: logits\n"
    )
    assert kwsd("info", foreign, "--labels", str(labels), "--frontend", str(frontend)) == 0
    assert "name           foreign\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["nosuch"], 78), ([__file__], 78), (["/nosuch/model.tflite"], 78), (["--labels", "x"], 2)],
)
def test_what_is_wrong_is_one_line(kwsd, capsys, arguments, code):
    assert kwsd("info", *arguments) == code
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("kwsd: ") and err.count("\n") == 1
