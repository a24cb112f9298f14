"""What evaluate tells of a model's mistakes."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from kwsd_train.cli import main
from kwsd_train.evaluation import confusion, mistakes
from kwsd_train.export import metadata_writer

from kwsd import model as models

MODEL = Path(__file__).parents[1] / "fixtures" / "models" / "rows.tflite"
LABELS = ["_silence_", "_unknown_", "up", "down"]


@pytest.fixture
def folder(tmp_path, data_dir):
    """The words of the fixture's model, "yes" and "no", spoken by the tones of "up" and "down"."""
    root = tmp_path / "words"
    root.mkdir()
    for word, tones in {"yes": "up", "no": "down", "bird": "bird", "_background_noise_": "_background_noise_"}.items():
        (root / word).symlink_to(data_dir / tones)
    return root


def test_the_surest_mistakes_come_first_and_silence_is_left_out():
    files = [Path("/a.wav"), Path("/b.wav"), None, Path("/c.wav"), Path("/d.wav")]
    truth, predicted = np.array([2, 2, 0, 3, 3]), np.array([3, 2, 2, 2, 2])
    scores = np.zeros((5, 4), np.float32)
    scores[:, 2:] = [[0.4, 0.6], [1, 0], [1, 0], [0.9, 0.1], [0.9, 0.05]]
    found = mistakes.find(files, truth, predicted, scores, LABELS)
    assert [(one.file.name, one.said, one.heard) for one in found] == [
        ("d.wav", "down", "up"),
        ("c.wav", "down", "up"),
        ("a.wav", "up", "down"),
    ]
    assert found[2][3:] == pytest.approx((0.6, 0.4))


def test_recall_and_precision_stand_beside_the_matrix():
    table = confusion.as_table(np.array([[0, 0, 0], [0, 3, 1], [0, 0, 4]]), ["_silence_", "up", "down"])
    lines = [line.split() for line in table.splitlines()]
    assert lines[0] == ["_silence_", "up", "down", "recall", "%", "precision", "%"]
    assert lines[1:] == [
        ["_silence_", "0", "0", "0", "-", "-"],
        ["up", "0", "3", "1", "75.0", "100.0"],
        ["down", "0", "0", "4", "100.0", "80.0"],
    ]


def test_a_label_that_is_no_word_counts_as_unknown(folder, tmp_path, capsys):
    """As many models have for sounds of their own."""
    beating, figures = tmp_path / "beating.tflite", tmp_path / "figures.json"
    model = models.load(MODEL)
    labels = [label if label != "no" else "_heartbeat_" for label in model.labels]
    metadata = {**model.metadata, "labels": labels, "recognize": {}}
    beating.write_bytes(metadata_writer.write(MODEL.read_bytes(), metadata))
    flags = ["--set", "all", "--data_dir", str(folder), "--cache_dir", str(tmp_path / "cache"), "--json", str(figures)]
    assert main(["evaluate", "--model", str(beating), *flags]) == 0
    assert json.loads(figures.read_text())["labels"] == ["_silence_", "_unknown_", "yes"]
    capsys.readouterr()


def test_evaluate_writes_a_picture_and_files_that_can_be_played(folder, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (pip install 'kwsd[train]')")
    results = [tmp_path / name for name in ("figures.json", "errors.tsv", "matrix.png")]
    flags = ["--json", str(results[0]), "--errors", str(results[1]), "--png", str(results[2])]
    flags += ["--set", "training", "--data_dir", str(folder), "--cache_dir", str(tmp_path / "cache")]
    assert main(["evaluate", "--model", str(MODEL), *flags]) == 0
    printed = capsys.readouterr().out
    counts = np.array(json.loads(results[0].read_text())["confusion"])
    rows = list(csv.DictReader(io.StringIO(results[1].read_text()), delimiter="\t"))
    assert list(rows[0]) == ["file", "said", "heard", "heard_score", "said_score"]
    assert len(rows) == counts[1:].sum() - np.trace(counts[1:, 1:])
    for row in rows:
        assert row["said"] != row["heard"]
        assert Path(row["file"]).parent.name == {"_unknown_": "bird"}.get(row["said"], row["said"])
        assert soundfile.info(row["file"]).frames
    sure = [float(row["heard_score"]) for row in rows]
    assert sure == sorted(sure, reverse=True)
    assert f"{rows[0]['file']}: said {rows[0]['said']}" in printed
    assert results[2].read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("flag", ["--json", "--errors", "--png"])
def test_a_result_that_cannot_be_written_is_one_line(folder, tmp_path, capsys, flag):
    if flag == "--png":
        pytest.importorskip("matplotlib", reason="matplotlib is not installed (pip install 'kwsd[train]')")
    flags = ["--data_dir", str(folder), "--cache_dir", str(tmp_path / "cache"), "--testing_percentage", "50"]
    assert main(["evaluate", "--model", str(MODEL), *flags, flag, "/dev/null/result"]) == 74
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "/dev/null/result: cannot be written" in lines[0]


def test_a_folder_of_another_persons_takes_can_be_tested_on(tmp_path, data_dir, capsys):
    """One of the words alone, no background, and nobody who would be trained on."""
    takes = tmp_path / "takes"
    (takes / "yes").mkdir(parents=True)
    for number, path in enumerate(sorted((data_dir / "up").iterdir())[:3]):
        (takes / "yes" / f"ben_nohash_{number}.wav").symlink_to(path)
    flags = ["evaluate", "--model", str(MODEL), "--data_dir", str(takes), "--cache_dir", str(tmp_path / "cache")]
    for name in ("testing", "all"):
        assert main([*flags, "--set", name]) == 0
        assert f"(N=3, {name})" in capsys.readouterr().out
    assert main([*flags, "--set", "validation"]) == 66
    told = capsys.readouterr().err
    assert "no clip of yes, no in the validation set; those there are by speakers of testing. Take them all" in told


def test_all_clips_are_those_of_the_three_sets(folder, tmp_path, capsys):
    flags = ["--data_dir", str(folder), "--cache_dir", str(tmp_path / "cache"), "--unknown_percentage", "0"]
    counts = {}
    for name in ("training", "testing", "all"):
        assert main(["evaluate", "--model", str(MODEL), "--set", name, "--silence_percentage", "0", *flags]) == 0
        counts[name] = int(capsys.readouterr().out.split("(N=")[1].split(",")[0])
    assert counts.pop("all") == sum(counts.values()) == 24
