"""What the pages name exists: files, sections, commands, options, keys, messages, make targets, variables."""

import ast
import functools
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from kwsd_train import cli as training

from kwsd.cli import main as cli
from kwsd.config.read import all_keys
from kwsd.recognize.recognize_commands import Verdict
from kwsd.status import Snapshot, State

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "models/*.md", "tools/*/README.md", "tests/**/*.md")
    for path in ROOT.glob(pattern)
)
KEYS = {".".join(filter(None, (key.section, key.name))) for key in all_keys()}
SECTIONS = {"audio", "recognize", "sinks", "http", "wyoming", "log"}
NO_KEYS = {"http.client", "http.server"}
"""Modules of Python's library."""


def without_blocks(page: Path) -> str:
    """A page's text without its fenced blocks, which test_docs_run.py runs."""
    return re.sub(r"^( *)```.*?^\1```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def spans(page: Path) -> list[str]:
    return re.findall(r"`([^`\n]+)`", without_blocks(page))


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.*)$", without_blocks(page), re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


def long_options(text: str) -> set[str]:
    """Names in one form, ``-`` and ``_`` being equal on kwsd's command lines."""
    return {name.replace("-", "_") for name in re.findall(r"(?<![\w-])--([a-z][\w-]*)", text)}


def options_of(parser_of, command: str) -> set[str]:
    actions = parser_of(command)[1]._actions
    return long_options(" ".join(name for action in actions for name in action.option_strings))


OPTIONS = {
    "kwsd": {name: options_of(cli.parser_of, name) for name in cli.COMMANDS},
    "kwsd-train": {name: options_of(training.parser_of, name) for name in training.COMMANDS},
}
SCRIPTS = [*ROOT.glob("tools/*.py"), *ROOT.glob("models/*.py"), *ROOT.glob("examples/*.py")]
ANY_OPTION = set().union(
    *(options for commands in OPTIONS.values() for options in commands.values()),
    *(long_options(script.read_text()) for script in SCRIPTS),
)


def unknown_options(span: str) -> set[str]:
    """The options of a piece of code in a sentence that do not exist where it names their command, or anywhere."""
    program, _, rest = span.partition(" ")
    if program in OPTIONS:
        command = rest.partition(" ")[0]
        if program == "kwsd" and (not command or command.startswith("-")):
            command = "run"
        return long_options(span) - OPTIONS[program].get(command, ANY_OPTION)
    ours = program.startswith(("--", "tools/", "models/")) or program in {*OPTIONS["kwsd"], *OPTIONS["kwsd-train"]}
    return long_options(span) - ANY_OPTION if ours else set()


def unknown_command(span: str) -> bool:
    words = span.split()
    if len(words) < 2 or words[0] not in OPTIONS or not re.fullmatch(r"[a-z-]+", words[1]) or words[1][0] == "-":
        return False
    return words[1] not in OPTIONS[words[0]]


