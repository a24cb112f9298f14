"""The spool: what a webhook owes survives a restart and SIGKILL, and nothing survives its freshness."""

import os
import sqlite3
import stat
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest

from kwsd.config import WebhookSettings
from kwsd.errors import ConfigError
from kwsd.sinks.spool import Spool
from kwsd.sinks.webhook import WebhookSink
from kwsd.url import Url
from tests.sinks.http_receiver import Receiver, detection, wait_until

ROOT = Path(__file__).parents[2]


def by_id(*events):
    return {event.id: event for event in events}


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
    spool = Spool(path)
    assert spool.load() == []
    assert spool.mirror(by_id(*events[:10]))
    assert spool.mirror(by_id(*events[5:]))
    spool.close()
    again = Spool(path)
    assert again.load() == events[5:]
    assert again.ids == {event.id for event in events[5:]}
    again.close()


def test_texts_that_are_no_utf_8_survive(path):
    event = replace(detection(), device=os.fsdecode(b"caf\xe9.wav"))
    spool = Spool(path)
    assert spool.mirror(by_id(event))
    spool.close()
    spool = Spool(path)
    assert spool.load() == [event]
    spool.close()


@pytest.mark.parametrize("before", [None, 0o644, 0o666])
def test_the_file_and_its_side_files_are_private(path, before):
    if before is not None:
        Path(path).touch(before)
        Path(path).chmod(before)
    spool = Spool(path)
    spool.mirror(by_id(detection()))
    files = sorted(Path(path).parent.iterdir())
    assert [file.name for file in files] == ["hook.db", "hook.db-wal"]
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600, 0o600]
    spool.close()


def test_a_spool_that_another_process_uses_is_refused(path):
    holder = python(
        """
        import sys
        from kwsd.sinks.spool import Spool
        spool = Spool(sys.argv[1])
        print("open", flush=True)
        sys.stdin.read()
        """,
        path,
        stdin=subprocess.PIPE,
    )
    assert holder.stdout.readline() == "open\n"
    with pytest.raises(ConfigError, match="in use") as caught:
        Spool(path)
    assert caught.value.exit_code == 78
    holder.communicate()
    Spool(path).close()


def test_two_hooks_of_one_process_cannot_share_a_spool(path):
    spool = Spool(path)
    with pytest.raises(ConfigError, match="in use"):
        Spool(path)
    spool.close()


def _noise(path):
    path.write_bytes(os.urandom(8192))


def _damaged(path):
    spool = Spool(str(path))
    spool.mirror(by_id(*[detection(seq) for seq in range(1, 200)]))
    spool.close()
    content = bytearray(path.read_bytes())
    content[4096:-100] = b"\xa5" * (len(content) - 4196)
    path.write_bytes(content)


def _short(path):
    _damaged(path)
    os.truncate(path, 5000)


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
        (_noise, "damaged"),
        (_damaged, "damaged"),
        (_short, "damaged"),
        (_foreign, "somebody else"),
        (Path.mkdir, "no regular file"),
        (os.mkfifo, "no regular file"),
        (_link, "symbolic link"),
    ],
)
def test_what_is_no_spool_is_refused_and_left_alone(path, make, why):
    make(Path(path))
    before = Path(path).read_bytes() if Path(path).is_file() else None
    mode = Path(path).stat().st_mode
    with pytest.raises(ConfigError, match=why) as caught:
        Spool(path)
    assert "\n" not in str(caught.value)
    assert path in str(caught.value)
    if before is not None:
        assert Path(path).read_bytes() == before
    assert Path(path).stat().st_mode == mode


def test_a_spool_in_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        Spool(str(tmp_path / "missing" / "hook.db"))


def test_rows_of_another_version_are_left_out(path, caplog):
    spool = Spool(path)
    spool.mirror(by_id(detection(1), detection(2)))
    spool.close()
    database = sqlite3.connect(path)
    database.execute("""UPDATE events SET body = '{"type":"detection","word":"go"}' WHERE position = 1""")
    database.commit()
    database.close()
    spool = Spool(path)
    assert [event.seq for event in spool.load()] == [2]
    spool.close()
    assert "1 events of another version" in caplog.text


def test_a_full_disk_costs_nothing_but_the_spool(path):
    """Where the disk takes no more, events go on in memory; that is counted, and told once."""
    process = python(
        """
        import logging, resource, sys, time
        from kwsd.config import WebhookSettings
        from kwsd.sinks.webhook import WebhookSink
        from kwsd.url import Url
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
            wait_until(lambda: sink.counters["sent"] >= 299)
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
    from kwsd.config import WebhookSettings
    from kwsd.sinks.webhook import WebhookSink
    from kwsd.url import Url
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
    spool = Spool(path)
    spool.mirror(by_id(detection(1, age_s=30), detection(2, age_s=-3600), detection(3)))
    spool.close()
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
    spool = Spool(path)
    assert spool.load() == []
    spool.close()


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
