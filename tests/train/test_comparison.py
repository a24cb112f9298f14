"""The pages' tables: tools/compare_networks.py and tools/accuracy_table.py."""

import importlib
import struct
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"
ROW = {
    "parameters": 9000,
    "multiply_adds": 1_230_000,
    "float validation": 0.9,
    "float testing": 0.85,
    "float us": 100.4,
    "miss_rate": 0.3,
    "wrong_rate": 0.01,
    "false_alarms_per_hour": 4.96,
}
IN_8_BITS = {"int8 validation": 0.89, "int8 testing": 0.84, "int8 us": 50.2, "heard by": "int8"}


@pytest.fixture
def tools(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module("accuracy_table"), importlib.import_module("compare_networks")


def test_the_best_network_comes_first_and_what_8_bits_do_not_hold_is_a_dash(tools):
    worse = {**ROW, "name": "worse", "heard by": "float", "miss_rate": 0.5}
    best = {**ROW, **IN_8_BITS, "name": "best"}
    head, _, first, second = tools[1].as_markdown([worse, best]).splitlines()
    assert first == "| `best` | 9,000 | 1.23 M | 90.0 | 89.0 | 85.0 | 84.0 | 30.0 | 1.0 | 5.0 | 100 | 50 |"
    assert second == "| `worse` | 9,000 | 1.23 M | 90.0 | - | 85.0 | - | 50.0 | 1.0 | 5.0 | 100 | - |"
    assert head.count("|") == first.count("|") == second.count("|")


def test_the_picture_takes_networks_without_8_bits(tools):
    rows = [{**ROW, **IN_8_BITS, "name": "best"}, {**ROW, "name": "worse", "heard by": "float"}]
    picture = tools[1].draw(rows)
    assert picture.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", picture[16:24])
    assert width > height > 100


def test_a_comparison_has_a_row_for_each_model(tools):
    score = {"words": 200, "missed": 13, "wrong": 1, "false_alarms_per_hour": 4.04}
    labels = {"_unknown_": {"recall": 0.1}, "yes": {"recall": 0.9}, "no": {"recall": 0.95}}
    row = {
        "model": "tiny+default",
        "set": "testing",
        "clips": {"accuracy": 0.9571, "per_label": labels},
        "streams": dict.fromkeys(tools[0].COMPARED, score),
        "negatives": dict.fromkeys(tools[0].COMPARED_NEGATIVES, score),
    }
    head, line, only = tools[0].as_comparison([row]).splitlines()
    assert only == "| `tiny+default` | 95.7 (90.0) |" + 4 * " 6.5, 0.5 |" + " 4.0 | 6.5, 0.5 | 4.0 | 4.0 |"
    assert head.count("|") == line.count("|") == only.count("|")
    assert "over a voice, 10 dB: missed, wrong % | false alarms/h there |" in head


def test_a_table_takes_the_place_of_the_old_one_and_nothing_else(tools, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<start>\nold\n</start>\nafter\n")
    marks = "<start>\n", "</start>\n"
    tools[0].put_table(page, marks, "new \\1\n")
    assert page.read_text() == "before\n<start>\nnew \\1\n</start>\nafter\n"
    page.write_text("nothing\n")
    with pytest.raises(SystemExit, match="no place for the table"):
        tools[0].put_table(page, marks, "new\n")
    assert page.read_text() == "nothing\n"
