"""What README.md and docs/ show as code works as it is shown."""

import doctest
import importlib
import json
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

import pytest
from kwsd_train import cli as training

import kwsd
from kwsd import config
from kwsd.cli import main as cli
from kwsd.events import DetectionEvent, ScoresEvent, StatusEvent
from kwsd.model.description import describe
from tests.helpers.kwsd_process import DEMO, demo_words, in_order, run, running

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("tools/*/README.md")])


class Block(NamedTuple):
    """A fenced block of a page: where it stands, what language it is in (empty: a shell session), and its text."""

    where: str
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    found = re.finditer(r"^( *)```(\w*)\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL)
    name = page.relative_to(ROOT)
    return [Block(f"{name}:{text.count(chr(10), 0, m.start()) + 1}", m[2], textwrap.dedent(m[3])) for m in found]


BLOCKS = [block for page in PAGES for block in blocks(page)]


def of(language: str) -> list[Block]:
    found = [block for block in BLOCKS if block.language == language]
    assert found, language
    return found


def named(block):
    return block.where if isinstance(block, Block) else None


def commands(block: Block) -> list[list[str]]:
    """The command lines of kwsd and kwsd-train in a shell session, as words; those with an ellipsis left out."""
    found = []
    for line in block.text.replace("\\\n", " ").splitlines():
        try:
            words = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars=True)
            words.whitespace_split, words.commenters = True, "#"
            pipeline = list(words)
        except ValueError:  # no command line, but what one prints
            continue
        while pipeline:
            ends = [at for at, word in enumerate(pipeline) if re.fullmatch(r"[|&;<>()]+", word)]
            command, pipeline = pipeline[: ends[0]] if ends else pipeline, pipeline[ends[0] + 1 :] if ends else []
            while command and (command[0] == "sudo" or re.match(r"\w+=", command[0])):
                del command[0]
            if command and command[0] in ("kwsd", "kwsd-train") and "..." not in command:
                found.append(command)
    return found


COMMANDS = [(block.where, command) for block in BLOCKS if not block.language for command in commands(block)]


@pytest.mark.parametrize("block", of("python"), ids=named)
def test_python_runs(block, tmp_path):
    """As it is, but that a socket it names is one that a kwsd serves here while the snippet runs."""
    socket = tmp_path / "s"
    program, watches = re.subn(r'(?<=kwsd\.watch\()"[^"]+"', repr(str(socket)), block.text)
    command = [sys.executable, "-u", "-c", program]
    if not watches:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stderr
        if "push(samples)" in program and "print" in program:
            assert [line.split()[0] for line in done.stdout.splitlines()] == demo_words()
        return
    with (
        running("--source", DEMO, "--realtime", "--no-stdout", "--socket", socket),
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as watcher,
    ):
        try:
            assert "stop" in watcher.stdout.readline()  # the recording's second word, if the first was too early
        finally:
            watcher.kill()


def test_the_example_of_spotter_runs(capsys):
    example = re.search(r"\n\n((?:        .*\n|\n)+)", kwsd.Spotter.__doc__)[1]
    samples = importlib.import_module("soundfile").read(DEMO, dtype="float32")[0]
    exec(textwrap.dedent(example), {"samples": samples})
    assert "stop" in capsys.readouterr().out


def test_the_doctests_pass():
    results = doctest.testmod(importlib.import_module("kwsd.frontend"))
    assert results.attempted and not results.failed


@pytest.mark.parametrize(("where", "command"), COMMANDS, ids=lambda value: value if isinstance(value, str) else None)
def test_command_lines_are_taken(where, command):
    """Every option of every command line in the pages exists, and takes such a value."""
    if command[0] == "kwsd-train":
        name, arguments, parser_of = command[1], command[2:], training.parser_of
    else:
        (name, arguments), parser_of = cli.command_of(command[1:]), cli.parser_of
    parser_of(name)[1].parse_args(arguments)


