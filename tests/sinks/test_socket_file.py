"""The socket's file: how it appears, whom it lets in, what it replaces, what it refuses, how it goes."""

import contextlib
import fcntl
import grp
import os
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from kwsd.errors import ConfigError
from kwsd.sinks.socket import socket_file
from kwsd.sinks.socket.socket_file import identify, listen, remove, set_access
from kwsd.validation.kinds import SOCKET_PATH_MAX_BYTES


@pytest.fixture
def listening():
    """Listens at a path; closes everything at the end."""
    listeners = []

    def start(path, group=None):
        listeners.append(listen(str(path), group))
        return listeners[-1]

    yield start
    for listener in listeners:
        listener.socket.close()


@pytest.fixture
def group():
    """A group, other than the present one where there is a choice, that this process may give files to."""
    gids = (
        set(os.getgroups())
        | {os.getegid()}
        | ({entry.gr_gid for entry in grp.getgrall()} if not os.geteuid() else set())
    )
    return grp.getgrgid(max(gids - {os.getegid()}, default=os.getegid()))


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def connects(path):
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def test_the_owner_only_whatever_the_umask(tmp_path, listening):
    before = os.umask(0)
    try:
        listening(tmp_path / "run" / "kwsd.sock")
    finally:
        os.umask(before)
    assert mode(tmp_path / "run" / "kwsd.sock") == 0o600
    assert mode(tmp_path / "run") == 0o700


def test_with_a_group_it_and_a_folder_made_for_it_are_the_groups(tmp_path, listening, group):
    before = os.umask(0o077)
    try:
        listening(tmp_path / "run" / "kwsd.sock", group.gr_name)
    finally:
        os.umask(before)
    assert (mode(tmp_path / "run" / "kwsd.sock"), mode(tmp_path / "run")) == (0o660, 0o750)
    assert (tmp_path / "run" / "kwsd.sock").stat().st_gid == (tmp_path / "run").stat().st_gid == group.gr_gid


def test_a_folder_that_is_there_is_left_as_it_is(tmp_path, listening, group):
    tmp_path.chmod(0o755)
    listening(tmp_path / "kwsd.sock", group.gr_name)
    assert mode(tmp_path) == 0o755


def test_the_group_can_be_changed_and_taken_away(tmp_path, listening, group):
    path = tmp_path / "kwsd.sock"
    listener = listening(path)
    set_access(str(path), listener.identity, group.gr_name)
    assert (mode(path), path.stat().st_gid) == (0o660, group.gr_gid)
    set_access(str(path), listener.identity, None)
    assert (mode(path), path.stat().st_gid) == (0o600, os.getegid())


def test_the_file_appears_in_one_step_listening_and_with_its_final_mode(tmp_path, listening, group, monkeypatch):
    """The step is a rename, until which the name is free."""
    rename, seen = Path.rename, []

    def watched(source, target):
        seen.append((mode(source), source.stat().st_gid, connects(source), Path(target).exists()))
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", watched)
    listening(tmp_path / "one.sock")
    listening(tmp_path / "two.sock", group.gr_name)
    assert seen[0][0] == 0o600
    assert seen[1][:2] == (0o660, group.gr_gid)
    assert [step[2:] for step in seen] == [(True, False)] * 2
    assert sorted(os.listdir(tmp_path)) == ["one.sock", "two.sock"]  # noqa: PTH208


def test_a_stale_socket_is_replaced(tmp_path, listening):
    path = tmp_path / "kwsd.sock"
    listening(path).socket.close()
    assert path.exists()
    listening(path)
    assert connects(path)


def test_a_live_socket_is_refused_and_left_alone(tmp_path, listening):
    path = tmp_path / "kwsd.sock"
    first = listening(path)
    with pytest.raises(ConfigError, match="another process serves it"):
        listening(path)
    assert identify(str(path)) == first.identity
    assert os.listdir(tmp_path) == ["kwsd.sock"]  # noqa: PTH208


def test_a_live_socket_with_a_full_backlog_is_refused_too(tmp_path, listening):
    path = tmp_path / "kwsd.sock"
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as first:
        busy.bind(str(path))
        busy.listen(0)
        first.connect(str(path))
        with pytest.raises(ConfigError, match="another process serves it"):
            listening(path)


def test_a_datagram_socket_is_refused(tmp_path, listening):
    path = tmp_path / "kwsd.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(path))
        with pytest.raises(ConfigError, match="unknown whether it is in use"):
            listening(path)
    assert path.exists()


