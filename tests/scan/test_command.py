"""``kwsd scan`` as a person runs it: what it writes, and what it says about bad input."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import soundfile

from kwsd.scan import clips, work
from kwsd.scan.inputs import Recording
from kwsd.scan.local import LocalPool
from kwsd.scan.pool import Job, Lost
from kwsd.scan.results import common_root
from kwsd.scan.words import Word
from tests.helpers.kwsd_process import DEMO, Kwsd, run
from tests.helpers.other_word import zap_model
from tests.scan.conftest import hearing_of


def scan(*arguments, **how):
    done = run("scan", "--model", "tiny", *arguments, **how)
    return done.process.returncode, done.events, [line.removeprefix("kwsd: ") for line in done.log]


def words(events):
    return [(event["label"], event["score"], event["end_ms"]) for event in events]


@pytest.fixture(scope="module")
def by_source():
    return [
        (each["label"], each["score"], each["audio_ms"]) for each in run("--model", "tiny", "--source", DEMO).events
    ]


@pytest.fixture
def archive(tmp_path, recording):
    """A folder with three recordings in two folders."""
    for name in ("a.wav", "deep/b.flac", "deep/c.ogg"):
        recording(f"archive/{name}", samples=8 * 16000)
    return tmp_path / "archive"


def test_models_that_are_left_out_are_told(tmp_path):
    config = tmp_path / "kwsd.yaml"
    config.write_text(f"model: [tiny, {zap_model(tmp_path)}]\nonly: [stop, zap]\n")
    done = run("scan", "-c", config, DEMO, "--quiet")
    assert done.log == ["kwsd: kwsd-tiny alone is used, the first of several models; left out: kwsd-zap"]
    assert set(done.words) == {"stop"}


def test_the_words_of_a_file_are_those_of_source(by_source):
    code, events, log = scan(DEMO, "--jobs", "2")
    assert (code, words(events)) == (0, by_source)
    assert by_source
    for event in events:
        assert list(event) == ["type", "file", "label", "score", "start_ms", "end_ms", "model"]
        assert (event["type"], event["file"], event["model"]) == ("found", str(DEMO), "kwsd-tiny")
        assert event["start_ms"] == max(0, event["end_ms"] - 1000)
    assert log[0].split() == ["word", "count", "per", "hour", "median", "score"]
    assert log[-1].startswith(f"{len(events)} words in 0.01 hours of 1 recording, heard in ")


def test_a_configuration_means_what_it_means_to_the_daemon(tmp_path):
    page = tmp_path / "kwsd.yaml"
    page.write_text("model: tiny\nonly: [stop, go]\nrecognize: {detection_threshold: 0.4, mode: rearm}\n")
    heard = run("--config", page, "--source", DEMO).events
    found = run("scan", DEMO, "--config", page, "-q").events
    assert words(found) == [(each["label"], each["score"], each["audio_ms"]) for each in heard]
    assert {each["label"] for each in found} == {"stop", "go"}


def test_everything_that_can_be_written(tmp_path, archive):
    parquet = pytest.importorskip(
        "pyarrow.parquet", reason="pyarrow is not installed: pip install 'kwsd[scan-parquet]'"
    )
    out, cut, rows = tmp_path / "out", tmp_path / "cut", tmp_path / "rows.parquet"
    code, events, _ = scan(archive, "--output", out, "--labels", "--cut", cut, "--parquet", rows, "--jobs", "1")
    assert code == 0 and events
    names = ["a.wav", "deep/b.flac", "deep/c.ogg"]
    written = {name: [json.loads(line) for line in (out / f"{name}.jsonl").read_text().splitlines()] for name in names}
    assert [event for name in names for event in written[name]] == events
    for name in names:
        tracks = [line.split("\t") for line in (out / f"{name}.txt").read_text().splitlines()]
        assert tracks == [
            [f"{each['start_ms'] / 1000:.3f}", f"{each['end_ms'] / 1000:.3f}", each["label"]] for each in written[name]
        ]
    clips = sorted(cut.rglob("*.flac"))
    assert sorted(clip.parent.name for clip in clips) == sorted(event["label"] for event in events)
    first = next(event for event in events if event["file"].endswith("a.wav"))
    [clip] = [each for each in clips if each.name.startswith("a-") and each.stem.endswith(f"_{first['end_ms']}")]
    whole = soundfile.read(archive / "a.wav", dtype="int16")[0]
    heard = soundfile.read(clip, dtype="int16")[0]
    assert (heard == whole[first["start_ms"] * 16 : first["end_ms"] * 16]).all()
    assert [
        {"type": "found", **row, "score": round(row["score"], 3)} for row in parquet.read_table(rows).to_pylist()
    ] == events
    assert not list(tmp_path.rglob("*.part"))


def test_labels_of_one_recording_go_to_standard_output(archive):
    done = subprocess.run(
        [sys.executable, "-m", "kwsd", "scan", "-m", "tiny", archive / "a.wav", "--labels", "-q"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0
    assert all(len(line.split("\t")) == 3 for line in done.stdout.splitlines())
    code, _, log = scan(archive, "--labels")
    assert code == 2 and log == ["--labels: one track cannot hold 3 recordings. Add --output DIR."]


def test_resume_leaves_out_what_is_done_and_no_other(tmp_path, archive):
    out = tmp_path / "out"
    assert scan(archive, "--output", out)[0] == 0
    before = {path: path.read_bytes() for path in out.rglob("*.jsonl")}
    (out / "deep" / "b.flac.jsonl").unlink()
    _, events, log = scan(archive, "--output", out, "--resume")
    assert {Path(event["file"]).name for event in events} <= {"b.flac"}
    assert log[-1].endswith("; 2 heard before")
    assert {path: path.read_bytes() for path in out.rglob("*.jsonl")} == before
    assert scan(archive, "--output", out, "--resume", "--labels")[0] == 0
    assert len(list(out.rglob("*.txt"))) == 3, "tracks that are wanted now are written now"
    code, _, log = scan(archive, "--output", out, "--resume", "--detection-threshold", "0.9")
    assert code == 2 and "it holds results of a scan with another recognize" in log[0]
    code, _, log = scan(archive, "--resume")
    assert code == 2 and log == ["--resume: requires --output DIR, which holds earlier results. Add it."]


def test_resume_takes_no_result_of_other_settings_as_done(tmp_path, archive):
    """Not even where the last scan, of one recording, had these."""
    out = tmp_path / "out"
    assert scan(archive, "--output", out, "--only", "stop", "-q")[0] == 0
    assert scan(archive / "a.wav", "--output", out, "-q")[0] == 0
    code, _, log = scan(archive, "--output", out, "--resume")
    assert code == 0 and log[-1].endswith("; 1 heard before")


def test_any_name_of_a_recording_can_be_written_and_resumed(tmp_path, archive):
    """Separators of lines that JSON does not escape, and names as long as a file system takes."""
    for name in ("a\u2028b\nc", "日" * 81):
        shutil.copy(archive / "a.wav", archive / f"{name}.wav")
    out, cut = tmp_path / "out", tmp_path / "cut"
    code, events, log = scan(archive, "--output", out, "--cut", cut)
    assert code == 0, log
    assert len(list(out.rglob("*.jsonl"))) == 5 and len(list(cut.rglob("*.flac"))) == len(events)
    assert not list(tmp_path.rglob("*.part"))
    pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'kwsd[scan-parquet]'")
    code, _, log = scan(archive, "--output", out, "--resume", "--parquet", tmp_path / "rows.parquet")
    assert code == 0 and log[-1].endswith("; 5 heard before"), log


def test_a_place_that_cannot_be_written_is_one_line_and_74(tmp_path):
    taken = tmp_path / "taken"
    taken.touch()
    for option in ("--output", "--cut"):
        code, _, log = scan(DEMO, option, taken, "-q")
        assert code == 74 and len(log) == 1 and log[0].startswith(str(taken)), log


def test_a_table_that_cannot_be_written_is_one_line_and_74(tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'kwsd[scan-parquet]'")
    assert scan(DEMO, "--parquet", tmp_path, "-q") == (74, [], [f"{tmp_path}: it is a folder"])
    command = [sys.executable, "-m", "kwsd", "scan", "-m", "tiny", DEMO, "-q", "--parquet", tmp_path / "rows.parquet"]
    full = ["sh", "-c", 'ulimit -f 1; exec "$@"', "sh", *command]  # as on a disk that is full
    done = subprocess.run(full, capture_output=True, text=True, timeout=60)
    [line] = done.stderr.splitlines()
    assert done.returncode == 74 and line.startswith(f"kwsd: {tmp_path / 'rows.parquet'}: "), line
    assert line.endswith("File too large")
    assert not list(tmp_path.iterdir())


def test_a_word_leads_out_of_no_folder(tmp_path):
    """A model's labels may be anything, and so may the names in a storage."""
    word = Word("../../up", 0.9, 0, 1000)
    assert clips.path(tmp_path, Recording("s3://b/a.wav", None, "s3://b"), word).parent.parent == tmp_path
    assert ".." not in common_root(["s3://b/../../a.wav"])