@pytest.fixture(params=PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def page(request) -> Path:
    return request.param


def wrong_links(page: Path) -> Iterator[str]:
    for link in re.findall(r"\]\((?![a-z]+:)([^)\s]+)\)", without_blocks(page)):
        name, _, section = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (section and section not in anchors(target)):
            yield link


def test_each_link_leads_to_a_file_and_a_section(page):
    assert list(wrong_links(page)) == []


def test_each_command_and_option_exists(page):
    assert [span for span in spans(page) if unknown_command(span) or unknown_options(span)] == []


def test_each_file_of_the_repository_exists(page):
    named = {
        span for span in spans(page) if re.match(r"(docs|examples|kwsd|models|systemd|tests|tools)/[a-z]\S*$", span)
    }
    files = {span for span in named if re.search(r"\.(md|py|sh|yaml|json|tflite|service|h5|npz)$", span)}
    assert [name for name in sorted(files) if "NAME" not in name and not (ROOT / name).exists()] == []


def test_each_key_of_the_configuration_exists(page):
    named = {span for span in spans(page) if re.fullmatch(rf"({'|'.join(SECTIONS)})(\.[a-z_]+)+", span)}
    assert {name for name in named if not name.endswith(".py")} - KEYS <= NO_KEYS


def test_each_make_target_exists(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {match[1] for span in spans(page) if (match := re.match(r"make ([a-z-]+)", span))}
    assert named <= targets


def test_each_environment_variable_is_somewhere_in_the_code():
    code = "".join(path.read_text() for part in ("kwsd", "tools", "tests") for path in ROOT.glob(f"{part}/**/*.py"))
    named = {name for page in PAGES for name in re.findall(r"KWSD_[A-Z_]+", page.read_text())}
    assert named and named <= set(re.findall(r"KWSD_[A-Z_]+", code))


QUOTED = {
    "docs/commands-and-clips.md": ["recordings are kept in"],
    "docs/events.md": ["no samples for"],
    "docs/microphones.md": ["rates: "],
    "docs/own-words.md": [
        "again, please: ",
        "too quiet (",
        " dBFS): speak up, or raise the microphone's gain",
        ": expect mistakes",
        " takes recognised, each by a model of the others; threshold ",
        " an hour of running speech (",
        "written: ",
    ],
    "docs/socket.md": [" places are taken"],
    "docs/training.md": [
        "no clip to train on: its speakers (",
        " training clips are all by one speaker, ",
        "Two takes each by ten people are worth more than twenty by one.",
        " are longer than a clip of ",
        ", and only their beginning is used",
        "Training from step: ",
        'Saving to "',
    ],
    "docs/tuning.md": [
        "wanted: at most ",
        "an hour as found",
        "fires too often even at 0.95. At 1 it never fires: leave it out of `only`, or allow more.",
        "By chance it may be more than ",
        " hours without a false alarm, or longer with some.",
    ],
}
"""What the pages show of kwsd's output: the parts that are always the same."""


@functools.cache
def texts_of_the_code() -> str:
    """All strings of the code, pieces of one string put together."""
    paths = (path for part in ("kwsd", "tools/kwsd_train") for path in ROOT.glob(f"{part}/**/*.py"))
    nodes = (node for path in paths for node in ast.walk(ast.parse(path.read_text())))
    return "\0".join(node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))


@pytest.mark.parametrize("name", QUOTED)
def test_each_message_that_a_page_quotes_is_one_of_the_code(name):
    shown = (ROOT / name).read_text()
    assert [text for text in QUOTED[name] if text not in shown] == [], "no longer on the page"
    assert [text for text in QUOTED[name] if text not in texts_of_the_code()] == [], (
        "not in the code any more: correct the page"
    )


NAMES = {
    "docs/events.md": [*State, *(verdict.value for verdict in Verdict)],
    "docs/socket.md": [field.name for field in fields(Snapshot)],
    "docs/live-page.md": re.findall(r'"(kwsd_\w+)"', (ROOT / "kwsd/servers/http/metrics.py").read_text()),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_every_name_of_its_subject(name):
    """States and outcomes, the keys of the snapshot, the metrics (with the ``_total`` that counters get)."""
    named = {re.sub(r"\{.*\}|_total\b", "", span) for span in spans(ROOT / name)}
    assert len(NAMES[name]) > 10
    assert [each for each in NAMES[name] if each not in named] == []


def test_each_test_exists():
    """A promise names the test that shows it; a test that is renamed or deleted takes its row along."""
    tests = {name for path in ROOT.glob("tests/**/*.py") for name in re.findall(r"def (test_\w+)", path.read_text())}
    named = {span for page in PAGES for span in spans(page) if re.fullmatch(r"test_\w+", span)}
    assert len(named) > 50 and named <= tests, named - tests


def test_the_checks_see_what_is_wrong(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A `b` c\n[d](#a-b-c) [e](#a) [f](gone.md)\n```\n# g\n[h](gone.md)\n```\n")
    assert list(wrong_links(page)) == ["#a", "gone.md"]
    assert unknown_options("kwsd watch --status --gain-db 3") == {"gain_db"}
    assert unknown_options("--nonsense") == {"nonsense"}
    assert not unknown_options("kwsd --gain_db 3") and not unknown_options("tools/bench.py --minutes")
    assert unknown_command("kwsd listen") and not unknown_command("kwsd-train freeze --output_file x")