@pytest.mark.parametrize("target", ["nowhere", "file", "stale.sock"])
def test_a_symlink_is_refused_and_left_alone(tmp_path, listening, target):
    (tmp_path / "file").write_text("precious")
    listening(tmp_path / "stale.sock").socket.close()
    path = tmp_path / "kwsd.sock"
    path.symlink_to(tmp_path / target)
    with pytest.raises(ConfigError, match="it is a symbolic link"):
        listening(path)
    assert path.is_symlink()
    assert (tmp_path / "file").read_text() == "precious"


def test_whoever_swaps_the_file_for_a_symlink_gets_at_nothing(tmp_path, listening, group, monkeypatch):
    """Between its making and its mode: what the link leads to keeps its mode and group."""
    precious, path = tmp_path / "precious", tmp_path / "run" / "kwsd.sock"
    precious.write_text("precious")
    precious.chmod(0o644)
    before = precious.stat()
    bind = socket.socket.bind

    def bound_and_swapped(listener, address):
        bind(listener, address)
        Path(address).unlink()
        Path(address).symlink_to(precious)

    monkeypatch.setattr(socket.socket, "bind", bound_and_swapped)
    with pytest.raises(ConfigError, match="it cannot be made: Socket operation on non-socket"):
        listening(path, group.gr_name)
    after = precious.stat()
    assert (after.st_mode, after.st_gid, after.st_uid) == (before.st_mode, before.st_gid, before.st_uid)
    assert precious.read_text() == "precious" and not path.exists()


def test_a_reload_gives_no_access_to_what_took_the_files_place(tmp_path, listening, group):
    path, precious = tmp_path / "kwsd.sock", tmp_path / "precious"
    listener = listening(path)
    precious.write_text("precious")
    precious.chmod(0o600)
    path.unlink()
    path.symlink_to(precious)
    with pytest.raises(ConfigError, match="its group cannot be changed"):
        set_access(str(path), listener.identity, group.gr_name)
    assert mode(precious) == 0o600 and precious.stat().st_gid == os.getegid()
    path.unlink()
    second = listening(path)
    set_access(str(path), listener.identity, group.gr_name)  # another socket: not ours to open
    assert mode(path) == 0o600
    second.socket.close()
    path.unlink()
    set_access(str(path), listener.identity, group.gr_name)
    assert not path.exists()


@pytest.mark.parametrize("leftover", ["file", "folder", "symlink"])
def test_nothing_is_removed_to_make_room_but_a_socket_of_ours(tmp_path, listening, leftover):
    """The name that a socket passes through may be taken, too: by a killed process, or by others."""
    in_the_way = tmp_path / f".kwsd.sock.{os.getpid()}"
    if leftover == "file":
        in_the_way.write_text("precious")
    elif leftover == "folder":
        in_the_way.mkdir()
    else:
        in_the_way.symlink_to(tmp_path / "nowhere")
    before = identify(str(in_the_way))
    with pytest.raises(ConfigError, match="is in the way"):
        listening(tmp_path / "kwsd.sock")
    assert identify(str(in_the_way)) == before


def test_a_socket_left_on_the_way_by_a_killed_process_is_replaced(tmp_path, listening):
    in_the_way = tmp_path / f".kwsd.sock.{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(in_the_way))
    listening(tmp_path / "kwsd.sock")
    assert os.listdir(tmp_path) == ["kwsd.sock"]  # noqa: PTH208


def test_what_is_no_socket_is_refused_and_left_alone(tmp_path, listening):
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_text("precious")
    folder.mkdir()
    for path in (file, folder):
        with pytest.raises(ConfigError, match="something of this name exists and is not a socket"):
            listening(path)
    assert file.read_text() == "precious"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("missing/missing/kwsd.sock", "it cannot be made: No such file or directory"),
        ("file/kwsd.sock", "it cannot be made: Not a directory"),
        ("a\0b.sock", "this is not the name of a file"),
        ("..", "something of this name exists and is not a socket"),
    ],
)
def test_a_path_that_cannot_be_is_refused_in_one_line(tmp_path, listening, path, why):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=why) as refusal:
        listening(f"{tmp_path}/{path}")
    assert len(refusal.value.lines) == 1
    assert refusal.value.exit_code == 78


