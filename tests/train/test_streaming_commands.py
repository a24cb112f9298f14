"""test-streaming-accuracy and sweep as a person calls them, with the model of the repository."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from kwsd_train.cli import main
from kwsd_train.export.settings_writer import write_model

from kwsd import config
from kwsd.model import load
from kwsd.recognize.settings import RecognizeSettings, layer_recognize

CLIPS = Path(__file__).parents[1] / "data" / "clips"


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """A recording of the repository's clips, two seconds each, and its ground truth."""
    folder = tmp_path_factory.mktemp("streaming")
    draw = np.random.default_rng(1)
    clips = sorted(path for word in ("yes", "stop", "left", "happy") for path in (CLIPS / word).glob("*.flac"))
    samples = draw.normal(0, 1e-4, len(clips) * 32_000)
    rows = []
    for place, path in enumerate(clips):
        signal = soundfile.read(path)[0]
        samples[place * 32_000 :][: len(signal)] += signal
        label = path.parent.name if path.parent.name != "happy" else "_unknown_"
        rows.append(f"{label}, {place * 2000:f}\n")
    soundfile.write(folder / "words.wav", samples, 16_000)
    (folder / "words.txt").write_text("".join(rows))
    soundfile.write(folder / "noise.flac", draw.normal(0, 0.01, 10 * 16_000), 16_000)
    return folder


def accuracy(recording, *flags):
    """Run test-streaming-accuracy; its JSON."""
    figures = recording / "figures.json"
    code = main(["test-streaming-accuracy", "--json", str(figures), *flags])
    assert code == 0
    return json.loads(figures.read_text())


def named(recording):
    return ["--wav", str(recording / "words.wav"), "--ground_truth", str(recording / "words.txt")]


def test_a_recording_is_scored(recording, caplog, capsys):
    caplog.set_level("INFO", "kwsd_train")
    figures = accuracy(recording, *named(recording), "--verbose")
    strict = figures["strict"]
    rows = (recording / "words.txt").read_text().splitlines()
    assert figures["ground_truth"] == len(rows)
    assert strict["words"] == sum("_unknown_" not in row for row in rows)
    assert strict["hit"] + strict["missed"] == strict["words"]
    assert strict["hit"] > strict["words"] / 2
    assert list(strict) == ["words", "hit", "missed", "wrong", "false_alarms", "false_alarms_per_hour", "latency_ms"]
    assert list(figures)[:6] == ["scoring", "ground_truth", "matched", "correct", "wrong", "false_positives"]
    assert caplog.messages[0].endswith(")") and "ms: " in caplog.messages[0]
    assert caplog.messages[-1].endswith("% false positives ")
    assert f"{strict['words']} words: {strict['hit']} hit" in capsys.readouterr().out


def test_labels_as_the_tutorial_gives_them(recording, tmp_path, capsys):
    """With a model that carries its own they are taken where they are the same, and refused where they are not."""
    labels = tmp_path / "conv_labels.txt"
    labels.write_text("".join(f"{label}\n" for label in load("default").labels))
    graph = ["--graph", str(load("default").path), "--labels", str(labels), "--clip_duration_ms=1000"]
    assert accuracy(recording, *named(recording), *graph) == accuracy(recording, *named(recording))
    labels.write_text("_silence_\n_unknown_\nyes\n")
    for command in ("test-streaming-accuracy", "sweep"):
        assert main([command, *named(recording), *graph[:4]]) == 78
        assert f"{labels}: its labels are not the model's: _silence_" in capsys.readouterr().err


def test_a_nearer_layer_beats_a_farther_one(recording, tmp_path):
    """No flag: the configuration's; a flag beats it."""
    (tmp_path / "kwsd.yaml").write_text("recognize:\n  detection_threshold: 1.0\n")
    deaf = accuracy(recording, *named(recording), "--config", str(tmp_path / "kwsd.yaml"))
    assert deaf["strict"]["hit"] == 0
    flags = ["--config", str(tmp_path / "kwsd.yaml"), "--detection-threshold", "0.5"]
    assert accuracy(recording, *named(recording), *flags)["strict"]["hit"] > 0


def test_the_anchor_moves_the_tutorials_times_by_the_clip(recording):
    """A detection comes about the end of a clip, so that the start is near the row, and the end a second off."""
    start = accuracy(recording, *named(recording), "--time_tolerance_ms", "500")
    end = accuracy(recording, *named(recording), "--time_tolerance_ms", "500", "--anchor", "end")
    assert start["correct"] > end["correct"]
    assert start["strict"] == end["strict"]


def test_recordings_without_words_give_false_alarms_per_hour(recording, tmp_path, capsys, caplog):
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "noise.flac").symlink_to(recording / "noise.flac")
    flags = ["--wav", str(recording / "words.wav"), str(tmp_path / "some"), "--ground_truth", "none"]
    strict = accuracy(recording, *flags)["strict"]
    assert strict["words"] == strict["wrong"] == 0
    hours = (len(soundfile.read(recording / "words.wav")[0]) / 16_000 + 10) / 3600
    assert strict["false_alarms_per_hour"] == pytest.approx(strict["false_alarms"] / hours, abs=0.01)
    assert strict["false_alarms"] > 3
    told = capsys.readouterr().out + caplog.text
    assert f"{strict['false_alarms']} false alarms in " in told
    assert "false positives" not in told, "one number a run: the tutorial's counts _silence_ and _unknown_, too"