def test_a_list_of_files(tmp_path, archive):
    names = tmp_path / "names"
    names.write_text(f"# calls\n{archive}/deep/c.ogg\n\n{archive}/a.wav\r\n{archive}/a.wav\n")
    _, events, log = scan("--files-from", names, "--jobs", "1")
    assert list(dict.fromkeys(Path(event["file"]).name for event in events)) == ["c.ogg", "a.wav"]
    assert "of 2 recordings" in log[-1]


def test_bad_input_is_one_line_each_and_the_rest_is_heard(tmp_path, archive):
    (archive / "empty.wav").touch()
    os.mkfifo(archive / "pipe.wav")
    (archive / "noise.mp3").write_bytes(b"no sound at all" * 100)
    damaged = bytearray((archive / "deep" / "b.flac").read_bytes())
    damaged[len(damaged) // 2 :] = bytes(len(damaged) - len(damaged) // 2)
    (archive / "damaged.flac").write_bytes(damaged)
    soundfile.write(archive / "short.wav", soundfile.read(archive / "a.wav")[0][:3200], 16000)
    (archive / "deep" / "loop").symlink_to(archive)
    (archive / "notes.txt").write_text("no recording")
    os.close(os.open(os.fsencode(archive) + b"/\xff.wav", os.O_CREAT | os.O_WRONLY))
    code, events, log = scan(archive, "--output", tmp_path / "out", "--jobs", "1")
    assert code == 0
    assert {Path(event["file"]).name for event in events} >= {"a.wav", "b.flac"}
    told = log[: next(index for index, line in enumerate(log) if line.startswith("word"))]
    reasons = {
        r"\xff.wav": "its name is not UTF-8",
        "loop": "leads back to a folder that was searched before; left out",
        "empty.wav": "the file is empty",
        "pipe.wav": "it is not a file",
        "noise.mp3": "ffmpeg cannot read it" if shutil.which("ffmpeg") else "ffmpeg is not installed",
        "damaged.flac": "damaged after",
        "short.wav": "shorter than a clip (200 of 1000 ms)",
    }
    assert len(told) == len(reasons), told
    for name, reason in reasons.items():
        assert any(f"{name}: " in line and reason in line for line in told), (name, told)
    assert "5 could not be read" in log[-1]
    assert not (tmp_path / "out" / "damaged.flac.jsonl").exists()
    assert scan(archive, "--strict", "-q")[0] == 66


def test_nothing_that_can_be_read_is_66(tmp_path):
    (tmp_path / "names").write_bytes(b"a\0b.wav\n" + 300 * b"x" + b"\n")
    code, _, log = scan("--files-from", tmp_path / "names", "-q")
    assert code == 66 and len(log) == 2 and "null byte" in log[0] and "File name too long" in log[1], log
    (tmp_path / "names").unlink()
    assert scan(tmp_path / "missing.wav")[0] == 66
    code, _, log = scan(tmp_path)
    assert (code, log) == (66, [f"{tmp_path}: there is no recording in it"])
    code, _, log = scan(DEMO, tmp_path, "--strict", "-q")
    assert (code, log) == (66, [f"{tmp_path}: there is no recording in it"])
    (tmp_path / "empty.wav").touch()
    assert scan(tmp_path)[0] == 66


def test_wrong_use_is_2_and_a_wrong_model_78(tmp_path):
    assert scan()[0] == 2
    code, _, log = scan(DEMO, "--jobs", "2", "--local-cluster", "2")
    assert code == 2 and "only one of them" in log[0]
    assert scan(DEMO, "--jobs", "0")[0] == 2
    assert scan(DEMO, "--only", "lumos")[0] == 78
    assert scan(DEMO, "--channel", "1")[0] == 66


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed; `make test` installs it")
def test_what_libsndfile_does_not_read_is_read_by_ffmpeg(tmp_path, by_source):
    film = tmp_path / "film.mka"
    subprocess.run(["ffmpeg", "-v", "error", "-i", DEMO, "-c:a", "alac", film], check=True)
    _, events, _ = scan(film)
    assert words(events) == by_source  # coded without loss
    film.write_bytes(film.read_bytes()[:100_000])
    assert scan(film)[0] in (0, 66)  # ffmpeg hears what is there, or says that it is cut off


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed; `make test` installs it")
@pytest.mark.parametrize("playlist", ["#EXTM3U\n#EXTINF:10,\n{}\n", "ffconcat version 1.0\nfile {}\n"])
def test_a_playlist_opens_no_other_file(tmp_path, playlist):
    path = tmp_path / "list.m4a"
    path.write_text(playlist.format(DEMO))
    code, events, log = scan(path)
    assert (code, events) == (66, []) and "ffmpeg cannot read it" in log[0]


def test_a_recording_that_changes_is_not_heard(recording):
    path = recording(samples=10 * 16000)
    hearing, _ = hearing_of("tiny", 50)
    long = work.begin(hearing, str(path), False)
    soundfile.write(path, soundfile.read(path)[0][::-1], 16000)
    result = work.score(hearing, str(path), long, 0, 50)
    assert isinstance(result, work.Failure) and "it changed while it was read" in result.message


def test_a_job_that_takes_its_process_down_is_tried_twice_and_harms_no_other():
    pool = LocalPool(2)
    try:
        jobs = [Job("bad", os._exit, (9,)), *(Job("good", abs, (-number,)) for number in range(6))]
        for job in jobs:
            pool.submit(job)
        results = {}
        while len(results) < len(jobs):
            if (done := pool.next(10)) is not None:
                results[done[0]] = done[1]
        assert isinstance(results[jobs[0]], Lost) and jobs[0].losses == 2
        assert [results[job] for job in jobs[1:]] == list(range(6))
    finally:
        pool.close()


def dies_once_in_the_middle_of_its_result(marker):
    """More than a pipe holds; while it is being sent, the process dies, but the second time it does not."""
    if not marker.exists():
        marker.touch()
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGKILL)).start()
    return bytes(50_000_000)


