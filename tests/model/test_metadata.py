"""Metadata: complete and known to the last key, or refused by name."""

import json

import pytest

from kwsd.errors import ModelError
from kwsd.model import metadata
from kwsd.model.description import describe

GOOD = {
    "format": 1,
    "name": "kwsd-default",
    "version": "1.0.0",
    "labels": ["_silence_", "_unknown_", "yes", "no", "on"],
    "sample_rate_hz": 16000,
    "clip_ms": 1000,
    "frontend": {
        "type": "mfcc",
        "window_ms": 40,
        "stride_ms": 20,
        "lower_hz": 20,
        "upper_hz": 7600,
        "mel_bins": 40,
        "coefficients": 40,
    },
    "scores": "probabilities",
    "recognize": {"mode": "rearm", "clip_stride_ms": 40, "minimum_count": 3, "thresholds": {"no": 0.9}},
    "training": {"architecture": "...", "commit": "..."},
    "licence": "Apache-2.0",
}
FRONTENDS = [
    {"type": "log_mel", "window_ms": 30, "stride_ms": 10, "lower_hz": 20, "upper_hz": 4000.5}
    | {"mel_bins": 40, "power": 2, "floor": 1e-6},
    {"type": "psf_mfcc", "window_ms": 25, "stride_ms": 10, "nfft": 512, "filters": 26, "coefficients": 13}
    | {"lower_hz": 0, "upper_hz": 8000, "preemphasis": 0.97, "lifter": 22, "append_energy": True, "window": "hann"},
    {"type": "average", "window_ms": 30, "stride_ms": 20, "bins": 6},
    {"type": "micro", "window_ms": 30, "stride_ms": 20, "bins": 40},
    {"type": "waveform"},
]


def refused(values, why):
    with pytest.raises(ModelError, match=why) as caught:
        metadata.parse(json.dumps(values).encode(), "m.tflite")
    assert str(caught.value).startswith("m.tflite: ") and caught.value.exit_code == 78


def changed(section=None, **values):
    """GOOD with other values, in a section or at the top; None takes a key away."""
    copy = json.loads(json.dumps(GOOD))
    target = copy[section] if section else copy
    for key, value in values.items():
        if value is None:
            del target[key]
        else:
            target[key] = value
    return copy


def test_good_metadata_comes_back_as_it_was_written():
    assert metadata.parse(json.dumps(GOOD, ensure_ascii=False).encode(), "m") == GOOD


@pytest.mark.parametrize("frontend", FRONTENDS, ids=lambda frontend: frontend["type"])
def test_every_front_end_needs_each_of_its_keys_and_takes_no_other(frontend):
    assert metadata.validate(changed(frontend=frontend), "m")["frontend"] == frontend
    refused(changed(frontend=frontend | {"pcen": 1}), "unknown key 'pcen'")
    refused(changed(frontend=frontend | {"sample_rate_hz": 16000}), "unknown key 'frontend.sample_rate_hz'")
    for key in frontend:
        rest = {name: value for name, value in frontend.items() if name != key}
        refused(changed(frontend=rest), f"frontend.*'{key}' is missing")


@pytest.mark.parametrize("key", sorted(set(GOOD) - {"version", "recognize", "training", "licence"}))
def test_each_required_key_is_missed_by_name(key):
    refused(changed(**{key: None}), f"lacks '{key}'")


@pytest.mark.parametrize("key", ["version", "recognize", "training", "licence"])
def test_optional_keys_may_be_left_out(key):
    metadata.validate(changed(**{key: None}), "m")


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (changed(format=2), "of format 2, and this kwsd knows format 1"),
        (changed(format=True), "'format'"),
        (changed(format="1"), "of format '1'"),
        (changed(labels=[]), "'labels'"),
        (changed(labels=["yes", "yes"]), "'yes' twice"),
        (changed(labels=["yes", ""]), "'labels'"),
        (changed(labels=["yes", " no"]), "white space"),
        (changed(labels=["yes", 3]), "'labels'"),
        (changed(labels=["yes\nno"]), "'labels'"),
        (changed(labels="yes"), "'labels'"),
        (changed(sample_rate_hz=16000.5), "'sample_rate_hz'"),
        (changed(sample_rate_hz=10**400), "'sample_rate_hz'"),
        (changed(clip_ms=0), "'clip_ms'"),
        (changed(frontend="mfcc"), "'frontend'"),
        (changed("frontend", type="pcen"), "'type'.*mfcc"),
        (changed("frontend", type=["mfcc"]), "'type'"),
        (changed("frontend", window_ms="40"), "'window_ms'.*a number from 0"),
        (changed("frontend", mel_bins=True), "'mel_bins'"),
        (changed("frontend", upper_hz=9000), "'upper_hz'.*above half the rate"),
        (changed(scores="softmax"), "'scores'.*probabilities or logits"),
        (changed(name="\ud800"), "'name'"),
        (changed(name="a\nb"), "'name'"),
        (changed(colour="red"), "unknown key 'colour'"),
        (changed(recognize=[]), "'recognize'"),
        (changed("recognize", stride=1), "unknown key 'recognize.stride'"),
        (changed("recognize", mode="loud"), "'recognize.mode'.*rearm"),
        (changed("recognize", detection_threshold=1.5), "'recognize.detection_threshold'.*from 0 to 1"),
        (changed("recognize", thresholds={"go": 0.9}), "unknown key 'recognize.thresholds.go'"),
        (changed("recognize", thresholds={"no": 9}), "'recognize.thresholds.no'"),
        (changed(licence=""), "'licence'"),
        ([GOOD], "not a mapping"),
        (None, "not a mapping"),
    ],
)
def test_what_is_wrong_is_named(values, why):
    refused(values, why)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"\xff\xfe",
        b"{",
        b'{"format": 1, "format": 1}',
        b'{"clip_ms": NaN}',
        b"[" * 100_000,
        b'{"clip_ms": ' + b"1" * 5000 + b"}",
    ],
)
def test_what_is_no_json_is_refused(document):
    with pytest.raises(ModelError, match="its metadata is not JSON"):
        metadata.parse(document, "m.tflite")


