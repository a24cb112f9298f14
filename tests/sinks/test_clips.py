"""Clips: a folder of words that stays within its bounds, and what becomes of a recording that cannot be written."""

import io
import logging
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from kwsd import config
from kwsd.cli.check_config import sink_faults
from kwsd.errors import ConfigError
from kwsd.events import PeakEvent, RecordingEvent
from kwsd.sinks.bus import Bus
from kwsd.sinks.clips.settings import ClipsSettings
from kwsd.sinks.clips.shelf import Shelf
from kwsd.sinks.clips.sink import ClipsSink
from kwsd.whole_file import folder_name
from tests.faults.test_sinks_together import small_disk
from tests.sinks.conftest import LIMIT_S, detection

NOW = datetime(2026, 11, 21, 9, 30, 0, 125_000, UTC)
DAY_S = 86_400.0


def recording(samples: int = 16_000, label: str = "stop", start: int = (52_340 - 1000) * 16) -> RecordingEvent:
    noise = np.random.default_rng(1).integers(-3000, 3000, samples).astype(np.int16)
    return RecordingEvent(detection(label=label), noise, 16_000, start)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Bus]]:
    buses = []

    def start(**settings: object) -> Bus:
        sink = ClipsSink.create(ClipsSettings(str(tmp_path / "clips"), **settings), None)
        buses.append(Bus([sink], lambda sink, error: pytest.fail(repr(error))))
        buses[-1].start()
        return buses[-1]

    yield start
    for bus in buses:
        bus.stop()


def drained(bus: Bus) -> tuple[int, int, int]:
    assert bus.drain(time.monotonic() + LIMIT_S)
    counts = bus.counters["clips"]
    return counts["queued"], counts["sent"], counts["dropped"]


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_recording_is_a_flac_in_the_folder_of_its_word_for_its_user_alone(serve, tmp_path):
    before = os.umask(0)
    try:
        bus = serve()
        bus.publish(recording())
        assert drained(bus) == (0, 1, 0)
    finally:
        os.umask(before)
    folder = tmp_path / "clips"
    assert files(folder) == ["stop/20261121-09_nohash_3000125.flac"]
    for path, mode in ((folder, 0o700), (folder / "stop", 0o700), (folder / files(folder)[0], 0o600)):
        assert stat.S_IMODE(path.stat().st_mode) == mode
    samples, rate_hz = soundfile.read(folder / files(folder)[0], dtype="int16")
    assert rate_hz == 16_000 and samples.tolist() == recording().samples.tolist()


def test_events_alone_and_words_that_are_not_wanted_are_not_kept(serve, tmp_path):
    bus = serve(only=("go",))
    bus.publish(detection(label="go"))
    bus.publish(recording(label="stop"))
    assert drained(bus) == (0, 0, 0)
    assert files(tmp_path / "clips") == []


@pytest.mark.parametrize("peaks", [False, True])
def test_near_misses_are_kept_where_they_are_wanted(serve, tmp_path, peaks):
    bus = serve(peaks=peaks)
    near_miss = PeakEvent("stop", 0.5, 0.6, "below_threshold", 52_340, "2026-11-21T09:30:00.125Z", "m")
    bus.publish(RecordingEvent(near_miss, recording().samples, 16_000, recording().start))
    assert drained(bus) == (0, int(peaks), 0)
    assert files(tmp_path / "clips") == ["_peak_/stop/20261121-09_nohash_3000125.flac"] * peaks


def test_a_sink_takes_its_part_of_what_others_wanted_more_of(serve, tmp_path):
    bus = serve(before_ms=500, after_ms=100)
    bus.publish(recording(32_000, start=(52_340 - 1500) * 16))
    assert drained(bus) == (0, 1, 0)
    samples, _ = soundfile.read(tmp_path / "clips" / files(tmp_path / "clips")[0], dtype="int16")
    assert samples.tolist() == recording(32_000).samples[700 * 16 : 1300 * 16].tolist()


def test_one_that_holds_nothing_of_this_sink_s_part_is_counted_as_dropped(serve, tmp_path):
    bus = serve(before_ms=100, after_ms=0)
    bus.publish(recording(160))
    assert drained(bus) == (0, 0, 1)
    assert files(tmp_path / "clips") == []


