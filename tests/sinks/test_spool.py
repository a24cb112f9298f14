"""The spool: what a webhook owes survives a restart and SIGKILL, and nothing survives its freshness."""

import logging
import os
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
import textwrap
import time
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from kwsd.errors import ConfigError
from kwsd.sinks.bus import Bus
from kwsd.sinks.webhook.settings import WebhookSettings
from kwsd.sinks.webhook.sink import WebhookSink
from kwsd.sinks.webhook.spool import Spool
from kwsd.sinks.webhook.spool_file import revive
from kwsd.sinks.webhook.url import Url
from kwsd.uptime import uptime_s
from tests.sinks.http_receiver import Receiver, detection, wait_until

ROOT = Path(__file__).parents[2]


def by_id(*events):
    return {event.id: event for event in events}


def opened(path):
    """A spool that is open, and what it held."""
    spool = Spool(path)
    return spool, spool.open()


def filled(path, *events):
    """A spool with these events, open."""
    spool, found = opened(path)
    assert found == ([], 0)
    spool.mirror(by_id(*events))
    assert spool.ids == {event.id for event in events}
    return spool


def held(path):
    """What the file holds, as the next run sees it."""
    spool, found = opened(path)
    spool.close()
    return found


def python(code: str, *arguments: str, **options) -> subprocess.Popen:
    """Another process that runs ``code`` and says on its standard output how far it is."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        **options,
    )


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "hook.db")


def test_what_is_mirrored_is_loaded_again_in_order(path):
    events = [detection(seq) for seq in range(1, 20)]
    spool = filled(path, *events[:10])
    spool.mirror(by_id(*events[5:]))
    spool.close()
    spool, found = opened(path)
    assert found == (events[5:], 0)
    assert spool.ids == {event.id for event in events[5:]}
    spool.mirror({})
    spool.close()
    assert held(path) == ([], 0)


def test_the_age_of_what_is_loaded_is_by_the_wall_clock(path):
    filled(path, detection(1, age_s=30)).close()
    [event], _ = held(path)
    assert 29.9 < uptime_s() - event.heard_s < 60


def test_texts_that_are_no_utf_8_survive(path):
    event = replace(detection(), device=os.fsdecode(b"caf\xe9.wav"))
    filled(path, event).close()
    assert held(path) == ([event], 0)


@pytest.mark.parametrize("before", [None, 0o644, 0o666])
def test_the_file_and_its_side_files_are_private(path, before):
    if before is not None:
        Path(path).touch(before)
        Path(path).chmod(before)
    spool = filled(path, detection())
    files = sorted(Path(path).parent.iterdir())
    assert [file.name for file in files] == ["hook.db", "hook.db-journal"]
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600, 0o600]
    spool.close()


def test_a_spool_that_another_process_uses_is_refused(path):
    holder = python(
        """
        import sys
        from kwsd.sinks.webhook.spool import Spool
        spool = Spool(sys.argv[1])
        spool.open()
        print("open", flush=True)
        sys.stdin.read()
        """,
        path,
        stdin=subprocess.PIPE,
    )
    assert holder.stdout.readline() == "open\n"
    with pytest.raises(ConfigError, match="in use") as caught:
        Spool(path).open()
    assert caught.value.exit_code == 78
    holder.communicate()
    assert held(path) == ([], 0)


def test_two_hooks_of_one_process_cannot_share_a_spool(path):
    """And the attempt does not cost the first one its lock."""
    spool = filled(path)
    with pytest.raises(ConfigError, match="in use"):
        Spool(path).open()
    database = sqlite3.connect(path, timeout=0)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        database.execute("SELECT * FROM events")
    database.close()
    spool.close()


def _foreign(path):
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE cookies (name TEXT)")
    database.commit()
    database.close()
    os.chmod(path, 0o644)  # noqa: PTH101


def _link(path):
    (Path(path).parent / "precious").write_bytes(b"")
    Path(path).symlink_to("precious")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_foreign, "another program's database"),
        (Path.mkdir, "not a regular file"),
        (os.mkfifo, "not a regular file"),
        (_link, "symbolic link"),
    ],
)
def test_what_is_no_spool_is_refused_and_left_alone(path, make, why):
    make(Path(path))
    before = Path(path).read_bytes() if Path(path).is_file() else None
    mode = Path(path).stat().st_mode
    with pytest.raises(ConfigError, match=why) as caught:
        Spool(path).open()
    assert "\n" not in str(caught.value)
    assert path in str(caught.value)
    if before is not None:
        assert Path(path).read_bytes() == before
    assert Path(path).stat().st_mode == mode


def test_a_spool_in_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        Spool(str(tmp_path / "missing" / "hook.db")).open()


# Damage.

EVENTS = [detection(seq) for seq in range(1, 41)]


def edited(path, statement):
    database = sqlite3.connect(path)
    database.execute(statement)
    database.commit()
    database.close()


@pytest.mark.parametrize(
    "change",
    [
        'body = \'{"type":"detection","word":"go"}\'',
        "body = replace(body, '0.912', '0.812')",
        "body = CAST(X'ff80' AS TEXT)",
        "body = X''",
        "body = 7",
        "crc = crc + 1",
        "crc = 'x'",
        "id = X'ff'",
    ],
)
def test_a_damaged_row_is_dropped_counted_and_told_and_the_others_are_kept(path, change, caplog):
    filled(path, *EVENTS[:3]).close()
    edited(path, f"UPDATE events SET {change} WHERE position = 2")
    kept = EVENTS[:3] if change.startswith("id") else [EVENTS[0], EVENTS[2]]
    spool, found = opened(path)
    assert found == (kept, 3 - len(kept))
    assert caplog.text.count("1 damaged rows dropped") == found.damaged
    spool.mirror(by_id(*kept))
    spool.close()
    assert held(path) == (kept, 0), "it is gone from the file, too"


def test_a_row_that_says_another_time_than_there_is_is_damaged():
    body = b'{"type":"detection","time":"yesterday"}'
    assert revive(body, zlib.crc32(body)) is None


def _noise(path):
    path.write_bytes(os.urandom(8192))


def _zeros(path):
    path.write_bytes(bytes(path.stat().st_size))


def _text(path):
    path.write_text("this is no database, whoever wrote it\n" * 100)


def _torn(path):
    content = bytearray(path.read_bytes())
    content[4096:-100] = b"\xa5" * (len(content) - 4196)
    path.write_bytes(content)


def _header(path):
    content = bytearray(path.read_bytes())
    content[16:100] = os.urandom(84)
    path.write_bytes(content)


def _short(path):
    os.truncate(path, 5000)


def _other_version(path):
    edited(path, "DROP TABLE events")
    edited(path, "CREATE TABLE events (id TEXT)")


@pytest.mark.parametrize("damage", [_noise, _zeros, _text, _torn, _header, _short, _other_version])
def test_a_damaged_file_is_set_aside_in_one_line_and_a_new_one_made(path, damage, caplog):
    filled(path, *EVENTS).close()
    damage(Path(path))
    before = Path(path).read_bytes()
    spool, found = opened(path)
    assert set(found.events) <= set(EVENTS)
    assert Path(f"{path}.damaged").read_bytes() == before
    assert len(caplog.records) == 1 and "set aside" in caplog.text
    spool.mirror(by_id(*EVENTS[:2]))
    spool.close()
    assert held(path) == (EVENTS[:2], 0)


@pytest.mark.parametrize("content", [b"root:x:0:0::/root:/bin/sh\n", bytes(8192), b"\x93NUMPY" * 1000, b"x"])
def test_a_file_that_nothing_says_is_a_spool_is_refused_and_left_alone(tmp_path, content):
    """A name that was mistyped must not cost anybody a file."""
    path = str(tmp_path / "passwd")
    Path(path).write_bytes(content)
    Path(path).chmod(0o644)
    before = Path(path).stat()
    with pytest.raises(ConfigError, match=r"is not a spool of kwsd\. Name another file"):
        Spool(path).open()
    after = Path(path).stat()
    assert Path(path).read_bytes() == content
    assert (after.st_ino, after.st_mode, after.st_mtime_ns) == (before.st_ino, before.st_mode, before.st_mtime_ns)
    assert [file.name for file in Path(path).parent.iterdir()] == [Path(path).name]


def test_a_damaged_database_of_somebody_else_is_left_alone(path):
    edited(path, "CREATE TABLE letters (id TEXT)")
    Path(path).chmod(0o644)
    content = bytearray(Path(path).read_bytes())
    content[100:110] = b"\xa5" * 10
    Path(path).write_bytes(content)
    with pytest.raises(ConfigError, match="is not a spool of kwsd"):
        Spool(path).open()
    assert Path(path).read_bytes() == content


def test_a_damaged_copy_of_a_spool_is_still_known_by_its_id(path, caplog):
    filled(path, *EVENTS).close()
    _torn(Path(path))
    Path(path).chmod(0o644)
    opened(path)[0].close()
    assert "set aside" in caplog.text


def test_what_can_be_read_of_a_damaged_file_is_still_delivered(path):
    filled(path, *EVENTS).close()
    content = Path(path).read_bytes()
    Path(path).write_bytes(content + bytes(4096))  # a page that belongs to nothing
    os.truncate(path, len(content) + 100)
    edited(path, "PRAGMA user_version = 1")
    content = bytearray(Path(path).read_bytes())
    content[36:40] = b"\0\0\0\7"  # the header's count of free pages, of which there are none
    Path(path).write_bytes(content)
    spool, found = opened(path)
    spool.close()
    assert Path(f"{path}.damaged").exists()
    assert found == (EVENTS, 0)


def test_a_second_damaged_file_takes_the_place_of_the_first(path):
    for _ in range(2):
        filled(path).close()
        Path(f"{path}-journal").touch()
        _noise(Path(path))
        noise = Path(path).read_bytes()
        opened(path)[0].close()
        assert Path(f"{path}.damaged").read_bytes() == noise
        assert Path(f"{path}.damaged-journal").exists()
        Path(path).unlink()


def test_whatever_bit_is_flipped_nothing_breaks_and_nothing_false_is_delivered(path, tmp_path):
    """A tenth of all bits, in another order each time; each tenth run flips 20."""
    filled(path, *EVENTS[:8]).close()
    sound, dice = Path(path).read_bytes(), random.Random()
    seed = dice.randrange(1 << 32)
    dice.seed(seed)
    losses = 0
    for trial in range(400):
        broken = bytearray(sound)
        for _ in range(20 if trial % 10 == 9 else 1):
            # Half of them in SQLite's header and its two first pages' own.
            at = dice.choice([dice.randrange(len(broken)), dice.randrange(120), 4096 + dice.randrange(60)])
            broken[at] ^= 1 << dice.randrange(8)
        spoiled = tmp_path / "spoiled" / "hook.db"
        shutil.rmtree(spoiled.parent, ignore_errors=True)
        spoiled.parent.mkdir()
        spoiled.write_bytes(broken)
        spool = Spool(str(spoiled))
        try:
            found = spool.open()
        except ConfigError as error:
            raise AssertionError(f"seed {seed}, trial {trial}: {error}") from error
        assert [event for event in EVENTS[:8] if event in found.events] == found.events, (seed, trial)
        aside = (spoiled.parent / "hook.db.damaged").exists()
        assert aside or len(found.events) + found.damaged == 8, (seed, trial)
        losses += 8 - len(found.events)
        spool.mirror(by_id(detection(99)))
        assert spool.ids == {detection(99).id}, (seed, trial)
        spool.close()
    assert losses, "no flip hit a row"


@pytest.mark.parametrize("hurt", ["DROP TABLE events", "ALTER TABLE events ADD COLUMN x NOT NULL DEFAULT 1"])
def test_a_file_that_is_damaged_while_it_is_used_is_set_aside(path, hurt, caplog):
    spool = filled(path, EVENTS[0])
    spool._file._database.execute(hurt)
    spool._file._database.execute("CREATE TRIGGER no BEFORE INSERT ON events BEGIN SELECT RAISE(FAIL, 'no'); END") if (
        "ALTER" in hurt
    ) else None
    spool.mirror(by_id(*EVENTS[:2]))
    assert not spool.is_open and spool.unspooled == 1
    assert len(caplog.records) == 1 and "set aside" in caplog.text
    assert spool.attend() == ([], 0)
    spool.mirror(by_id(*EVENTS[:2]))
    spool.close()
    assert held(path) == (EVENTS[:2], 0)


def test_a_webhook_with_a_damaged_spool_delivers_what_is_left_and_counts_the_rest(path):
    filled(path, *[detection(seq) for seq in (1, 2, 3)]).close()
    edited(path, "UPDATE events SET body = CAST(X'ff80' AS TEXT) WHERE position = 2")
    with Receiver() as receiver:
        settings = WebhookSettings(Url.parse(receiver.url), spool=path, secret_env="S")
        sink = WebhookSink(settings, {"S": "s"})
        sink.start()
        sink.put(detection(4))
        assert sink.drain(time.monotonic() + 20)
        wait_until(lambda: not sink._spool.ids)
        sink.stop()
        assert sink.counters == {"queued": 0, "sent": 3, "dropped": 1, "retried": 0, "unspooled": 0}
        assert [id[-1] for id in receiver.ids] == list("134")


# Other people's hands.


READER = """
    import sqlite3, sys
    database = sqlite3.connect(sys.argv[1], isolation_level=None)
    database.execute("BEGIN")
    print(database.execute("SELECT count(*) FROM events").fetchone()[0], flush=True)
    sys.stdin.readline()
    database.execute("COMMIT")
    print("done", flush=True)
    sys.stdin.read()