def test_a_process_that_dies_in_the_middle_of_its_result_is_replaced(tmp_path):
    pool = LocalPool(1)
    try:
        job = Job("big", dies_once_in_the_middle_of_its_result, (tmp_path / "marker",))
        pool.submit(job)
        wait_for(lambda: (tmp_path / "marker").exists() and not children(os.getpid()))
        done = None
        while done is None:
            done = pool.next(60)
        assert done == (job, bytes(50_000_000)) and job.losses == 1
    finally:
        pool.close()


def test_a_pool_ends_while_a_result_is_on_its_way():
    pool = LocalPool(2)
    for _ in range(200):
        pool.submit(Job("big", bytes, (8_000_000,)))
    for _ in range(20):
        assert wait_for(lambda: pool.next(1))
    pool.close()
    assert not children(os.getpid())


def children(pid):
    """Processes of the pool of a scan; not multiprocessing's own helper."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields, command = status.read_text().rpartition(") ")[2].split(), (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == pid and b"spawn_main" in command:
            found.append(int(status.parent.name))
    return found


def wait_for(condition, limit_s=60):
    end_s = time.monotonic() + limit_s
    while not (value := condition()):
        assert time.monotonic() < end_s, "it did not happen"
        time.sleep(0.02)
    return value


@pytest.fixture
def hours(tmp_path, demo):
    """A recording that takes some seconds to scan."""
    path = tmp_path / "hours.wav"
    with soundfile.SoundFile(path, "w", 16000, 1) as file:
        for _ in range(40):
            file.write(demo)
    return path


def test_a_process_that_is_killed_costs_no_word(hours):
    whole = scan(hours)[1]
    process = Kwsd("scan", "-m", "tiny", hours, "--jobs", "2")
    workers = wait_for(lambda: len(found := children(process.process.pid)) == 2 and found)
    os.kill(workers[0], signal.SIGKILL)
    assert process.end() == 0
    assert process.events == whole


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_whoever_ends_a_scan_ends_its_processes_and_a_resumed_one_finds_the_rest(number, hours, tmp_path):
    for index in range(3):
        (tmp_path / "archive").mkdir(exist_ok=True)
        os.link(hours, tmp_path / "archive" / f"{index}.wav")
    arguments = ("scan", "-m", "tiny", tmp_path / "archive", "--output", tmp_path / "out", "--resume", "--jobs", "2")
    process = Kwsd(*arguments)
    workers = wait_for(lambda: len(found := children(process.process.pid)) == 2 and found)
    first = tmp_path / "out" / "0.wav.jsonl"
    wait_for(first.exists)
    if number == signal.SIGINT:
        os.killpg(process.process.pid, number)  # as a terminal sends it, to all of them
    else:
        os.kill(process.process.pid, number)
    assert process.end() == (-number if number == signal.SIGKILL else 0)
    if number != signal.SIGKILL:
        assert [line for line in process.log if "stopped after" in line] == process.log, process.log
    wait_for(lambda: not any(map(is_alive, workers)))
    done = first.stat().st_mtime_ns
    again = run(*arguments)
    assert again.process.returncode == 0 and "heard before" in again.log[-1]
    assert first.stat().st_mtime_ns == done
    found = [
        words(map(json.loads, path.read_text().splitlines())) for path in sorted((tmp_path / "out").glob("*.jsonl"))
    ]
    assert len(found) == 3 and found[0] and found[0] == found[1] == found[2]


def is_alive(pid):
    """Whether a process is there and has not ended yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[0] not in "ZX"
    except OSError:
        return False


