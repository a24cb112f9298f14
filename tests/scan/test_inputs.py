"""What is found in what was named."""

from pathlib import Path

import pytest

from kwsd.errors import InputError
from kwsd.scan import inputs, storage
from kwsd.scan.inputs import Recording
from kwsd.scan.results import Results, common_root
from tests.scan.conftest import hearing_of


@pytest.fixture
def folder(tmp_path):
    for name in ("b.wav", "a.FLAC", "notes.txt", ".hidden.wav", "deep/er/c.m4a", ".git/d.wav"):
        path = tmp_path / "calls" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 7)
    return tmp_path / "calls"


def found(*named):
    faults = []
    recordings = list(inputs.find(map(str, named), lambda error, counts: faults.append(str(error))))
    return recordings, faults


def test_a_folder_is_searched_to_the_bottom_in_order_of_names(folder):
    recordings, faults = found(folder)
    names = [f"{folder}/{name}" for name in ("a.FLAC", "b.wav", "deep/er/c.m4a")]
    assert (recordings, faults) == ([Recording(name, 7, str(folder)) for name in names], [])


def test_a_file_that_is_named_is_taken_whatever_its_ending_and_once(folder):
    recordings, _ = found(folder / "notes.txt", folder / "notes.txt", folder / "b.wav", folder)
    assert [each.address.rpartition("/")[2] for each in recordings] == ["notes.txt", "b.wav", "a.FLAC", "c.m4a"]


def test_a_file_has_one_name_however_it_is_spelled(folder, monkeypatch):
    monkeypatch.chdir(folder)
    recordings, _ = found("b.wav", "./b.wav", folder / "b.wav", f"../{folder.name}")
    assert [each.address for each in recordings] == ["b.wav", "../calls/a.FLAC", "../calls/deep/er/c.m4a"]


def test_what_holds_no_recording_is_told(folder):
    (folder / "none").mkdir()
    recordings, faults = found(folder / "b.wav", folder / "none")
    assert (len(recordings), faults) == (1, [f"{folder}/none: there is no recording in it"])


def test_addresses_with_wildcards(tmp_path):
    """In a hidden folder, as one's own; brackets may belong to a name."""
    pytest.importorskip("fsspec", reason="fsspec is not installed: pip install 'kwsd[scan]'")
    folder = tmp_path / ".calls"
    for name in ("x [1].flac", "y.wav"):
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    root = f"file://{folder}"
    recordings, faults = found(f"{root}/*.flac", f"{root}/x [1].flac", f"{root}/[y].wav", f"{root}/*.mp3")
    names = ("x [1].flac", "y.wav")
    assert recordings == [Recording(f"{root}/{name}", 1, root) for name in names]
    assert faults == [f"{root}/*.mp3: there is no recording in it"]
    assert found(f"{root}/x [1].flac")[0] == recordings[:1]
    with storage.local(recordings[0].address) as path:
        assert Path(path).read_bytes() == b"x"


def test_addresses(folder):
    pytest.importorskip("fsspec", reason="fsspec is not installed: pip install 'kwsd[scan]'")
    recordings, faults = found(f"file://{folder}")
    names = [f"file://{folder}/{name}" for name in ("a.FLAC", "b.wav", "deep/er/c.m4a")]
    assert (recordings, faults) == ([Recording(name, 7, f"file://{folder}") for name in names], [])
    assert [each.address for each in found(f"file://{folder}/*.wav")[0]] == [f"file://{folder}/b.wav"]
    assert found(f"file://{folder}/b.wav")[0] == [Recording(f"file://{folder}/b.wav", 7, f"file://{folder}")]
    assert "nosuch://a" in found("nosuch://a")[1][0]
    assert "missing.wav" in found(f"file://{folder}/missing.wav")[1][0]
    with storage.local(f"file://{folder}/b.wav") as path:
        assert Path(path).read_bytes() == b"x" * 7
    with pytest.raises(InputError, match=r"missing\.wav"), storage.local(f"file://{folder}/missing.wav"):
        pass


@pytest.mark.parametrize(
    ("roots", "address", "expected"),
    [
        (["calls"], "calls/2026/a.wav", "2026/a.wav.jsonl"),
        (["calls/2026"], "calls/2026/a.wav", "a.wav.jsonl"),
        (["x", "y/z"], "y/z/a.wav", "y/z/a.wav.jsonl"),
        (["/data/x", "/data/y"], "/data/y/a.wav", "y/a.wav.jsonl"),
        (["s3://bucket/calls"], "s3://bucket/calls/1/a.wav", "1/a.wav.jsonl"),
    ],
)
def test_results_lie_as_the_recordings_do(tmp_path, roots, address, expected):
    hearing, scorer = hearing_of("tiny")
    results = Results(tmp_path / "out", roots, hearing, scorer.model.name, labels=False, resume=False)
    assert results.path(Recording(address, None, roots[0])) == tmp_path / "out" / expected
    results.close()


def test_no_two_recordings_have_one_result():
    assert common_root(["a", "a/b"])[-1] == "a"
    assert common_root(["s3://x/y", "s3://x/z"]) == ("s3:", "x")
    assert common_root(["/a", "s3://x"]) == ()