"""


def test_whoever_reads_the_spool_at_the_start_only_delays_it(path, caplog):
    """The events wait in memory; what the file holds comes when the reader is done, before what was said since."""
    caplog.set_level(logging.INFO)
    filled(path, detection(1), detection(2)).close()
    reader = python(READER, path, stdin=subprocess.PIPE)
    assert reader.stdout.readline() == "2\n"
    with Receiver(otherwise=503) as receiver:
        settings = WebhookSettings(Url.parse(receiver.url), spool=path, secret_env="S", max_age_s=600)
        sink = WebhookSink(settings, {"S": "s"})
        sink.start()
        assert "another program has it open; events wait in memory only" in caplog.text
        sink.put(detection(3))
        receiver.wait_for(1)
        reader.stdin.write("\n")
        reader.stdin.flush()
        assert reader.stdout.readline() == "done\n"
        wait_until(lambda: len(sink._spool.ids) == 3)
        assert "works again" in caplog.text
        receiver._otherwise = 200
        assert sink.drain(time.monotonic() + 60)
        sink.stop()
        assert sorted(set(receiver.ids)) == [detection(seq).id for seq in (1, 2, 3)]
        assert (sink.counters["sent"], sink.counters["dropped"]) == (3, 0)
    reader.communicate()


def test_a_reader_that_stays_costs_nothing_but_the_spool(path):
    old = detection(1)
    filled(path, old).close()
    reader = python(READER, path, stdin=subprocess.PIPE)
    assert reader.stdout.readline() == "1\n"
    with Receiver() as receiver:
        sink = WebhookSink(WebhookSettings(Url.parse(receiver.url), spool=path))
        sink.start()
        sink.put(detection(2))
        assert sink.drain(time.monotonic() + 20)
        sink.stop()
        assert (sink.counters["sent"], sink.counters["dropped"]) == (1, 0)
    reader.communicate()
    assert held(path) == ([old], 0), "what could not be read is left for the next run"


@pytest.mark.parametrize("taken", ["deleted", "moved", "replaced"])
def test_a_spool_that_somebody_takes_away_is_noticed_and_made_anew(path, taken, caplog):
    """Nothing else happens meanwhile: the server is down and nobody speaks."""
    with Receiver(otherwise=503) as receiver:
        sink = WebhookSink(WebhookSettings(Url.parse(receiver.url), spool=path, max_age_s=600))
        sink.start()
        for seq in (1, 2):
            sink.put(detection(seq))
        wait_until(lambda: len(sink._spool.ids) == 2)
        before = Path(path).stat().st_ino
        if taken == "deleted":
            Path(path).rename(f"{path}.kept")  # so that its number is not used again
            Path(f"{path}.kept").unlink()
        else:
            Path(path).rename(f"{path}.old")
        if taken == "replaced":
            filled(f"{path}.other", detection(7, run="000000000002")).close()
            Path(f"{path}.other").rename(path)
        wait_until(lambda: "it was removed or replaced" in caplog.text)
        wait_until(lambda: Path(path).exists() and len(sink._spool.ids) == (3 if taken == "replaced" else 2))
        assert taken == "deleted" or Path(path).stat().st_ino != before
        sink.stop()
        counters = sink.counters
        assert (counters["queued"], counters["dropped"]) == (len(held(path).events), 0)
    expected = {detection(1), detection(2)} | ({detection(7, run="000000000002")} if taken == "replaced" else set())
    assert {event.id for event in held(path).events} == {event.id for event in expected}


def test_a_spool_deleted_just_before_the_end_keeps_what_is_owed(path):
    with Receiver(otherwise=503) as receiver:
        sink = WebhookSink(WebhookSettings(Url.parse(receiver.url), spool=path, max_age_s=600))
        sink.start()
        sink.put(detection(1))
        wait_until(lambda: len(sink._spool.ids) == 1)
        Path(path).unlink()
        sink.stop()
        assert sink.counters["queued"] == 1
    assert [event.id for event in held(path).events] == [detection(1).id]


def test_a_spool_that_is_gone_for_good_is_not_said_to_hold_anything(tmp_path):
    path = tmp_path / "folder" / "hook.db"
    path.parent.mkdir()
    with Receiver(otherwise=503) as receiver:
        sink = WebhookSink(WebhookSettings(Url.parse(receiver.url), spool=str(path), max_age_s=600))
        sink.start()
        for seq in range(44):
            sink.put(detection(seq))
        wait_until(lambda: len(sink._spool.ids) == 44)
        shutil.rmtree(path.parent)
        sink.stop()
        assert (sink.counters["queued"], sink.counters["dropped"]) == (0, 44)


def test_a_hook_that_is_put_back_while_the_old_one_drains_goes_on(path):
    """Two reloads within max_age_s: the second would find the spool in use."""
    with Receiver(otherwise=503) as receiver:
        settings = WebhookSettings(Url.parse(receiver.url), spool=path, secret_env="S", max_age_s=60)

        def hook(**changes):
            return WebhookSink(replace(settings, **changes), {"S": "s"})

        bus = Bus([hook()], lambda sink, error: None)
        bus.start()
        bus.publish(detection(1))
        receiver.wait_for(1)
        bus.replace([])
        assert bus.counters["webhook"]["queued"] == 1
        bus.replace([hook(timeout_s=4.0)])
        assert len(bus.serving) == 1
        bus.publish(detection(2))
        receiver._otherwise = 200
        assert bus.drain(time.monotonic() + 20)
        bus.stop()
        assert bus.counters["webhook"]["sent"] == 2
        assert list(dict.fromkeys(receiver.ids)) == [detection(1).id, detection(2).id]


def test_a_damaged_spool_does_not_refuse_a_reload(path, caplog):
    Path(path).write_bytes(os.urandom(8192))
    with Receiver() as receiver:
        bus = Bus([], lambda sink, error: None)
        bus.start()
        bus.replace([WebhookSink(WebhookSettings(Url.parse(receiver.url), spool=path))])
        bus.publish(detection(1))
        assert bus.drain(time.monotonic() + 20)
        bus.stop()
        assert len(receiver.requests) == 1
    assert "set aside" in caplog.text


def test_a_full_disk_costs_nothing_but_the_spool(path):
    """Where the disk takes no more, events go on in memory; that is counted, and told once."""
    process = python(
        """
        import logging, resource, sys, time
        from kwsd.sinks.webhook.settings import WebhookSettings
        from kwsd.sinks.webhook.sink import WebhookSink
        from kwsd.sinks.webhook.url import Url
        from tests.sinks.http_receiver import Receiver, detection, wait_until
        logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(message)s", level=logging.WARNING)
        path, limit = sys.argv[1], int(sys.argv[2])
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))  # Python ignores SIGXFSZ: writes fail
        with Receiver() as receiver:
            receiver._answers = iter([receiver.hang])
            sink = WebhookSink(WebhookSettings(url=Url.parse(receiver.url), spool=path, timeout_s=20, max_age_s=60))
            sink.start()
            for seq in range(1, 301):
                sink.put(detection(seq))
                wait_until(lambda: sink._mirrored.keys() == sink._backlog_events().keys())
            receiver.released.set()
            wait_until(lambda: sink.counters["sent"] == 300)
            wait_until(lambda: sink.counters["unspooled"] > 0)
            sink.stop()
            print("unspooled", sink.counters["unspooled"] > 0, "queued", sink.counters["queued"])
        """,
        path,
        "20000",
    )
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    lines = [line for line in output.splitlines() if "answer" not in line]
    assert lines[-1] == "unspooled True queued 0"
    assert len([line for line in lines if "wait in memory only" in line]) == 1, output


KILLED = """
    import sys
    from kwsd.sinks.webhook.settings import WebhookSettings
    from kwsd.sinks.webhook.sink import WebhookSink
    from kwsd.sinks.webhook.url import Url
    from tests.sinks.http_receiver import detection, wait_until
    url, spool = sys.argv[1:]
    settings = WebhookSettings(Url.parse(url), spool=spool, secret_env="S", timeout_s=60, max_age_s=60)
    sink = WebhookSink(settings, {"S": "s"})
    sink.start()
    for seq in (1, 2, 3):
        sink.put(detection(seq))
    wait_until(lambda: len(sink._spool.ids) == 3)
    print("spooled", flush=True)
    sys.stdin.read()