PEAK_RSS = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""Of a command and those that it waited for, in KiB; from a small process, since a child begins with its parent's."""


@pytest.mark.parametrize("rate_hz", [16000, 44100])
def test_memory_does_not_grow_with_a_recording(tmp_path, demo, rate_hz):
    """Neither where it is cut into chunks nor where it is read as a whole; a day takes what an hour takes."""
    rss_mb = []
    for repeats in (4, 40):
        path = tmp_path / "long.wav"
        with soundfile.SoundFile(path, "w", rate_hz, 1) as file:
            for _ in range(repeats):
                file.write(demo)
        command = [sys.executable, "-m", "kwsd", "scan", "-m", "tiny", "-q", "--jobs", "1", path]
        done = subprocess.run([sys.executable, "-c", PEAK_RSS, *command], capture_output=True, text=True, check=True)
        rss_mb.append(int(done.stdout) / 1024)
    assert rss_mb[1] < 200 and rss_mb[1] - rss_mb[0] < 20, rss_mb


def test_a_reader_that_goes_ends_it_silently(hours):
    done = subprocess.run(
        f"{sys.executable} -m kwsd scan -m tiny {hours} {hours} {DEMO} --jobs 1 -q | head -1; echo ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.splitlines()[-1] == "0" and done.stderr == ""


def test_without_the_extra_an_address_is_69(tmp_path):
    program = "import sys; sys.modules['fsspec'] = None; from kwsd.cli.main import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", program, "scan", "s3://bucket/a.wav"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 69
    assert done.stderr == "kwsd: fsspec: addresses need it, and it is not installed. pip install 'kwsd[scan]'\n"
