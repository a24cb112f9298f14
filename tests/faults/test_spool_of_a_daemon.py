"""A daemon whose spool was damaged, is being read, or is taken out of the configuration and put back: it goes on."""

import contextlib
import json
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kwsd.sinks.webhook.spool import Spool
from tests.helpers.kwsd_process import Kwsd, running
from tests.sinks.http_receiver import Receiver, detection


def fill(path: Path) -> None:
    """Three events that an earlier run owes."""
    spool = Spool(str(path))
    spool.open()
    spool.mirror({event.id: event for event in (detection(1), detection(2), detection(3))})
    spool.close()


def edit(path: Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(statement)
        database.commit()


def configured(config: Path, *hooks: str) -> None:
    config.write_text("sinks:\n- {type: stdout}\n" + "".join(f"- {hook}\n" for hook in hooks))


def posted(receiver: Receiver) -> list[int]:
    return [json.loads(request.body)["seq"] for request in receiver.requests]


@contextlib.contextmanager
def listening(config: Path) -> Iterator[Kwsd]:
    """A daemon that hears silence for ever."""
    with running("--config", config, "--source", "-", stdin=subprocess.PIPE) as daemon, daemon.process.stdin as pipe:
        pipe.buffer.write(bytes(32_000))
        pipe.flush()
        daemon.wait_for_log("listening")
        yield daemon


def reload(daemon: Kwsd) -> None:
    before = sum("settings read again" in line for line in daemon.log)
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_for(lambda: sum("settings read again" in line for line in daemon.log) > before, "the reload is taken")


DAMAGES = {
    "no UTF-8": "UPDATE events SET body = CAST(X'ff80' AS TEXT) WHERE position = 2",
    "a bad time": "UPDATE events SET body = replace(body, ':', ';') WHERE position = 2",
    "another table": "ALTER TABLE events RENAME TO stories",
}


@pytest.mark.parametrize("damage", [*DAMAGES, "noise"])
@pytest.mark.parametrize("when", ["start", "reload"])
def test_a_damaged_spool_is_told_in_one_line_and_delivery_goes_on(when: str, damage: str, tmp_path: Path) -> None:
    config, spool = tmp_path / "kwsd.yaml", tmp_path / "hook.db"
    fill(spool)
    if damage == "noise":
        spool.write_bytes(b"\xa5" * 8192)
    else:
        edit(spool, DAMAGES[damage])
    left = [] if damage in ("noise", "another table") else [1, 3]
    with Receiver() as receiver:
        hook = f"{{type: webhook, url: '{receiver.url}', spool: {spool}, max_age_s: 600}}"
        configured(config, *([hook] if when == "start" else []))
        with listening(config) as daemon:
            if when == "reload":
                configured(config, hook)
                reload(daemon)
            receiver.wait_for(len(left))
            daemon.wait_for_log("damaged")
            assert daemon.stop()[0] == 0, daemon.log
        assert posted(receiver) == left
    assert sum("spool " in line and "damaged" in line for line in daemon.log) == 1, daemon.log
    assert damage not in DAMAGES or damage == "another table" or "1 dropped" in daemon.log[-1], daemon.log
    assert not [line for line in daemon.log if "Traceback" in line]


def test_a_spool_that_is_being_read_does_not_end_the_start(tmp_path: Path) -> None:
    config, spool = tmp_path / "kwsd.yaml", tmp_path / "hook.db"
    fill(spool)
    with Receiver() as receiver, contextlib.closing(sqlite3.connect(spool, isolation_level=None)) as reader:
        configured(config, f"{{type: webhook, url: '{receiver.url}', spool: {spool}, max_age_s: 600}}")
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM events").fetchall()
        with listening(config) as daemon:
            daemon.wait_for_log("another program has it open")
            reader.execute("COMMIT")
            receiver.wait_for(3)
            assert daemon.stop()[0] == 0, daemon.log
        assert posted(receiver) == [1, 2, 3]


def test_a_hook_that_is_taken_out_and_put_back_is_not_refused(tmp_path: Path) -> None:
    """Its events are on their way all the while, and its spool is its own."""
    config, spool = tmp_path / "kwsd.yaml", tmp_path / "hook.db"
    fill(spool)
    with Receiver(otherwise=503) as receiver:
        hook = f"{{type: webhook, url: '{receiver.url}', spool: {spool}, max_age_s: 600}}"
        configured(config, hook)
        with listening(config) as daemon:
            receiver.wait_for(1)
            for hooks in ([], [hook], [], [hook]):
                configured(config, *hooks)
                reload(daemon)
            receiver._otherwise = 200
            daemon.wait_for(lambda: posted(receiver)[-1:] == [3], "all are delivered")
            assert daemon.stop()[0] == 0, daemon.log
    assert not any("refused" in line for line in daemon.log), daemon.log