def test_the_pages_show_command_lines():
    assert len(COMMANDS) > 30


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_example_of_a_command_is_taken(name):
    module, parser = cli.parser_of(name)
    [words] = commands(Block("", "", module.EXAMPLE))
    command, arguments = cli.command_of(words[1:])
    assert command == name
    parser.parse_args(arguments)


def on_the_demo(words: list[str]) -> tuple[str, ...] | None:
    """A command line that listens, with the demo recording in its source's place; None for others."""
    if words[1:2] in (["watch"], ["learn"]) or {"--config", "--webhook", "lumos.tflite"} & set(words):
        return None
    places = [at for at, word in enumerate(words) if word in ("--source", "--device")]
    kept = [word for at, word in enumerate(words) if at not in places and at - 1 not in places]
    return (*kept[1:], "--source", str(DEMO))


IN_README = {on_the_demo(words): " ".join(words) for where, words in COMMANDS if where.startswith("README")}


@pytest.mark.parametrize("arguments", [arguments for arguments in IN_README if arguments], ids=IN_README.get)
def test_what_readme_shows_hears_the_demo(arguments, tmp_path):
    heard = run(*(str(tmp_path / "k") if word == "/tmp/k" else word for word in arguments))
    assert heard.process.returncode == 0
    if "text" in arguments:
        words = [line.split()[-2] for line in heard.lines]
        assert words and set(words) <= {"stop", "go"}
    else:
        assert in_order(heard.words, demo_words()) >= 12


@pytest.mark.parametrize("block", of("yaml"), ids=named)
def test_yaml_is_a_configuration_or_a_front_end(block, tmp_path):
    if block.text.startswith("frontend:"):
        page = tmp_path / "frontend.yaml"
        page.write_text(block.text)
        assert describe(Path("model.tflite"), {}, ["yes"], page)["labels"] == ["yes"]
        return
    assert config.read(block.text.encode(), "page") != config.Settings()


EVENTS = {
    "detection": DetectionEvent("i", 1, "t", "stop", 0.9, 1, None, "m", "d", heard_s=0),
    "status": StatusEvent("t", "listening", "r", "s"),
    "scores": ScoresEvent(1, {}, 0.0),
}


def test_events_in_the_pages_have_the_keys_of_events():
    lines = [line for block in BLOCKS for line in block.text.splitlines() if line.startswith('{"type"')]
    events = [json.loads(line) for line in lines if "..." not in line]
    shown = {event["type"] for event in events}
    assert shown >= EVENTS.keys()
    for event in events:
        if event["type"] in EVENTS:
            assert list(event) == list(EVENTS[event["type"]].to_dict())


PARTS = {
    "watch": "kwsd.client",
    "frontend.create": "kwsd.frontend",
    "model.load": "kwsd.model",
    "recognize.RecognizeCommands": "kwsd.recognize.recognize_commands",
    "Spotter": "kwsd.spotter",
}


@pytest.mark.parametrize(("name", "home"), PARTS.items())
def test_import_kwsd_alone_gives_the_stable_names_and_loads_what_each_needs(name, home):
    """``import kwsd`` loads nothing, and no part loads another, a runtime, audio libraries or the network."""
    program = (
        f"import sys, kwsd; before = [m for m in sys.modules if m.startswith('kwsd.')]; kwsd.{name}; "
        "print(before, *sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    first, *modules = done.stdout.split()
    assert first == "[]"
    assert home in modules
    unwanted = {"ai_edge_litert", "tflite_runtime", "sounddevice", "soundfile", "soxr", "ssl", "sqlite3", "asyncio"}
    assert not unwanted & set(modules)
    strangers = set(PARTS.values()) - {home, *ALSO.get(name, ())}
    assert not strangers & set(modules)


ALSO = {"model.load": ["kwsd.frontend"], "Spotter": ["kwsd.frontend", "kwsd.recognize.recognize_commands"]}


def test_a_name_that_kwsd_does_not_have_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'kwsd' has no attribute 'modle'"):
        _ = kwsd.modle
