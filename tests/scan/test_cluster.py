"""A Dask scheduler and three workers, as docs/scale.md starts them, on one machine, with what goes wrong on many."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.helpers.kwsd_process import ROOT, Kwsd, run

pytest.importorskip("distributed", reason="Dask is not installed: pip install 'kwsd[scan]'")

SLOW = ROOT / "tests" / "helpers" / "slow_storage.py"
KNOWS_SLOW = (sys.executable, "-m", "tests.helpers.slow_storage")
ALLOWED = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "10"}


class Cluster:
    """The processes of ``dask scheduler`` and ``dask worker``."""

    def __init__(self, folder):
        self._folder, self.file = folder, folder / "scheduler.json"
        self.workers = []
        self._processes = []
        self._dask("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        self.address = json.loads(wait_for(lambda: self.file.exists() and self.file.read_text()))["address"]

    def worker(self):
        """One more; without a nanny, so that who is killed stays away."""
        options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--preload", SLOW)
        self.workers.append(self._dask("worker", *options, "--local-directory", self._folder))

    def _dask(self, command, *options):
        process = subprocess.Popen(
            [Path(sys.executable).parent / "dask", command, "--scheduler-file", self.file, *map(str, options)],
            env={**os.environ, **ALLOWED},
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._processes.append(process)
        return process

    def end(self):
        for process in reversed(self._processes):
            process.kill()
            process.wait()


def wait_for(condition, limit_s=60):
    end_s = time.monotonic() + limit_s
    while not (value := condition()):
        assert time.monotonic() < end_s, "it did not happen"
        time.sleep(0.02)
    return value


@contextmanager
def cluster(folder, workers):
    started = Cluster(folder)
    try:
        for _ in range(workers):
            started.worker()
        yield started
    finally:
        started.end()


@pytest.fixture
def archive(tmp_path, recording):
    """Twelve recordings, one of them damaged."""
    for index in range(12):
        recording(f"archive/{index:02}.wav", samples=6 * 16000, at=index * 16000)
    (tmp_path / "archive" / "05.wav").write_bytes(b"RIFFdamaged")
    return tmp_path / "archive"


def found(lines):
    return sorted((Path(line["file"]).name, line["label"], line["score"], line["end_ms"]) for line in lines)


def in_folder(folder):
    return found(json.loads(line) for path in folder.rglob("*.jsonl") for line in path.read_text().splitlines())


def test_workers_that_die_and_come_late_a_damaged_file_and_slow_storage(tmp_path, archive):
    """Each recording is heard once, or told with its reason, though only one worker lives from start to end."""
    reference = run("scan", "-m", "tiny", archive, "-q")
    arguments = ("scan", "-m", "tiny", f"slow://{archive}", "--output", tmp_path / "out")
    with cluster(tmp_path, 2) as dask:
        process = Kwsd(
            *arguments, "--scheduler", dask.address, command=(sys.executable, "-m", "tests.helpers.slow_storage")
        )
        wait_for(lambda: list((tmp_path / "out").glob("*.jsonl")))
        dask.workers[0].send_signal(signal.SIGKILL)
        dask.worker()
        assert process.end() == 0, process.log
    assert found(process.events) == found(reference.events) == in_folder(tmp_path / "out")
    failures = [line for line in process.log if "05.wav" in line]
    assert len(failures) == 1 and failures[0].startswith(f"kwsd: slow://{archive}/05.wav: "), process.log
    assert "1 could not be read" in process.log[-1]
    assert len(list((tmp_path / "out").glob("*.jsonl"))) == 11


def test_a_client_that_is_killed_is_resumed(tmp_path, archive):
    reference = run("scan", "-m", "tiny", archive, "-q")
    out = tmp_path / "out"
    arguments = ("scan", "-m", "tiny", f"slow://{archive}", "--output", out, "--resume")
    with cluster(tmp_path, 3) as dask:
        process = Kwsd(*arguments, "--scheduler", dask.address, command=KNOWS_SLOW)
        wait_for(lambda: list(out.glob("*.jsonl")))
        process.process.kill()
        process.end()
        done = {path: path.stat().st_mtime_ns for path in out.glob("*.jsonl")}
        again = Kwsd(*arguments, "--scheduler", dask.address, command=KNOWS_SLOW)
        assert again.end() == 0, again.log
    assert f"; {len(done)} heard before" in again.log[-1]
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert in_folder(out) == found(reference.events)


def test_long_recordings_are_cut_into_chunks_for_a_local_cluster(tmp_path, demo, recording):
    path = recording()
    soundfile = pytest.importorskip("soundfile")
    with soundfile.SoundFile(path, "w", 16000, 1) as file:
        for _ in range(9):
            file.write(demo)
    arguments = ("scan", "-m", "tiny", path, "-q")
    assert run(*arguments, "--local-cluster", "2").events == run(*arguments, "--jobs", "1").events


def test_a_scheduler_that_does_not_answer_is_69(recording):
    done = run("scan", recording(), "--scheduler", "tcp://127.0.0.1:9")
    assert done.process.returncode == 69
    assert [
        line for line in done.log if line.startswith("kwsd: --scheduler tcp://127.0.0.1:9: no Dask scheduler answers")
    ]
    assert not any("<distributed" in line for line in done.log)


@pytest.mark.parametrize("address", ["", "nonsense", "tcp://127.0.0.1", "http://127.0.0.1:8786"])
def test_an_address_that_is_none_of_a_scheduler_is_one_line_and_2(address):
    done = run("scan", "a.wav", "--scheduler", address)
    assert done.process.returncode == 2
    assert done.log == [f"kwsd: --scheduler: got {address!r}; allowed: tcp://HOST:PORT or tls://HOST:PORT"]


PROGRAMS = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "scale.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("program", PROGRAMS, ids=["plain", "tls"])
def test_the_clusters_of_the_page_work(tmp_path, program):
    """The commands of docs/scale.md as they are, but for a free port and a folder that is not the repository."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    program = program.replace("8786", str(port)).replace("--output found", f"--output {tmp_path}/found")
    program = program.replace("kwsd scan examples", f"cd {ROOT}; kwsd scan examples")
    program += "code=$?; kill $(jobs -p); wait; exit $code\n"
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", program], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert {event["file"] for event in events} == {str(ROOT / "examples" / "demo.flac")}
    assert found(events) == found(run("scan", "examples/demo.flac", "-q").events) == in_folder(tmp_path / "found")
