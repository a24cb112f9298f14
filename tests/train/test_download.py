"""kwsd-train download, from a local server that misbehaves in many ways."""

import hashlib
import io
import os
import resource
import subprocess
import sys
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from kwsd_train.cli import main
from kwsd_train.data import fetch

WAV = np.random.default_rng(1).bytes(40_000)


def tar_gz(*members):
    """A .tar.gz of (name, content) files, or of finished TarInfo members."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    return file.getvalue()


ARCHIVE = tar_gz(("./yes/a_nohash_0.wav", WAV), ("./no/b_nohash_0.wav", WAV), ("LICENSE", b"free"))
FILES = ["LICENSE", "no/b_nohash_0.wav", "yes/a_nohash_0.wav"]


class Server:
    """Serves ``content`` at /words.tar.gz; each request is one entry of ``requests`` (its Range, None without).

    Attributes:
        breaks: bytes after which the next answers break off, one each; then they are whole.
        knows_ranges, etag: whether, and as what.
        ignores_if_range: answers 206 although the version is another.
    """

    def __init__(self):
        self.content, self.etag, self.breaks, self.requests = ARCHIVE, '"one"', [], []
        self.knows_ranges, self.ignores_if_range, self.status = True, False, 200
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.answer(self)

            def log_message(self, *_):
                """Says nothing: what was asked is looked at."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}/words.tar.gz"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def answer(self, handler):
        wanted = handler.headers.get("Range")
        self.requests.append(wanted)
        if self.status != 200:
            handler.send_error(self.status)
            return
        same = self.ignores_if_range or handler.headers.get("If-Range") == self.etag
        start = int(wanted[6:].rstrip("-")) if wanted and self.knows_ranges and same else 0
        body, total = self.content[start:], len(self.content)
        if start and start >= total:
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{total}")
            handler.end_headers()
            return
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        handler.send_header("Content-Length", str(len(body)))
        if self.etag:
            handler.send_header("ETag", self.etag)
        handler.end_headers()
        handler.wfile.write(body[: self.breaks.pop(0)] if self.breaks else body)

    def close(self):
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(fetch, "PAUSE_S", 0.0)
    served = Server()
    yield served
    served.close()


def download(server, folder, *more):
    return main(["download", "--data_url", server.url, "--data_dir", str(folder), *more])


def files(folder):
    """What a person sees there."""
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return [name for name in found if name != ".words.tar.gz.done"]


def test_a_whole_archive_is_unpacked_and_its_hash_told(server, tmp_path, capsys):
    """Own words that are there stay; a second run downloads nothing."""
    (tmp_path / "lumos").mkdir()
    (tmp_path / "lumos" / "anna_nohash_0.wav").write_bytes(b"mine")
    assert download(server, tmp_path) == 0
    assert files(tmp_path) == sorted([*FILES, "lumos/anna_nohash_0.wav"])
    assert (tmp_path / "yes" / "a_nohash_0.wav").read_bytes() == WAV
    shown = capsys.readouterr()
    assert f"SHA-256 {hashlib.sha256(ARCHIVE).hexdigest()} (not checked" in shown.out
    assert ">> Downloading words.tar.gz 100.0%\n" in shown.err
    assert download(server, tmp_path) == 0
    assert len(server.requests) == 1


def test_a_broken_off_download_goes_on_where_it_was(server, tmp_path):
    server.breaks = [10_000, 20_000]
    assert download(server, tmp_path, "--sha256", hashlib.sha256(ARCHIVE).hexdigest()) == 0
    assert server.requests == [None, "bytes=10000-", "bytes=30000-"]
    assert files(tmp_path) == FILES


def test_a_later_run_goes_on_after_a_run_that_gave_up(server, tmp_path, capsys):
    server.breaks = [10_000] + [0] * fetch.TRIES
    assert download(server, tmp_path) == 66
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("kwsd-train: ")
    assert error.endswith("it broke off. Run it again to resume.")
    server.breaks.clear()
    assert download(server, tmp_path) == 0
    assert server.requests[-1] == "bytes=10000-"
    assert files(tmp_path) == FILES


def test_a_part_that_is_complete_already_is_taken(server, tmp_path):
    (tmp_path / "words.tar.gz.part").write_bytes(ARCHIVE)
    (tmp_path / "words.tar.gz.part.etag").write_text('"one"')
    assert download(server, tmp_path) == 0
    assert files(tmp_path) == FILES


