"""A file that is replaced stays what it was to everybody else: its mode, its owner, the links that name it."""

import os
import stat
from pathlib import Path

import pytest

from kwsd.errors import OutputError
from kwsd.whole_file import check_file, write_whole


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("kept", [0o600, 0o640, 0o666])
def test_a_file_keeps_its_mode_and_a_new_one_has_the_umask_s(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "file"
    umask = os.umask(0o027)
    try:
        write_whole(path, "new")
        assert mode(path) == 0o640
        path.chmod(kept)
        write_whole(path, "again")
    finally:
        os.umask(umask)
    assert (path.read_text(), mode(path)) == ("again", kept)


def test_a_private_file_is_private_at_every_time(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("secret")
    path.chmod(0o600)
    modes = []
    write_whole(path, "another", accept=lambda temporary: modes.append(mode(temporary)))
    assert modes == [0o600]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_keeps_its_owner_and_group(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    os.chown(path, 65534, 12345)
    write_whole(path, "new")
    assert (path.stat().st_uid, path.stat().st_gid, path.read_text()) == (65534, 12345, "new")


def test_one_that_cannot_be_given_to_its_owner_is_written_all_the_same(tmp_path: Path, monkeypatch) -> None:
    def refuse(*_: int) -> None:
        raise PermissionError

    path = tmp_path / "file"
    path.write_text("")
    path.chmod(0o600)
    monkeypatch.setattr(os, "fchown", refuse)
    write_whole(path, "new")
    assert (path.read_text(), mode(path)) == ("new", 0o600)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "link"
    link.symlink_to("elsewhere/file")
    for content in ("new", "again"):  # of a file that is not there yet, and of one that is
        write_whole(link, content)
        assert link.is_symlink() and (tmp_path / "elsewhere" / "file").read_text() == content
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["file"]


def test_a_name_as_long_as_the_file_system_takes_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / (255 * "x")
    write_whole(path, "new")
    assert path.read_text() == "new"


def test_what_is_no_file_is_not_replaced_by_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name, why in (("pipe", "a device, pipe or socket"), ("folder", "a folder"), (300 * "x", "File name too long")):
        for attempt in (lambda path: check_file(path, ""), lambda path: write_whole(path, "new")):
            with pytest.raises(OutputError, match=f"cannot be written: .*{why}"):
                attempt(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "pipe"]


def test_a_working_folder_that_was_deleted_is_one_line(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    for attempt in (lambda path: check_file(path, ""), lambda path: write_whole(path, "new")):
        with pytest.raises(OutputError, match="file: cannot be written: No such file or directory"):
            attempt(Path("file"))
