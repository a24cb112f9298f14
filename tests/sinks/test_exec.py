"""Commands: what they are told, how they are ended, and that nothing of them is left."""

import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kwsd import config
from kwsd.cli.check_config import sink_faults, to_yaml
from kwsd.config.effective import check_labels
from kwsd.errors import ConfigError
from kwsd.sinks.bus import Bus
from kwsd.sinks.exec.settings import ExecSettings
from kwsd.sinks.exec.sink import ExecSink
from tests.helpers.kwsd_process import DEMO
from tests.helpers.kwsd_process import run as run_kwsd
from tests.helpers.kwsd_process import running as running_kwsd
from tests.sinks.conftest import LIMIT_S, detection

WRITES_WHAT_IT_IS_TOLD = """
import os, sys
with open(sys.argv[1], "a") as file:
    print(os.environ["KWSD_LABEL"], os.environ["KWSD_SCORE"], os.environ["KWSD_ID"], sys.argv[2:],
          sys.stdin.read(), sep="|", end="", file=file)
"""


def until(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def lives(pid: int) -> bool:
    """Whether the process exists and is not merely waiting to be collected."""
    try:
        return not re.search(r"\) [ZX] ", Path(f"/proc/{pid}/stat").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def serve() -> Iterator[Callable[..., Bus]]:
    buses = []

    def start(commands: dict[str, list[str]], **settings: object) -> Bus:
        made = ExecSettings(commands={word: tuple(words) for word, words in commands.items()}, **settings)
        buses.append(Bus([ExecSink(made)], lambda sink, error: pytest.fail(repr(error))))
        buses[-1].start()
        return buses[-1]

    yield start
    for bus in buses:
        bus.stop()


def counters(bus: Bus) -> tuple[int, int, int]:
    counts = bus.counters["exec"]
    return counts["queued"], counts["sent"], counts["dropped"]


def test_a_command_is_told_what_watch_exec_tells_and_no_shell_reads_it(serve, tmp_path):
    (tmp_path / "script.py").write_text(WRITES_WHAT_IT_IS_TOLD)
    out = tmp_path / "out"
    program = [sys.executable, f"{tmp_path}/script.py", str(out), "two words", "$HOME;echo"]
    bus = serve({"stop": program})
    for seq in range(3):
        bus.publish(detection(seq))
    assert bus.drain(time.monotonic() + LIMIT_S)
    for seq, line in enumerate(out.read_text().splitlines()):
        label, score, identity, arguments, event = line.split("|")
        assert (label, score, identity) == ("stop", "0.912", f"5f2c9a1e7b3d-{seq}")
        assert arguments == "['two words', '$HOME;echo']"
        assert json.loads(event) == detection(seq).to_dict()
    assert seq == 2 and counters(bus) == (0, 3, 0)


def test_a_word_has_its_command_and_every_other_one_the_star_s(serve, tmp_path):
    def note(text: str) -> list[str]:
        return ["sh", "-c", f"echo {text} $KWSD_LABEL >> {tmp_path}/out"]

    bus = serve({"stop": note("own"), "*": note("other")}, only=("stop", "go"))
    for label in ("stop", "go", "größer"):
        bus.publish(detection(label=label))
    assert bus.drain(time.monotonic() + LIMIT_S)
    assert (tmp_path / "out").read_text() == "own stop\nother go\n"
    assert counters(bus) == (0, 2, 0), "what `only` leaves out was never put"


def test_a_word_without_a_command_is_not_taken(serve):
    bus = serve({"stop": ["true"]})
    bus.publish(detection(label="go"))
    assert counters(bus) == (0, 0, 0)


def test_a_command_that_fails_is_told_with_its_last_line_and_counted(serve, caplog):
    caplog.set_level(logging.DEBUG, "kwsd")
    bus = serve({"stop": ["sh", "-c", "echo one; echo two >&2; printf '\\033[31mbad'; exit 3"]})
    bus.publish(detection())
    assert bus.drain(time.monotonic() + LIMIT_S)
    assert ("kwsd.sinks.exec.sink", logging.WARNING, "sh ended with 3: [31mbad") in caplog.record_tuples
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.DEBUG] == [
        "sh: one",
        "sh: two",
        "sh: [31mbad",
    ]
    assert counters(bus) == (0, 0, 1)


def test_output_without_end_is_neither_kept_nor_logged_without_end(serve, caplog):
    caplog.set_level(logging.DEBUG, "kwsd")
    bus = serve({"stop": ["sh", "-c", "yes | head -n 100000; head -c 1000000 /dev/zero"]})
    bus.publish(detection())
    assert bus.drain(time.monotonic() + LIMIT_S)
    assert counters(bus) == (0, 1, 0)
    assert len(caplog.records) == 101 and "writes more" in caplog.records[-1].getMessage()


def test_a_command_that_reads_nothing_and_one_that_is_gone_at_once_are_no_faults(serve, caplog):
    bus = serve({"stop": ["true"], "go": ["sh", "-c", "exec <&-; exec >&- 2>&-; sleep 0.1"]})
    for label in ("stop", "go") * 5:
        bus.publish(detection(label=label))
    assert bus.drain(time.monotonic() + LIMIT_S)
    assert counters(bus) == (0, 10, 0) and not caplog.records


def test_one_that_vanished_since_the_start_is_told_each_time(serve, tmp_path, caplog):
    bus = serve({"stop": [f"{tmp_path}/gone"]})
    bus.publish(detection())
    assert bus.drain(time.monotonic() + LIMIT_S)
    assert counters(bus) == (0, 0, 1)
    assert caplog.messages == [f"{tmp_path}/gone cannot be run: No such file or directory"]


HANGS = "trap '' TERM; sleep 1000 & echo $! > {0}/child; echo $$ > {0}/parent; wait; sleep 1000"


def pids(folder: Path) -> list[int]:
    until(lambda: (folder / "parent").exists() and (folder / "parent").read_text().endswith("\n"))
    return [int((folder / name).read_text()) for name in ("child", "parent")]


def test_a_command_that_hangs_is_ended_with_its_children(serve, tmp_path, caplog):
    bus = serve({"stop": ["sh", "-c", HANGS.format(tmp_path)]}, timeout_s=0.5)
    bus.publish(detection())
    left = pids(tmp_path)
    assert bus.drain(time.monotonic() + LIMIT_S)
    until(lambda: not any(map(lives, left)))
    assert counters(bus) == (0, 0, 1)
    assert caplog.messages == ["sh took longer than 0.5 s and was ended"]


def test_what_a_command_leaves_behind_ends_with_it(serve, tmp_path):
    bus = serve({"stop": ["sh", "-c", f"sleep 1000 & echo $! > {tmp_path}/child; echo $$ > {tmp_path}/parent"]})
    bus.publish(detection())
    left = pids(tmp_path)
    assert bus.drain(time.monotonic() + LIMIT_S)
    until(lambda: not any(map(lives, left)))
    assert counters(bus) == (0, 1, 0)


def test_the_end_leaves_nothing_running(serve, tmp_path):
    bus = serve({"stop": ["sh", "-c", HANGS.format(tmp_path)]}, timeout_s=1000)
    for seq in range(3):
        bus.publish(detection(seq))
    left = pids(tmp_path)
    began_s = time.monotonic()
    bus.stop()
    assert time.monotonic() - began_s < 5
    until(lambda: not any(map(lives, left)))
    assert counters(bus) == (0, 0, 3)


def test_so_many_run_at_once_as_may(serve, tmp_path):
    counting = (
        f"mkdir {tmp_path}/$KWSD_ID; ls {tmp_path} | wc -l >> {tmp_path}/../count; sleep 0.2; rmdir {tmp_path}/$KWSD_ID"
    )
    bus = serve({"stop": ["sh", "-c", counting]}, at_once=3)
    for seq in range(9):
        bus.publish(detection(seq))
    assert bus.drain(time.monotonic() + LIMIT_S)
    seen = [int(line) for line in (tmp_path / "../count").read_text().split()]
    (tmp_path / "../count").unlink()
    assert len(seen) == 9 and 2 <= max(seen) <= 3
    assert counters(bus) == (0, 9, 0)


def test_a_full_queue_drops_the_oldest_and_counts(serve, tmp_path):
    os.mkfifo(gate := tmp_path / "gate")
    bus = serve({"stop": ["sh", "-c", f"echo $KWSD_ID >> {tmp_path}/out; read line < {gate}"]})
    bus.publish(detection(0))
    until(lambda: (tmp_path / "out").exists())
    for seq in range(1, 21):
        bus.publish(detection(seq))
    assert counters(bus) == (17, 0, 4)
    keeper = os.open(gate, os.O_RDWR)
    os.write(keeper, b"\n" * 30)
    assert bus.drain(time.monotonic() + LIMIT_S)
    os.close(keeper)
    ran = [int(line.rpartition("-")[2]) for line in (tmp_path / "out").read_text().split()]
    assert ran == [0, *range(5, 21)] and counters(bus) == (0, 17, 4)


# Settings.


def refused(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as error:
        config.read(text.encode(), "x.yaml")
    return error.value.faults


@pytest.mark.parametrize(
    ("commands", "fault"),
    [
        ("", "key 'commands': got nothing; allowed: a mapping"),
        ("{}", "key 'commands': got an empty mapping; allowed: a mapping"),
        ("[a]", "key 'commands': got a list; allowed: a mapping"),
        ("{stop: playerctl pause}", "key 'stop': got text; allowed: a list of a program and its arguments"),
        ("{stop: []}", "key 'stop': got an empty list; allowed: a list of a program and its arguments"),
        ("{stop: [sleep, 5]}", "key 'stop': got 5; allowed: text without a NUL, in quotes"),
    ],
)
def test_wrong_commands_are_refused(commands, fault):
    faults = refused(f"sinks:\n- type: exec\n  commands: {commands}\n")
    assert len(faults) == 1 and f"x.yaml:3: {fault}" in faults[0]


def test_commands_are_required():
    assert "key 'commands': required; allowed: a mapping from words" in refused("sinks: [{type: exec}]")[0]


def test_programs_are_looked_for_when_a_configuration_is_checked(tmp_path):
    (tmp_path / "plain").write_text("")
    settings = config.read(
        f"sinks:\n- type: exec\n  commands:\n    stop: [no-such-program-here]\n    go: [sh, -c, x]\n"
        f"    on: [{tmp_path}/plain]\n".encode(),
        "x.yaml",
    )
    assert sink_faults(settings) == [
        "x.yaml:3: key 'commands': stop: there is no program 'no-such-program-here'",
        f"x.yaml:3: key 'commands': on: '{tmp_path}/plain' may not be run. chmod +x {tmp_path}/plain",
    ]
    with pytest.raises(ConfigError, match="no program 'no-such-program-here'"):
        ExecSink.create(settings.sinks[0], None)


def test_words_of_commands_are_the_model_s():
    settings = config.read(b"sinks:\n- type: exec\n  commands:\n    stpo: [sh]\n    '*': [sh]\n", "x.yaml")
    assert check_labels(settings, ["_silence_", "_unknown_", "stop", "go"]) == [
        "x.yaml:4: key 'stpo': the model has no word 'stpo'; the nearest is 'stop'"
    ]


def test_what_check_config_prints_is_read_again():
    text = "sinks: [{type: exec, commands: {stop: [/bin/echo, 'a b', '5', 'on'], '*': [sh]}, at_once: 2}]"
    settings = config.read(text.encode(), "x.yaml")
    assert config.read(to_yaml(settings).encode(), "y.yaml").sinks == settings.sinks


# A whole kwsd.


def test_words_of_the_demo_run_commands_and_each_is_accounted_for(tmp_path):
    (tmp_path / "kwsd.yaml").write_text(
        f"sinks:\n- type: exec\n  commands: {{stop: [sh, -c, 'cat >> {tmp_path}/out'], go: ['false']}}\n"
    )
    kwsd = run_kwsd("--config", tmp_path / "kwsd.yaml", "--source", DEMO)
    heard = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert kwsd.process.returncode == 0
    assert [event["label"] for event in heard] == ["stop"] * 3
    assert kwsd.log[-1].endswith("exec: 3 sent, 2 dropped")
    assert sum("false ended with 1" in line for line in kwsd.log) == 2


def test_sigterm_ends_a_command_that_hangs_within_a_second(tmp_path):
    (tmp_path / "kwsd.yaml").write_text(
        f"sinks:\n- type: exec\n  timeout_s: 1000\n  commands: {{'*': [sh, -c, \"{HANGS.format(tmp_path)}\"]}}\n"
    )
    with running_kwsd("--config", tmp_path / "kwsd.yaml", "--source", DEMO, "--realtime") as kwsd:
        left = pids(tmp_path)
        code, took_s = kwsd.stop()
    assert code == 0 and took_s < 3, kwsd.log
    until(lambda: not any(map(lives, left)))
