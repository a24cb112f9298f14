"""train, freeze and evaluate as a person calls them, on made-up words."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from kwsd_train.cli import COMMANDS, main
from kwsd_train.commands import freeze
from kwsd_train.training import checkpoint

from kwsd.model.tflite.graph import read

COMMON = ["--wanted_words", "up,down", "--window_stride_ms=20", "--model_architecture", "tiny_conv"]
WORDS = ["--unknown_percentage", "100", "--validation_percentage", "20"]


def arguments(data_dir, tmp_path):
    """Flags of every command here."""
    return [*COMMON, *WORDS, "--data_dir", str(data_dir), "--cache_dir", str(tmp_path / "cache")]


def train(data_dir, tmp_path, folder, steps, *more):
    """Train in this process; the folder of checkpoints."""
    flags = ["--how_many_training_steps", str(steps), "--learning_rate", "0.003", "--batch_size", "16"]
    flags += ["--optimizer", "adam", "--average_decay", "0.9", "--eval_step_interval", "100", "--workers", "0"]
    code = main(["train", *arguments(data_dir, tmp_path), *flags, "--train_dir", str(tmp_path / folder), *more])
    assert code == 0
    return tmp_path / folder


def test_help_is_quick_because_tensorflow_is_not_imported():
    imports = "import sys; from kwsd_train import cli; from kwsd_train.commands import train, freeze, evaluate"
    script = f"{imports}; print('tensorflow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_an_example(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert f"example: kwsd-train {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "code", "told"),
    [
        (["--wanted_words", "yes"], 66, "Expected to find yes in labels but only found bird, down, up"),
        (["--model_architecture", "deep"], 2, 'argument "deep" not recognized'),
        (["--how_many_training_steps", "1,2"], 2, "must be equal length lists, but are 2 and 1 long instead"),
        (["--window_size_ms", "1500"], 2, "longer than the clip"),
        (["--start_checkpoint", "latest"], 78, "no checkpoint there"),
        (["--data_dir", "/nonexistent"], 66, "No .wavs found at /nonexistent"),
    ],
)
def test_what_cannot_be_trained_is_one_line(data_dir, tmp_path, capsys, flags, code, told):
    short = ["--how_many_training_steps", "1", "--learning_rate", "1", "--train_dir", str(tmp_path / "train")]
    assert main(["train", *arguments(data_dir, tmp_path), *short, *flags]) == code
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("kwsd-train: ")
    assert told in lines[0]


def test_an_unknown_flag_is_refused(data_dir, tmp_path):
    with pytest.raises(SystemExit, match="2"):
        main(["train", *arguments(data_dir, tmp_path), "--window_stride=20"])


class TestWithTensorFlow:
    """What trains for real."""

    @pytest.fixture(autouse=True)
    def _tensorflow(self):
        pytest.importorskip("tensorflow", reason="TensorFlow is not installed (pip install 'kwsd[train]')")

    def test_a_resumed_run_ends_with_the_same_bits(self, data_dir, tmp_path, caplog):
        """Weights, batch norm, optimiser, averages and the state of dropout equal those of a run without a break."""
        caplog.set_level("INFO", "kwsd_train")
        whole = train(data_dir, tmp_path, "whole", 12, "--save_step_interval", "5")
        broken = train(data_dir, tmp_path, "broken", 5, "--save_step_interval", "5")
        caplog.clear()
        train(data_dir, tmp_path, "broken", 12, "--save_step_interval", "5", "--start_checkpoint=latest")
        first_step = next(line for line in caplog.messages if line.startswith("Step #"))
        assert first_step.startswith("Step #6: rate 0.003000, accuracy ")
        assert f'Saving to "{broken / "tiny_conv.ckpt-10"}"' in caplog.messages
        first, second = (checkpoint.load(checkpoint.latest(folder)) for folder in (whole, broken))
        assert first.step == second.step == 12
        for group, arrays in first.variables.items():
            assert arrays, group
            for one, other in zip(arrays, second.variables[group], strict=True):
                np.testing.assert_array_equal(one, other)

    @pytest.mark.parametrize("quantize", ["none", "int8"])
    def test_trained_frozen_and_evaluated(self, data_dir, tmp_path, capsys, caplog, quantize):
        """The made-up words are told apart, and the file describes itself."""
        caplog.set_level("INFO", "kwsd_train")
        folder = train(data_dir, tmp_path, "run", 60)
        lines = caplog.messages
        assert any(line.startswith("Confusion Matrix:\n [[") for line in lines)
        assert any(line.startswith("Final test accuracy = ") for line in lines)
        output = tmp_path / "words.tflite"
        source = ["--start_checkpoint", "latest", "--train_dir", str(folder), "--output_file", str(output)]
        assert main(["freeze", *arguments(data_dir, tmp_path), *source, "--quantize", quantize]) == 0
        graph = read(output.read_bytes())
        assert graph.inputs[0].shape == (1, 49, 40)
        assert (graph.inputs[0].type, graph.outputs[0].type) == (
            "float32",
            {"none": "float32", "int8": "int8"}[quantize],
        )
        figures_file = tmp_path / "figures.json"
        places = ["--data_dir", str(data_dir), "--cache_dir", str(tmp_path / "cache")]
        wanted = ["--model", str(output), "--set", "training", "--json", str(figures_file)]
        assert main(["evaluate", *places, *WORDS, *wanted]) == 0
        figures = json.loads(figures_file.read_text())
        assert figures["labels"] == ["_silence_", "_unknown_", "up", "down"]
        assert figures["n"] == sum(map(sum, figures["confusion"]))
        assert figures["accuracy"] > 0.8
        assert "accuracy" in capsys.readouterr().out

    def test_more_layers_stay_in_floats_where_8_bits_cost_too_much(
        self, data_dir, tmp_path, capsys, caplog, monkeypatch
    ):
        """And a network that still loses too much is not written, without advice that does not help."""
        caplog.set_level("INFO", "kwsd_train")
        folder = train(data_dir, tmp_path, "run", 12)
        monkeypatch.setattr(freeze, "BOUNDS", {"int8": 1e-9})
        output = tmp_path / "words.tflite"
        source = ["--start_checkpoint", "latest", "--train_dir", str(folder), "--output_file", str(output)]
        assert main(["freeze", *arguments(data_dir, tmp_path), *source, "--quantize", "int8"]) == 70
        told = [line for line in caplog.messages if line.startswith("Scores differ")]
        assert [line.partition(", ")[2] for line in told] == [
            "input and first layer in floats",
            "input and first 2 layers in floats",
        ]
        line = capsys.readouterr().err.splitlines()[-1]
        assert "not written: its scores differ" in line and line.endswith("Freeze with --quantize none.")
        assert not output.exists()

    def test_a_killed_run_leaves_no_process_and_can_be_resumed(self, data_dir, tmp_path, caplog):
        """SIGKILL while checkpoints are written without a pause."""
        folder = tmp_path / "killed"
        flags = ["--how_many_training_steps", "100000", "--learning_rate", "0.003", "--save_step_interval", "1"]
        flags += ["--workers", "1", "--train_dir", str(folder)]
        process = subprocess.Popen(
            [sys.executable, "-m", "kwsd_train", "train", *arguments(data_dir, tmp_path), *flags],
            env=os.environ | {"PYTHONPATH": ":".join(sys.path)},
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stderr is not None
            assert any("Step #3: " in line for line in process.stderr)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            process.kill()
            process.stderr.read()  # comes to its end when the last worker, which holds it too, has ended
        assert children
        step = checkpoint.load(checkpoint.latest(folder)).step
        caplog.set_level("INFO", "kwsd_train")
        more = ["--save_step_interval", "1", "--start_checkpoint", "latest", "--batch_size", "100"]
        train(data_dir, tmp_path, "killed", step + 1, "--optimizer=gradient_descent", "--average_decay=0", *more)
        assert any(line.startswith(f"Step #{step + 1}: ") for line in caplog.messages)

    def test_freezing_with_other_flags_than_trained_is_refused(self, data_dir, tmp_path, capsys):
        folder = train(data_dir, tmp_path, "run", 1)
        output = tmp_path / "words.tflite"
        flags = ["--start_checkpoint", "latest", "--train_dir", str(folder), "--output_file", str(output)]
        capsys.readouterr()
        assert main(["freeze", *flags, "--window_stride_ms", "10"]) == 2
        assert "--window_stride_ms: 10.0 does not agree with the checkpoint, made with 20.0" in capsys.readouterr().err
        assert not output.exists()
