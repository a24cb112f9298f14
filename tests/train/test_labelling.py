"""label-wav and label-wav-dir."""

import subprocess
import sys
from pathlib import Path

import pytest
from kwsd_train.cli import main

from kwsd.audio.clip import read_clip
from kwsd.model import load

CLIPS = Path(__file__).parents[1] / "data" / "clips"
FOREIGN = Path(__file__).parents[1] / "fixtures" / "models" / "foreign.tflite"
STOP = sorted((CLIPS / "stop").iterdir())[0]


def test_the_tutorials_command_line_prints_its_lines(capsys, tmp_path):
    """Three labels, best first, with five digits; names of the tutorial's tensors are taken."""
    model = load("default")
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(model.labels) + "\n")
    names = ["--input_name=wav_data:0", "--output_name=labels_softmax:0", "--how_many_labels=3"]
    assert main(["label-wav", f"--wav={STOP}", "--graph=default", f"--labels={labels}", *names]) == 0
    scores = model.scores(model.features(read_clip(str(STOP), model.sample_rate_hz, model.clip_samples)))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"stop (score = {scores[model.labels.index('stop')]:.5f})"
    assert set(lines) <= {f"{label} (score = {score:.5f})" for label, score in zip(model.labels, scores, strict=True)}
    best = sorted(scores.tolist(), reverse=True)[:3]
    assert [line.split(" = ")[1] for line in lines] == [f"{score:.5f})" for score in best]


def test_two_models_label_together(capsys, tmp_path):
    """Their scores are those of `kwsd.model.load`, and the labels are the first's."""
    model = load("tiny+default")
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(model.labels) + "\n")
    assert main(["label-wav", f"--wav={STOP}", "--graph=tiny+default", f"--labels={labels}"]) == 0
    scores = model.scores(model.features(read_clip(str(STOP), model.sample_rate_hz, model.clip_samples)))
    assert capsys.readouterr().out.splitlines()[0] == f"stop (score = {scores[model.labels.index('stop')]:.5f})"
    assert main(["label-wav", f"--wav={STOP}", "--graph=tiny+nosuch"]) == 78
    assert "nosuch: no such file" in capsys.readouterr().err


def test_a_model_without_metadata_takes_labels(capsys, tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("_silence_\n_unknown_\nhey\nyou\n")
    frontend = tmp_path / "frontend.yaml"
    mfcc = "{type: mfcc, window_ms: 40, stride_ms: 20, lower_hz: 20, upper_hz: 4000, mel_bins: 40, coefficients: 10}"
    frontend.write_text(f"{{frontend: {mfcc}, sample_rate_hz: 16000, clip_ms: 1000, scores: logits}}")
    flags = [f"--graph={FOREIGN}", f"--labels={labels}", f"--frontend={frontend}", "--how_many_labels=9"]
    assert main(["label-wav", f"--wav={STOP}", *flags]) == 0
    told = [line.split(" (score = ")[0] for line in capsys.readouterr().out.splitlines()]
    assert sorted(told) == ["_silence_", "_unknown_", "hey", "you"]


@pytest.mark.parametrize(
    ("flags", "code", "told"),
    [
        (["--wav=nosuch.wav"], 66, "Audio file does not exist at nosuch.wav"),
        (["--wav="], 66, "Audio file does not exist at"),
        (["--wav", __file__], 66, __file__),
        (["--labels=nosuch.txt"], 78, "Labels file does not exist at nosuch.txt"),
        (["--labels", __file__], 78, "its labels are not the model's"),
        (["--graph=nosuch.pb"], 78, "Graph file does not exist at nosuch.pb"),
        (["--graph", __file__], 78, "not a TensorFlow Lite model"),
        (["--input_name=samples"], 2, "the model has no tensor samples there"),
    ],
)
def test_what_cannot_be_labelled_is_one_line(capsys, flags, code, told):
    assert main(["label-wav", f"--wav={STOP}", "--graph=default", *flags]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert told in err


def test_a_folder_is_told_file_by_file_in_order(capsys, tmp_path):
    """An empty line, the name, the labels; other files and sub-folders are left out."""
    folder = tmp_path / "folder"
    (folder / "deeper.wav").mkdir(parents=True)
    for name, word in {"b.FLAC": "go", "a.flac": "stop"}.items():
        (folder / name).write_bytes(sorted((CLIPS / word).iterdir())[0].read_bytes())
    (folder / "notes.txt").write_text("no sound")
    assert main(["label-wav-dir", f"--wav_dir={folder}", "--graph=default", "--how_many_labels=1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" (score")[0] for line in lines] == ["", "a.flac", "stop", "", "b.FLAC", "go"]


def test_a_bad_file_of_a_folder_is_told_and_the_rest_goes_on(capsys, tmp_path):
    (tmp_path / "a.wav").write_text("no sound")
    (tmp_path / "b.flac").write_bytes(STOP.read_bytes())
    assert main(["label-wav-dir", f"--wav_dir={tmp_path}", "--graph=default", "--how_many_labels=1"]) == 66
    out, err = capsys.readouterr()
    assert out.splitlines()[1] == "b.flac"
    assert len(err.splitlines()) == 1
    assert "a.wav" in err


@pytest.mark.parametrize("folder", ["", "nosuch", None])
def test_a_folder_without_recordings_is_told(capsys, tmp_path, folder):
    wav_dir = tmp_path if folder is None else folder
    assert main(["label-wav-dir", f"--wav_dir={wav_dir}", "--graph=default"]) == 66
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_none_of_it_needs_tensorflow():
    script = (
        "import sys; from kwsd_train.cli import main; "
        f"main(['label-wav', '--wav={STOP}', '--graph=default']); print('tensorflow' in sys.modules)"
    )
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