def test_it_is_said_loudly_where_recordings_are_kept(serve, tmp_path, caplog):
    bus = serve(max_mb=7, max_age_days=3, before_ms=1000, after_ms=500)
    [line] = [record for record in caplog.records if record.levelno == logging.WARNING]
    told = f"recordings are kept in {tmp_path}/clips: 1.5 s around each word, at most 7 MB and for 3 days"
    assert line.getMessage() == told
    assert bus.sinks[0].keeps_recordings_in == str(tmp_path / "clips")


def test_a_full_disk_is_told_once_counted_and_tried_again(serve, tmp_path, caplog):
    bus = serve()
    folder = tmp_path / "clips"
    with small_disk():
        for _ in range(3):
            bus.publish(recording())
        assert drained(bus) == (0, 0, 3)
    assert files(folder) == [], "not even a part"
    bus.publish(recording())
    assert drained(bus) == (0, 1, 3)
    assert [line for line in caplog.messages if "cannot be kept" in line] == [
        f"recordings cannot be kept in {folder}: File too large; tried again at the next word"
    ]
    with caplog.at_level(logging.INFO):
        folder.joinpath("stop").rename(folder / "moved")
        folder.joinpath("stop").write_text("in the way")
        bus.publish(recording())
        assert drained(bus) == (0, 1, 4)
        folder.joinpath("stop").unlink()
        bus.publish(recording())
        assert drained(bus) == (0, 2, 4)
    assert caplog.messages[-1] == f"recordings are kept again in {folder}"


def test_a_folder_that_is_deleted_meanwhile_is_made_again(serve, tmp_path):
    bus = serve()
    (tmp_path / "clips").rmdir()
    bus.publish(recording())
    assert drained(bus) == (0, 1, 0)
    assert stat.S_IMODE((tmp_path / "clips").stat().st_mode) == 0o700


# The shelf.


def put(shelf: Shelf, when: datetime, size: int = 1000, word: str = "stop") -> Path:
    return shelf.keep(word, False, when, bytes(size))


def test_names_sort_by_time_and_two_of_one_millisecond_differ(tmp_path):
    shelf = Shelf(str(tmp_path / "clips"), 10**9, DAY_S)
    moments = [NOW + timedelta(milliseconds=step) for step in (0, 0, 0, 60_000, 1_800_000, 50_000_000)]
    names = [put(shelf, when).name for when in moments]
    assert names == sorted(names) and len(set(names)) == 6
    assert all(re.fullmatch(r"\d{8}-\d\d_nohash_\d{7}\.flac", name) for name in names)
    assert {name.partition("_nohash_")[0] for name in names} == {"20261121-09", "20261121-10", "20261121-23"}


def test_near_misses_have_folders_of_their_own(tmp_path):
    shelf = Shelf(str(tmp_path), 10**9, DAY_S)
    shelf.keep("stop", True, NOW, b"x")
    assert files(tmp_path) == ["_peak_/stop/20261121-09_nohash_3000125.flac"]