@pytest.mark.parametrize("letter", ["x", "ö"])
@pytest.mark.parametrize("deep", [False, True])
def test_the_longest_path_works_and_a_longer_one_is_refused(tmp_path, listening, deep, letter):
    """The longest has no room for the name it passes through, be it of long folders or of a long name."""
    with tempfile.TemporaryDirectory(dir="/tmp") as top:
        folder = tmp_path if deep else Path(top)
        room = SOCKET_PATH_MAX_BYTES - len(str(folder)) - 1
        width = len(letter.encode())
        longest = folder / ("y" * (room % width) + letter * (room // width))
        listening(longest)
        assert connects(longest)
        with pytest.raises(ConfigError, match="longer than 107 bytes"):
            listening(f"{longest}x")


def test_an_unknown_group_is_refused_before_anything_is_made(tmp_path, listening):
    for name in ("no-such-group", "nul\0"):
        with pytest.raises(ConfigError, match="there is no group"):
            listening(tmp_path / "run" / "kwsd.sock", name)
    assert os.listdir(tmp_path) == []  # noqa: PTH208


def test_only_the_file_that_was_made_is_removed(tmp_path, listening):
    path = tmp_path / "kwsd.sock"
    first = listening(path)
    path.unlink()
    second = listening(path)
    remove(str(path), first.identity)
    assert identify(str(path)) == second.identity
    remove(str(path), second.identity)
    assert not path.exists()
    remove(str(path), second.identity)


def test_whoever_locks_the_folder_holds_nobody_up(tmp_path, listening):
    """Anybody who can read a folder can lock it."""
    folder_fd = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(folder_fd, fcntl.LOCK_EX)
        listening(tmp_path / "kwsd.sock")
    finally:
        os.close(folder_fd)
    assert os.listdir(tmp_path) == ["kwsd.sock"]  # noqa: PTH208


def test_what_is_locked_is_for_the_owner_alone(tmp_path, listening, monkeypatch):
    bind, seen = socket.socket.bind, {}

    def look(listener, address):
        seen.update((file.name, stat.S_IMODE(file.stat().st_mode)) for file in tmp_path.iterdir())
        return bind(listener, address)

    monkeypatch.setattr(socket.socket, "bind", look)
    before = os.umask(0)
    try:
        listening(tmp_path / "kwsd.sock")
    finally:
        os.umask(before)
    assert seen == {".kwsd.sock.lock": 0o600}


def test_a_lock_that_is_never_let_go_is_told(tmp_path, listening, monkeypatch):
    monkeypatch.setattr(socket_file, "LOCK_S", 0.05)
    lock = tmp_path / ".kwsd.sock.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match=r"keeps .*/\.kwsd\.sock\.lock locked"):
            listening(tmp_path / "kwsd.sock")
    assert lock.exists()
    listening(tmp_path / "kwsd.sock")  # as after a SIGKILL: a lock that nobody holds


def _somebody_else_s(path):
    path.touch(0o666)
    os.chown(path, 12345, -1)


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.symlink_to("precious"),
        Path.mkdir,
        os.mkfifo,
        pytest.param(
            _somebody_else_s, marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
        ),
    ],
    ids=["symlink", "folder", "pipe", "somebody else's"],
)
def test_a_lock_file_that_is_not_ours_is_refused_and_left_alone(tmp_path, listening, make):
    (tmp_path / "precious").write_text("precious")
    lock = tmp_path / ".kwsd.sock.lock"
    make(lock)
    before = identify(str(lock))
    with pytest.raises(ConfigError, match=r"\.kwsd\.sock\.lock is in the way"):
        listening(tmp_path / "kwsd.sock")
    assert identify(str(lock)) == before
    assert (tmp_path / "precious").read_text() == "precious"


CONTENDER = """
import sys
from kwsd.errors import ConfigError
from kwsd.sinks.socket.socket_file import listen
print("ready", flush=True)
sys.stdin.readline()
try:
    listener = listen(sys.argv[1])
    print("serves", flush=True)
except ConfigError as error:
    print("refused" if "another process serves it" in str(error) else error, flush=True)
sys.stdin.readline()
"""


def test_of_many_that_start_at_once_on_a_stale_file_one_serves(tmp_path, listening):
    path = tmp_path / "kwsd.sock"
    listening(path).socket.close()
    command = [sys.executable, "-c", CONTENDER, str(path)]
    with contextlib.ExitStack() as stack:
        contenders = [
            stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            for _ in range(4)
        ]
        for contender in contenders:
            assert contender.stdout.readline() == "ready\n"
        for contender in contenders:
            contender.stdin.write("go\n")
            contender.stdin.flush()
        answers = [contender.stdout.readline() for contender in contenders]
        assert sorted(answers) == ["refused\n"] * 3 + ["serves\n"]
        assert connects(path)
