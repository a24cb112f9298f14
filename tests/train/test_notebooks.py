"""The three notebooks run from start to end on a tiny configuration, and are kept without outputs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "tools" / "notebooks").glob("*.ipynb"))


def execute(*arguments):
    """Run the tool as a person does."""
    return subprocess.run(
        [sys.executable, ROOT / "tools" / "execute_notebook.py", *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": ":".join(path for path in sys.path if path), "MPLBACKEND": ""},
        capture_output=True,
        text=True,
        timeout=280,
    )


@pytest.fixture
def needs():
    """What runs notebooks."""
    for module in ("nbclient", "ipykernel", "matplotlib", "tensorflow"):
        pytest.importorskip(module, reason=f"{module} is not installed (pip install 'kwsd[train]')")


@pytest.mark.usefixtures("needs")
def test_they_run_from_start_to_end(real_clips, tmp_path):
    """Pictures come out of each, and the last one hears words of the model that the second one made."""
    tiny = {
        "data_dir": real_clips,
        "work_dir": tmp_path,
        "words": "yes,stop,left",
        "steps": "100,10",
        "learning_rate": "0.003,0.0003",
        "eval_step_interval": "50",
        "duration_s": "40",
        "workers": "1",
    }
    settings = [part for name, value in tiny.items() for part in ("--set", f"{name}={value}")]
    done = execute(*settings)
    assert done.returncode == 0, done.stderr
    texts = {}
    for path in NOTEBOOKS:
        outputs = [
            output
            for cell in json.loads((tmp_path / "executed" / path.name).read_text())["cells"]
            for output in cell.get("outputs", [])
        ]
        assert any("image/png" in output.get("data", {}) for output in outputs), path
        texts[path.name] = "".join("".join(output.get("text", "")) for output in outputs)
    assert "a batch: (12, 98, 40) targets: (12, 5)" in texts["1_data.ipynb"]
    assert "Final test accuracy = " in texts["2_train.ipynb"]
    assert re.search(r"^2_train\.ipynb: cell 3 of \d$", done.stderr, re.M)
    for part in (" Step #1: rate 0.003000, accuracy ", ' Saving to "', " Confusion Matrix:"):
        assert part in done.stderr, part
    assert done.stderr.endswith(f"3_stream.ipynb: with its outputs in {tmp_path / 'executed' / '3_stream.ipynb'}\n")
    assert "matched" in texts["3_stream.ipynb"] and "recommended:" in texts["3_stream.ipynb"]
    assert (tmp_path / "kwsd.yaml").exists()


@pytest.mark.usefixtures("needs")
def test_a_cell_that_fails_fails_the_run(tmp_path):
    done = execute(NOTEBOOKS[0], "--set", f"data_dir={tmp_path / 'missing'}", "--set", f"work_dir={tmp_path}")
    assert done.returncode == 1
    assert "FileNotFoundError" in done.stderr


@pytest.mark.usefixtures("needs")
def test_a_parameter_that_no_notebook_has_is_refused():
    done = execute("--set", "wrods=yes")
    assert done.returncode == 2
    assert "no notebook has the parameter wrods" in done.stderr


def test_the_files_are_small_and_without_outputs():
    assert [path.name for path in NOTEBOOKS] == ["1_data.ipynb", "2_train.ipynb", "3_stream.ipynb"]
    for path in NOTEBOOKS:
        assert path.stat().st_size < 20_000
        for cell in json.loads(path.read_text())["cells"]:
            assert not cell.get("outputs")
            assert cell.get("execution_count") is None
