"""Two models as FIRST+VERIFIER: the second takes a second look at what the first proposes."""

import numpy as np
import pytest

from kwsd.config import Settings
from kwsd.config.effective import load_models
from kwsd.errors import ModelError
from kwsd.model import load
from kwsd.model.catalogue import parts
from kwsd.model.model import PROPOSED


def joined(models, first, second, backend):
    return load(f"{models / first}.tflite+{models / second}.tflite", backend=backend)


@pytest.fixture
def clips():
    """Features of which the models of tests/fixtures think all kinds of things."""
    draw = np.random.default_rng(5)
    return [draw.normal(0, 3 * draw.random(), (49, 10)).astype(np.float32) for _ in range(60)]


def test_what_the_first_proposes_is_the_normalised_geometric_mean_of_both(models, backend, clips):
    """From `PROPOSED` on; else the first's own scores stay, whatever the verifier would say."""
    first, second = (load(models / f"{name}.tflite", backend=backend) for name in ("rows", "rows-int8"))
    both = joined(models, "rows", "rows-int8", backend)
    words = [at for at, label in enumerate(first.labels) if not label.startswith("_")]
    kinds, changed = set(), 0
    for clip in clips:
        mine, its = first.scores(clip), second.scores(clip)
        is_proposed = bool(mine[words].max() >= PROPOSED)
        kinds.add(is_proposed)
        expected = mine
        if is_proposed:
            product = np.sqrt(mine.astype(np.float64) * its)
            expected = product / product.sum()
            changed += abs(expected - mine).max() > 0.01
        np.testing.assert_allclose(both.scores(clip), expected, atol=1e-6)
    assert kinds == {True, False} and changed > 10


def test_two_models_are_described_as_the_first_but_told_apart_by_both(models, backend):
    first, second = (load(models / f"{name}.tflite", backend=backend) for name in ("rows", "rows-int8"))
    both = joined(models, "rows", "rows-int8", backend)
    assert (both.name, both.labels, both.recognize, both.sha256) == (
        first.name,
        first.labels,
        first.recognize,
        first.sha256,
    )
    assert both.verifier is not None and both.verifier.path == second.path and first.verifier is None
    assert (first.fingerprint, both.fingerprint) == (first.sha256, f"{first.sha256}+{second.sha256}")


def test_a_verifier_that_rules_out_everything_leaves_nothing(models, backend, clips, monkeypatch):
    both = joined(models, "rows", "rows-int8", backend)
    clip = next(clip for clip in clips if both.scores(clip)[2:].max() > 0.3)
    monkeypatch.setattr(both.verifier, "scores", lambda _: np.zeros(len(both.labels), np.float32))
    assert both.scores(clip).tolist() == [0.0] * len(both.labels)


def test_a_model_that_hears_otherwise_cannot_verify(models, backend):
    with pytest.raises(ModelError, match=r"default.*cannot verify it: they differ in front end and labels"):
        load(f"{models / 'rows.tflite'}+default", backend=backend)


def test_the_part_that_is_missing_is_named(models, backend, tmp_path):
    with pytest.raises(ModelError, match=r"^acurate: no such file"):
        load("default+acurate", backend=backend)
    with pytest.raises(ModelError, match=r"^defalt\+accurate: no such file"):
        load("defalt+accurate", backend=backend)
    with pytest.raises(ModelError, match=r"^default\+: no such file"):
        load("default+", backend=backend)


def test_a_file_whose_name_has_a_plus_is_a_file(models, backend, tmp_path):
    path = tmp_path / "default+accurate.tflite"
    path.write_bytes((models / "rows.tflite").read_bytes())
    model = load(path, backend=backend)
    assert model.path == path and model.verifier is None
    both = load(f"{path}+{path}", backend=backend)
    assert both.verifier is not None and (both.path, both.verifier.path) == (path, path)
    other = models / "rows.tflite"
    both = load(f"{other}+{path}", backend=backend)
    assert both.verifier is not None and (both.path, both.verifier.path) == (other, path)


def test_a_reload_keeps_two_models_only_while_both_are_the_same(backend, monkeypatch):
    monkeypatch.setenv("KWSD_BACKEND", backend)
    [both] = load_models(Settings(model="tiny+default"))
    assert load_models(Settings(model="tiny+default"), [both]) == [both]
    for other in ("tiny", "tiny+tiny", "default+tiny"):
        [changed] = load_models(Settings(model=other), [both])
        assert changed is not both
        assert load_models(Settings(model="tiny+default"), [changed]) != [changed]


def test_a_folder_with_a_plus_in_its_name_holds_a_verifier(models, backend, tmp_path, monkeypatch):
    folder = tmp_path / "c++"
    folder.mkdir()
    (folder / "rows.tflite").write_bytes((models / "rows.tflite").read_bytes())
    for name in (f"{models / 'rows-int8.tflite'}+{folder / 'rows.tflite'}", f"{folder / 'rows.tflite'}+default"):
        first, second = parts(name)
        assert f"{first}+{second}" == name and first.endswith(".tflite")
    both = load(f"{models / 'rows-int8.tflite'}+{folder / 'rows.tflite'}", backend=backend)
    assert both.verifier is not None and both.verifier.path == folder / "rows.tflite"