def test_the_events_of_any_program_are_scored(recording, tmp_path):
    events = [{"type": "detection", "label": "yes", "audio_ms": 1000}, {"label": "yes", "audio_ms": 9000}]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    (tmp_path / "truth.txt").write_text("yes,0\nno,3000\n")
    flags = ["--detections", str(tmp_path / "events.jsonl"), "--ground_truth", str(tmp_path / "truth.txt")]
    figures = accuracy(recording, *flags)
    assert {key: figures[key] for key in ("matched", "correct", "false_positives")} == {
        "matched": 1,
        "correct": 1,
        "false_positives": 1,
    }
    assert figures["strict"]["false_alarms_per_hour"] == 400
    longer = accuracy(recording, *flags, "--wav", str(recording / "noise.flac"))
    assert longer["strict"]["false_alarms_per_hour"] == 360


@pytest.mark.parametrize(
    ("flags", "code", "told"),
    [
        (["--wav", "/nonexistent.wav", "--ground_truth", "none"], 66, "/nonexistent.wav: No such file"),
        (
            ["--wav", "WORDS", "--ground_truth", "/nonexistent.txt"],
            66,
            "Ground truth file '/nonexistent.txt' not found",
        ),
        (["--wav", "WORDS"], 2, "--ground_truth: is missing"),
        (["--ground_truth", "none"], 2, "--wav: is missing"),
        (["--wav", "WORDS", "WORDS", "--ground_truth", "a"], 2, "1 files for 2 recordings"),
        (["--wav", "WORDS", "--ground_truth", "none", "--clip-stride-ms", "30"], 78, "not a multiple"),
        (["--wav", "WORDS", "--ground_truth", "none", "--model", "nosuch"], 78, "nosuch"),
        (["--detections", "WORDS", "--ground_truth", "none"], 66, "words.wav: not UTF-8"),
        (["--detections", "/nonexistent", "--ground_truth", "none"], 66, ": /nonexistent: No such file or directory"),
    ],
)
def test_what_cannot_be_scored_is_one_line(recording, capsys, flags, code, told):
    words = str(recording / "words.wav")
    assert main(["test-streaming-accuracy", *(words if flag == "WORDS" else flag for flag in flags)]) == code
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and told in lines[0]


def sweep(recording, *more):
    small = ["--average_windows_ms", "300,500", "--suppressions_ms", "700", "--modes", "rearm", "--workers", "1"]
    return main(["sweep", *named(recording), *small, *more])


def test_swept_settings_can_be_used_and_give_what_was_promised(recording, tmp_path, capsys):
    """Curves as data, settings into a configuration and a model, which then hear as the sweep said."""
    where = {kind: tmp_path / f"out.{kind}" for kind in ("json", "csv", "yaml", "tflite")}
    where["yaml"].write_text("model: default\n# kept\nrecognize:\n  mode: tensorflow\n\nlog:\n  level: debug\n")
    outputs = ["--json", where["json"], "--csv", where["csv"]]
    outputs += ["--write_config", where["yaml"], "--write_model", where["tflite"]]
    negatives = ["--negatives", str(recording / "noise.flac")]
    assert sweep(recording, *negatives, *map(str, outputs)) == 0
    document = json.loads(where["json"].read_text())
    assert document["rates"]["false_alarms_per_hour"] <= 1
    assert [curve["settings"]["average_window_ms"] for curve in document["curves"]] == [300, 500]
    for curve in document["curves"]:
        points = curve["points"]
        assert points[0]["miss_rate"] < points[-1]["miss_rate"]
        assert set(points[0]["per_word"]) == set(load("default").labels[2:])
    table = list(csv.DictReader(where["csv"].read_text().splitlines()))
    assert len(table) == 2 * 22 * 11
    settings = config.load(str(where["yaml"]))
    assert settings.log.level == "debug" and "# kept" in where["yaml"].read_text()
    assert settings.recognize.mode == "rearm"
    assert load(where["tflite"]).recognize == document["recommended"]
    for source in (["--config", str(where["yaml"])], ["--model", str(where["tflite"])]):
        strict = accuracy(recording, *named(recording), *source)["strict"]
        assert strict["missed"] / strict["words"] == pytest.approx(document["rates"]["miss_rate"], abs=1e-4)
    assert "recommended:" in capsys.readouterr().out