@given(sizes=st.lists(st.integers(1, 4000), min_size=1, max_size=40), most=st.integers(4000, 20_000))
def test_the_newest_stay_and_never_more_than_is_allowed(sizes, most, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shelf")
    shelf = Shelf(str(folder), most, 1e12)
    for number, size in enumerate(sizes):
        put(shelf, NOW + timedelta(seconds=number), size, word=("stop", "go")[number % 2])
        left = sorted(folder.rglob("*.flac"), key=lambda path: path.name)
        assert sum(path.stat().st_size for path in left) <= most
        assert [path.stat().st_size for path in left] == sizes[number + 1 - len(left) : number + 1]
    kept = sum(sizes[len(sizes) - len(left) :])
    assert len(left) == len(sizes) or kept + sizes[len(sizes) - len(left) - 1] > 0.8 * most - 4000


def test_what_is_too_old_goes_by_itself(serve, tmp_path, caplog, monkeypatch):
    shelf = Shelf(str(tmp_path / "clips"), 10**9, 1e12)
    now = datetime.now(UTC)
    for days in (40, 31, 29, 0):
        put(shelf, now - timedelta(days=days), word="go" if days == 31 else "stop")
    monkeypatch.setattr("kwsd.sinks.clips.sink.TIDY_S", 0.01)
    with caplog.at_level(logging.INFO):
        bus = serve()
        deadline_s = time.monotonic() + LIMIT_S
        while len(files(tmp_path / "clips")) > 2:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        late = tmp_path / "clips" / "stop" / f"{now - timedelta(days=30, minutes=1):%Y%m%d-%H_nohash_%M%S000}.flac"
        (tmp_path / "late").write_bytes(b"as if it had become so old while nothing was said")
        (tmp_path / "late").rename(late)
        while late.exists():
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        bus.stop()
    assert "2 recordings in" in next(line for line in caplog.messages if "deleted" in line)


def test_what_kwsd_did_not_record_is_neither_counted_nor_deleted(tmp_path):
    folder = tmp_path / "clips"
    old = NOW - timedelta(days=1000)
    shelf = Shelf(str(folder), 10_000, DAY_S)
    own = put(shelf, old)
    own.rename(sorted_by_hand := own.with_name("anna_nohash_0.flac"))
    outside = tmp_path / "outside"
    outside.mkdir()
    foreign = outside / "20200101-00_nohash_0000000.flac"
    foreign.write_bytes(bytes(20_000))
    (folder / "linked").symlink_to(outside)
    (folder / "stop" / "20200101-00_nohash_0000001.flac").symlink_to(foreign)
    (folder / "20200101-00_nohash_0000000.flac").write_bytes(b"in no word's folder")
    (folder / "stop" / "20200101-00_nohash_0000002.flac").mkdir()
    assert shelf.tidy() == 0
    assert sorted_by_hand.exists() and foreign.exists()
    moved = put(shelf, old)
    (folder / "go").mkdir()
    moved.rename(folder / "go" / moved.name)
    assert shelf.tidy() == 1, "one that a person moved to another word's folder is still a recording"


def test_what_a_kwsd_that_was_killed_left_half_written_goes_at_the_start(tmp_path):
    shelf = Shelf(str(tmp_path), 10_000, 1e12)
    path = put(shelf, NOW)
    path.rename(f"{path}.part")
    Shelf(str(tmp_path), 10_000, 1e12)
    assert files(tmp_path) == []


@given(st.text(max_size=300))
def test_no_word_leads_out_of_the_folder(word):
    name = folder_name(word)
    assert name and "/" not in name and "\0" not in name and not name.startswith(".")
    assert len(name.encode()) <= 255


@pytest.mark.parametrize("word", ["größer", "../up", "two words", "", "x" * 400, "\udcff"])
def test_any_word_can_be_kept(tmp_path, word):
    path = put(Shelf(str(tmp_path), 10_000, 1e12), NOW, word=word)
    assert path.parent.parent == tmp_path and path.exists()


# Settings.


def test_a_folder_that_cannot_be_used_is_refused_when_it_is_checked_and_at_the_start(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    text = "".join(
        f"- type: clips\n  folder: {tmp_path}/{name}\n{more}"
        for name, more in (("file", ""), ("none/clips", ""), ("link", ""), ("x", "  before_ms: 50\n  after_ms: 0\n"))
    )
    settings = config.read(f"sinks:\n{text}".encode(), "x.yaml")
    assert sink_faults(settings) == [
        f"x.yaml:3: key 'folder': '{tmp_path}/file' exists and is not a folder",
        f"x.yaml:5: key 'folder': there is no folder '{tmp_path}/none' to make 'clips' in",
        f"x.yaml:7: key 'folder': '{tmp_path}/link' exists and is not a folder",
        "x.yaml:10: key 'before_ms': less than 100 ms together with after_ms",
    ]
    for sink in settings.sinks:
        with pytest.raises(ConfigError, match="sinks: clips: "):
            ClipsSink.create(sink, None)


def test_two_sinks_do_not_share_a_folder(tmp_path):
    with pytest.raises(ConfigError, match="the same file as on line 2"):
        config.read(
            f"sinks:\n- {{type: clips, folder: {tmp_path}}}\n- {{type: clips, folder: {tmp_path}/}}".encode(), "x"
        )


def test_long_recordings_shorten_the_queue():
    assert ClipsSink(ClipsSettings("f")).queue_max == 524
    assert ClipsSink(ClipsSettings("f", before_ms=10_000, after_ms=10_000)).queue_max == 26


def test_flac_of_any_length_can_be_written():
    """libsndfile takes a clip of a single sample, which a gap may leave."""
    file = io.BytesIO()
    soundfile.write(file, np.int16([1]), 16_000, format="FLAC", subtype="PCM_16")
    assert soundfile.read(io.BytesIO(file.getvalue()), dtype="int16")[0].tolist() == [1]
