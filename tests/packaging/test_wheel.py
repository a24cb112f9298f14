"""What `pip install` gives."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as users' pip builds it: from the source distribution."""
    pytest.importorskip("build", reason="the package `build` is not installed (pip install '.[test]')")
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run([sys.executable, "-m", "build", "-o", folder, ROOT], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return next(folder.glob("*.whl"))


def test_the_wheel_carries_the_models_with_their_weights(wheel: Path) -> None:
    """Every model of models/ is in it, so that `kwsd --model default` works without the source tree."""
    inside = set(zipfile.ZipFile(wheel).namelist())
    endings = (".tflite", ".weights.h5", ".negatives.npz")
    shipped = {path.name for path in (ROOT / "models").iterdir() if path.name.endswith(endings)}
    assert "default.tflite" in shipped
    assert {f"kwsd/data/models/{name}" for name in shipped} <= inside
    assert {"kwsd/daemon/daemon.py", "kwsd_train/cli.py"} <= inside
    assert not any(name.startswith(("tests/", "docs/")) for name in inside)


def test_an_installed_wheel_hears(wheel: Path, tmp_path: Path) -> None:
    """Installed into an empty folder and run from elsewhere, kwsd finds its default model inside the package."""
    target = tmp_path / "installed"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", target, wheel]
    subprocess.run(pip, check=True)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "kwsd", "-q", "--source", ROOT / "examples" / "demo.flac"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(target), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"type":"detection"') >= 10
