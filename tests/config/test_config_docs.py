"""docs/config.md and examples/kwsd.yaml say what the table of keys says; run as a program, this writes the docs'."""

import re
from pathlib import Path

import pytest

from kwsd import config
from kwsd.config.read import all_keys
from kwsd.sinks.registry import KINDS
from kwsd.validation.keys import REQUIRED

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "config.md"
EXAMPLE = (ROOT / "examples" / "kwsd.yaml").read_text()
BEGIN, END = "`python tests/config/test_config_docs.py` writes it -->\n", "<!-- end of table -->"


def written(default: object) -> str:
    """A default as a file says it."""
    if isinstance(default, float):
        return f"{default:g}"
    if default is None or isinstance(default, bool):
        return "null" if default is None else str(default).lower()
    return str(default)


def table() -> str:
    rows = ["| key | takes | unit | default | |", "|---|---|---|---|---|"]
    for key in all_keys():
        name = ".".join(filter(None, (key.section, key.name)))
        default = "required" if key.default is REQUIRED else written(key.default)
        kind = f"{key.kind.allowed}, or null" if key.default is None else key.kind.allowed
        rows.append(f"| `{name}` | {kind} | {key.unit} | {default} | {key.text} |")
    return "\n".join(rows) + "\n"


def all_switched_on(example: str) -> str:
    """The example without the ``#`` of settings that are switched off."""
    return re.sub(r"(?m)^( *)#(?=[a-z-])", r"\1", example)


def test_docs_show_the_table():
    assert table() in DOCS.read_text(), "out of date: python tests/config/test_config_docs.py"


def test_example_as_it_is_changes_nothing():
    assert config.read(EXAMPLE.encode(), "kwsd.yaml") == config.Settings()


def test_example_with_everything_switched_on_is_right():
    settings = config.read(all_switched_on(EXAMPLE).encode(), "kwsd.yaml")
    assert [sink.type for sink in settings.sinks] == list(KINDS)
    assert settings.recognize.thresholds == {"go": 0.9, "on": 0.85}


@pytest.mark.parametrize("key", all_keys(), ids=lambda key: f"{key.section}.{key.name}")
def test_example_shows_every_key_with_its_default(key):
    shown = re.findall(rf"(?m)^ *#?(?:- )?{key.name}: ?(.*)$|`{key.name}: NAME`", all_switched_on(EXAMPLE))
    assert shown
    if key.default not in (None, REQUIRED) and not isinstance(key.default, dict):
        assert written(key.default) in shown


if __name__ == "__main__":
    text = DOCS.read_text()
    DOCS.write_text(text[: text.index(BEGIN) + len(BEGIN)] + table() + text[text.index(END) :])