@pytest.mark.parametrize("etag", ['"one"', ""])
def test_a_server_without_ranges_or_versions_sends_all_of_it_again(server, tmp_path, etag):
    server.knows_ranges, server.etag, server.breaks = bool(not etag), etag, [10_000]
    assert download(server, tmp_path, "--sha256", hashlib.sha256(ARCHIVE).hexdigest()) == 0
    assert len(server.requests) == 2
    assert files(tmp_path) == FILES


@pytest.mark.parametrize("ignores_if_range", [False, True])
def test_two_versions_are_never_joined(server, tmp_path, ignores_if_range):
    """The file changes on the server between two connections."""
    server.breaks = [10_000] + [0] * fetch.TRIES
    assert download(server, tmp_path) == 66
    server.breaks.clear()
    server.content, server.etag = tar_gz(("up/c_nohash_0.wav", WAV + WAV)), '"two"'
    server.ignores_if_range = ignores_if_range
    assert download(server, tmp_path, "--sha256", hashlib.sha256(server.content).hexdigest()) == 0
    assert files(tmp_path) == ["up/c_nohash_0.wav"]


def test_a_wrong_hash_leaves_nothing(server, tmp_path, capsys):
    assert download(server, tmp_path, "--sha256", "0" * 64) == 66
    assert f"its SHA-256 is {hashlib.sha256(ARCHIVE).hexdigest()}, not 0000" in capsys.readouterr().err
    assert files(tmp_path) == []


def link(name, target):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (ARCHIVE[:-5000], "broken: "),
        (ARCHIVE[:30_000] + bytes(1000) + ARCHIVE[31_000:], "broken: "),
        (b"<html>not found</html>", "broken: "),
        (b"", "broken: "),
        (tar_gz(("yes/a.wav", WAV), ("../evil.wav", WAV)), "'../evil.wav' leads out of the folder"),
        (tar_gz(("/tmp/evil.wav", WAV)), "'/tmp/evil.wav' leads out of the folder"),
        (tar_gz(link("yes", "/tmp"), ("yes/evil.wav", WAV)), "'yes' is neither a file nor a folder"),
    ],
)
def test_a_broken_or_evil_archive_is_one_line_and_leaves_nothing(server, tmp_path, capsys, content, told):
    server.content = content
    folder = tmp_path / "data"
    assert download(server, folder) == 66
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("kwsd-train: ")]
    assert len(errors) == 1
    assert told in errors[0]
    assert files(tmp_path) == []


@pytest.mark.parametrize("status", [403, 404])
def test_a_refusal_is_told_at_once(server, tmp_path, capsys, status):
    server.status = status
    assert download(server, tmp_path) == 66
    assert f"the server says {status} " in capsys.readouterr().err
    assert len(server.requests) == 1


def test_a_busy_server_is_asked_again(server, tmp_path):
    server.status = 503
    assert download(server, tmp_path) == 66
    assert len(server.requests) == fetch.TRIES


@pytest.mark.parametrize("phase", ["download", "unpack"])
def test_a_full_disk_is_one_line_and_nothing_half_is_seen(server, tmp_path, phase):
    """A limit on the size of files stands for the disk. What was downloaded stays, to go on from."""
    server.content = ARCHIVE if phase == "download" else tar_gz(("yes/a_nohash_0.wav", bytes(200_000)))
    limit = 50_000
    done = subprocess.run(
        [sys.executable, "-m", "kwsd_train", "download", "--data_url", server.url, "--data_dir", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        text=True,
    )
    errors = [line for line in done.stderr.splitlines() if not line.startswith(">> ")]
    assert (done.returncode, len(errors)) == (74, 1), done.stderr
    assert "cannot be written: File too large. Make room" in errors[0]
    left = ["words.tar.gz.part", "words.tar.gz.part.etag"] if phase == "download" else ["words.tar.gz"]
    assert files(tmp_path) == left
    assert download(server, tmp_path) == 0
    assert "yes/a_nohash_0.wav" in files(tmp_path)
    assert "words.tar.gz" not in files(tmp_path)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--data_url", "file:///etc/passwd"], "is not an http or https address"),
        (["--data_url", "http://[x/a.tar.gz"], "is not an address"),
        (["--data_url", "http://127.0.0.1/a b.tar.gz"], "--data_url: "),
        (["--data_url", "http://127.0.0.1/"], "names no file"),
        (["--data_url", "http://127.0.0.1/a.tar.gz", "--sha256", "12"], "64 hexadecimal digits"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_2(tmp_path, capsys, flags, told):
    assert main(["download", "--data_dir", str(tmp_path), *flags]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert told in lines[0]