"""


def test_sigkill_inside_a_request_loses_nothing(path):
    """Three events, the first being delivered, are delivered by the next process, with the same ids, in order."""
    with Receiver() as receiver:
        receiver._answers = iter([receiver.hang])
        process = python(KILLED, receiver.url, path, stdin=subprocess.PIPE)
        assert process.stdout.readline() == "spooled\n"
        receiver.wait_for(1)
        process.kill()
        process.communicate()
        settings = WebhookSettings(url=Url.parse(receiver.url), spool=path, secret_env="S", max_age_s=60)
        sink = WebhookSink(settings, {"S": "s"})
        sink.start()
        sink.put(detection(1, run="000000000002"))
        assert sink.drain(time.monotonic() + 20)
        assert sink.counters["sent"] == 4
        sink.stop()
        first = "5f2c9a1e7b3d"
        assert receiver.ids == [f"{first}-1", f"{first}-1", f"{first}-2", f"{first}-3", "000000000002-1"]


def test_what_got_stale_meanwhile_is_dropped_and_counted(path):
    filled(path, detection(1, age_s=30), detection(2, age_s=-3600), detection(3)).close()
    with Receiver() as receiver:
        sink = WebhookSink(WebhookSettings(url=Url.parse(receiver.url), spool=path, secret_env="S"), {"S": "s"})
        sink.start()
        assert sink.drain(time.monotonic() + 20)
        sink.stop()
        assert sink.counters == {"queued": 0, "sent": 1, "dropped": 2, "retried": 0, "unspooled": 0}
        assert receiver.ids == ["5f2c9a1e7b3d-3"]


def test_stop_leaves_the_rest_to_the_next_run(path):
    """They count as queued, for they are neither delivered nor lost; what was delivered does not come back."""
    with Receiver([200], otherwise=503) as receiver:
        settings = WebhookSettings(url=Url.parse(receiver.url), spool=path, max_age_s=60)
        sink = WebhookSink(settings)
        sink.start()
        for seq in (1, 2, 3):
            sink.put(detection(seq))
        receiver.wait_for(2)
        sink.stop()
        counters = sink.counters
        assert (counters["queued"], counters["sent"], counters["dropped"]) == (2, 1, 0)
    with Receiver() as receiver:
        sink = WebhookSink(replace(settings, url=Url.parse(receiver.url)))
        sink.start()
        assert sink.drain(time.monotonic() + 20)
        sink.stop()
        assert sink.counters["sent"] == 2
    assert held(path) == ([], 0)


def test_a_delivered_event_leaves_the_spool(path):
    with Receiver([503]) as receiver:
        sink = WebhookSink(WebhookSettings(url=Url.parse(receiver.url), spool=path))
        sink.start()
        sink.put(detection())
        assert sink.drain(time.monotonic() + 20)
        wait_until(lambda: not sink._spool.ids)
        sink.stop()
        assert sink.counters["sent"] == 1


def test_a_reload_to_another_address_takes_the_spool_along(path):
    """Only the sink that holds the file can go on with it."""
    sink = WebhookSink(WebhookSettings(url=Url.parse("http://127.0.0.1:9/"), spool=path, max_age_s=60))
    sink.start()
    sink.put(detection())
    with Receiver() as receiver:
        new = WebhookSink(WebhookSettings(url=Url.parse(receiver.url), spool=path, max_age_s=60))
        assert sink.can_adopt(new)
        sink.adopt(new)
        assert sink.drain(time.monotonic() + 20)
        sink.stop()
        assert len(receiver.requests) == 1