FRONTEND = {key: GOOD[key] for key in ("frontend", "sample_rate_hz", "clip_ms", "scores")}
YAML = """\
frontend: {type: mfcc, window_ms: 40, stride_ms: 20, lower_hz: 20, upper_hz: 7600, mel_bins: 40, coefficients: 40}
sample_rate_hz: 16000
clip_ms: 1000
scores: probabilities
"""
WORDS = "labels: [yes, no, on]\n"


def test_a_foreign_model_is_described_by_files(tmp_path):
    """Labels as in conv_labels.txt, carriage returns and last empty lines left away; the name is the file's."""
    model, labels, frontend = tmp_path / "kwt.tflite", tmp_path / "labels.txt", tmp_path / "frontend.yaml"
    labels.write_bytes(b"yes\r\nno\r\non\r\n\n")
    frontend.write_text(YAML)
    expected = {"format": 1, "name": "kwt", "labels": ["yes", "no", "on"], **FRONTEND}
    assert describe(model, {}, labels, frontend) == expected
    assert describe(model, {}, ["yes", "no", "on"], FRONTEND) == expected


@pytest.mark.parametrize("name", ["kwt.tflite.kwsd.yaml", "kwt.kwsd.yaml"])
def test_a_sidecar_describes_the_model_beside_it(tmp_path, name):
    (tmp_path / name).write_text(YAML + WORDS)
    assert describe(tmp_path / "kwt.tflite", {})["labels"] == ["yes", "no", "on"]
    assert describe(tmp_path / "kwt.tflite", {}, ["a", "b"])["labels"] == ["a", "b"]


def test_a_model_without_description_is_refused_with_the_mend(tmp_path):
    with pytest.raises(ModelError, match=r"no KWSD metadata.*--labels and --frontend"):
        describe(tmp_path / "kwt.tflite", {})
    with pytest.raises(ModelError, match="labels are not known"):
        describe(tmp_path / "kwt.tflite", {}, None, FRONTEND)
    with pytest.raises(ModelError, match="lacks 'scores'"):
        describe(tmp_path / "kwt.tflite", {}, ["a"], {key: FRONTEND[key] for key in FRONTEND if key != "scores"})


def test_metadata_in_the_file_is_not_contradicted(tmp_path):
    embedded = {"KWSD": json.dumps(GOOD).encode()}
    (tmp_path / "m.kwsd.yaml").write_text("not: this")
    assert describe(tmp_path / "m.tflite", embedded) == GOOD
    for given in ({"labels": ["a"]}, {"frontend": FRONTEND}):
        with pytest.raises(ModelError, match="carries its own metadata"):
            describe(tmp_path / "m.tflite", embedded, **given)


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"", "no labels"), (b"yes\n\nno\n", "empty line"), (b"\xff\xfey", "cannot be read"), (b"a\na\n", "'a' twice")],
)
def test_bad_labels_are_refused(tmp_path, content, why):
    labels = tmp_path / "labels.txt"
    labels.write_bytes(content)
    with pytest.raises(ModelError, match=why):
        describe(tmp_path / "m.tflite", {}, labels, FRONTEND)


def test_labels_that_are_not_there_are_refused(tmp_path):
    for path in (tmp_path / "nowhere", tmp_path, "/dev/zero", "a\0b"):
        with pytest.raises(ModelError, match="labels cannot be read"):
            describe(tmp_path / "m.tflite", {}, str(path), FRONTEND)