def test_recordings_without_words_alone_tell_thresholds(recording, tmp_path, capsys):
    """A room in which nobody meant a word: the lowest that keep to the wish, all else as the model has it."""
    result, drawn = tmp_path / "out.json", tmp_path / "out.png"
    outputs = ["--json", str(result), "--png", str(drawn), "--workers", "1"]
    alone = ["sweep", "--negatives", str(recording / "words.wav"), *outputs]  # as if nobody had meant them
    found = {}
    for wish in (100_000.0, 900.0):
        assert main([*alone, "--false_alarms_per_hour", str(wish)]) == 0
        found[wish] = json.loads(result.read_text())
    most, fewer = found.values()
    assert set(most["recommended"]["thresholds"].values()) == {0.2}
    assert most["rates"]["miss_rate"] is fewer["rates"]["miss_rate"] is None
    assert fewer["rates"]["false_alarms_per_hour"] <= 900 < most["rates"]["false_alarms_per_hour"]
    assert set(fewer["recommended"]["thresholds"].values()) > {0.2}  # raised where it helps
    model = load("default")
    for name in ("mode", "average_window_ms", "speech_threshold"):
        assert fewer["recommended"][name] == model.recognize[name]
    assert main([*alone, "--false_alarms_per_hour", "900", "--shared_threshold"]) == 0
    shared = json.loads(result.read_text())
    assert len(set(shared["recommended"].get("thresholds", {"": 1}).values())) == 1
    assert shared["rates"]["false_alarms_per_hour"] <= 900
    assert drawn.read_bytes().startswith(b"\x89PNG")
    assert "false alarms an hour" in capsys.readouterr().out


def test_a_sweep_of_nothing_is_told(capsys):
    assert main(["sweep"]) == 2
    assert "there is nothing to listen to" in capsys.readouterr().err


def test_a_sweep_tries_thresholds_in_running_speech_and_says_which_it_means(recording, tmp_path):
    where, table = tmp_path / "kwsd.yaml", tmp_path / "out.csv"
    modes = ["--modes", "repeat,tensorflow", "--average_windows_ms", "500", "--shared_threshold"]
    outputs = ["--csv", str(table), "--write_config", str(where)]
    assert sweep(recording, *modes, *outputs) == 0
    shipped = load("default").recognize["speech_threshold"]
    tried = {(row["mode"], float(row["speech_threshold"])) for row in csv.DictReader(table.read_text().splitlines())}
    assert tried == {("repeat", 0.0), ("repeat", shipped), ("tensorflow", 0.0)}
    assert config.load(str(where)).recognize.speech_threshold in (0.0, shipped)
    assert sweep(recording, *modes, "--speech_thresholds", "0.9,0", *outputs) == 0
    tried = {(row["mode"], float(row["speech_threshold"])) for row in csv.DictReader(table.read_text().splitlines())}
    assert tried == {("repeat", 0.9), ("repeat", 0.0), ("tensorflow", 0.0)}


def test_one_threshold_for_all_is_that_of_a_word_that_the_model_names_too(recording, tmp_path):
    """Laid over the model, the recommended threshold must not move such a word's own away from what was tried."""
    own, where = tmp_path / "own.tflite", tmp_path / "kwsd.yaml"
    model = load("default")
    write_model(model, own, {**model.recognize, "detection_threshold": 0.5, "thresholds": {"yes": 0.7}})
    flags = ["--model", str(own), "--shared_threshold", "--write_config", str(where)]
    assert sweep(recording, *flags) == 0
    layers = config.load(str(where)).recognize, RecognizeSettings(**load(own).recognize)
    settings = layer_recognize(*layers, row_stride_ms=20)
    assert settings.thresholds["yes"] == settings.detection_threshold


def test_curves_are_drawn(recording, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (pip install 'kwsd[train]')")
    assert sweep(recording, "--shared_threshold", "--png", str(tmp_path / "det.png")) == 0
    assert (tmp_path / "det.png").read_bytes().startswith(b"\x89PNG")


def test_a_sweep_needs_a_word_of_the_model(recording, tmp_path, capsys):
    (tmp_path / "truth.txt").write_text("marvin, 0\n")
    assert sweep(recording, "--ground_truth", str(tmp_path / "truth.txt")) == 2
    assert "names one of the model's words" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--modes", "rearm,loud"], "--modes"),
        (["--detection_thresholds", "0.5,2"], "--detection_thresholds"),
        (["--ground_truth", "a", "b"], "2 files for 1 recordings"),
    ],
)
def test_a_grid_that_cannot_be_tried_is_one_line(recording, capsys, flags, told):
    assert sweep(recording, *flags) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and told in lines[0]


def test_a_sweep_of_less_than_a_millisecond_is_told(tmp_path, capsys):
    soundfile.write(tmp_path / "one.wav", np.zeros(1), 16_000)
    assert main(["sweep", "--negatives", str(tmp_path / "one.wav")]) == 66
    assert capsys.readouterr().err == (
        f"kwsd-train: {tmp_path}/one.wav: too short to count false alarms in. Name longer recordings.\n"
    )


def test_settings_of_two_models_are_not_written_into_one(recording, capsys, tmp_path):
    own = tmp_path / "own.tflite"
    code = main(["sweep", *named(recording), "--model", "tiny+default", "--write_model", str(own)])
    assert (code, own.exists()) == (2, False)
    assert "the settings hold for two models together, not for one" in capsys.readouterr().err
