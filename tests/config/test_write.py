"""Settings written into a configuration: the rest of the file stays as it is."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kwsd import config
from kwsd.config.write import with_section, write_recognize, write_thresholds
from kwsd.errors import ConfigError

RECOGNIZE = {"mode": "rearm", "thresholds": {"no": 0.5, "true": 0.7}}
SECTION = "recognize:\n  mode: rearm\n  thresholds:\n    no: 0.5\n    'true': 0.7\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", SECTION),
        ("model: default", "model: default\n" + SECTION),
        ("recognize: {mode: micro}\nlog: {level: debug}\n", SECTION + "log: {level: debug}\n"),
        (
            "# mine\nrecognize:\n  # why\n  mode: micro\n\n  thresholds:\n    go: 0.9\n\n# later\nonly: [no]\n",
            "# mine\n" + SECTION + "\n# later\nonly: [no]\n",
        ),
        ("only: [no]\nrecognize:", "only: [no]\n" + SECTION),
    ],
)
def test_only_the_section_of_a_configuration_is_replaced(before, after):
    assert with_section(before, RECOGNIZE) == after
    assert config.read(after.encode(), "after").recognize.thresholds == RECOGNIZE["thresholds"]


def test_a_configuration_that_is_wrong_stays_as_it_is(tmp_path):
    path = tmp_path / "kwsd.yaml"
    path.write_text("modell: default\n")
    with pytest.raises(ConfigError, match="modell"):
        write_recognize(path, RECOGNIZE)
    assert path.read_text() == "modell: default\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "recognize:\n  thresholds:\n    stop: 0.45\n    'true': 0.7\n"),
        (
            "model: default  # mine\nonly: [stop]\n",
            "model: default  # mine\nonly: [stop]\nrecognize:\n  thresholds:\n    stop: 0.45\n    'true': 0.7\n",
        ),
        (
            "recognize:\n  # why\n  mode: rearm\n\nonly: [stop]\n",
            "recognize:\n  # why\n  mode: rearm\n  thresholds:\n    stop: 0.45\n    'true': 0.7\n\nonly: [stop]\n",
        ),
        (
            "recognize:\n    thresholds: {go: 0.9, stop: 0.6}  # old\n    mode: rearm  # why\n",
            "recognize:\n    thresholds:\n      go: 0.9\n      stop: 0.45\n      'true': 0.7\n    mode: rearm  # why\n",
        ),
        (
            "recognize:\n  thresholds:\n    # loud\n    go: 0.9\n  mode: rearm\n",
            "recognize:\n  thresholds:\n    go: 0.9\n    stop: 0.45\n    'true': 0.7\n  mode: rearm\n",
        ),
        (
            "recognize: {mode: rearm, on_demand: [stop]}\nlog: {level: debug}\n",
            "recognize:\n  mode: rearm\n  on_demand: [stop]\n  thresholds:\n    stop: 0.45\n    'true': 0.7\n"
            "log: {level: debug}\n",
        ),
    ],
)
def test_thresholds_are_laid_over_those_of_a_configuration(before, after, tmp_path):
    path = tmp_path / "kwsd.yaml"
    path.write_text(before)
    write_thresholds(path, {"stop": 0.45, "true": 0.7})
    assert path.read_text() == after


@settings(max_examples=40)
@given(st.dictionaries(st.text(st.characters(exclude_categories=("C", "Z")), min_size=1), st.floats(0, 1), min_size=1))
def test_any_word_s_threshold_comes_back_as_it_was_written(tmp_path_factory, thresholds):
    path = tmp_path_factory.mktemp("write") / "kwsd.yaml"
    path.write_text("recognize:\n  mode: rearm # and why\n")
    write_thresholds(path, thresholds)
    assert config.load(str(path)).recognize.thresholds == thresholds
    assert path.read_text().startswith("recognize:\n  mode: rearm # and why\n")


IN_LISTENERS = "# rooms\nlisteners:\n  kitchen:\n    model: tiny\n\n  porch:  # out\n{}sinks: []\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "    model: default  # ours\n    # the end\n",
            "    model: default  # ours\n    # the end\n    recognize:\n      thresholds:\n        stop: 0.45\n",
        ),
        (
            "    recognize:\n      # why\n      mode: rearm\n\n    only: [stop]\n",
            "    recognize:\n      # why\n      mode: rearm\n      thresholds:\n        stop: 0.45\n\n"
            "    only: [stop]\n",
        ),
        (
            "    recognize: {mode: rearm, thresholds: {go: 0.9, stop: 0.6}}\n",
            "    recognize:\n      mode: rearm\n      thresholds:\n        go: 0.9\n        stop: 0.45\n",
        ),
        ("    {}\n", None),
    ],
)
def test_thresholds_of_a_listener_are_its_own(before, after, tmp_path):
    path = tmp_path / "kwsd.yaml"
    path.write_text(IN_LISTENERS.format(before))
    if after is None:
        with pytest.raises(ConfigError, match="cannot be put into it"):
            write_thresholds(path, {"stop": 0.45}, "porch")
        after = before
    else:
        write_thresholds(path, {"stop": 0.45}, "porch")
    assert path.read_text() == IN_LISTENERS.format(after)


def test_a_listener_in_one_line_is_not_guessed_at(tmp_path):
    path = tmp_path / "kwsd.yaml"
    text = "listeners: {porch: {model: tiny}}\n"
    path.write_text(text)
    with pytest.raises(ConfigError, match="Write the section in lines"):
        write_thresholds(path, {"stop": 0.45}, "porch")
    assert path.read_text() == text


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_byte_order_mark_and_the_ends_of_lines_stay(mark, end, tmp_path):
    path = tmp_path / "kwsd.yaml"
    path.write_bytes(f"{mark}recognize:\n  mode: rearm\nonly: [stop]\n".replace("\n", end).encode())
    write_thresholds(path, {"stop": 0.45})
    after = f"{mark}recognize:\n  mode: rearm\n  thresholds:\n    stop: 0.45\nonly: [stop]\n"
    assert path.read_bytes().decode() == after.replace("\n", end)
    write_recognize(path, {"mode": "micro"})
    assert path.read_bytes().decode() == f"{mark}recognize:\n  mode: micro\nonly: [stop]\n".replace("\n", end)


def test_a_file_of_mixed_line_ends_keeps_them(tmp_path):
    path = tmp_path / "kwsd.yaml"
    path.write_bytes(b"model: tiny\r\nonly: [stop]\n")
    write_thresholds(path, {"stop": 0.45})
    assert path.read_bytes() == b"model: tiny\r\nonly: [stop]\nrecognize:\n  thresholds:\n    stop: 0.45\n"


def test_a_private_configuration_behind_a_link_stays_both(tmp_path):
    path, link = tmp_path / "kwsd.yaml", tmp_path / "link.yaml"
    path.write_text("model: tiny\n")
    path.chmod(0o600)
    link.symlink_to(path)
    write_thresholds(link, {"stop": 0.45})
    assert link.is_symlink() and path.stat().st_mode & 0o777 == 0o600
    assert config.load(str(path)).recognize.thresholds == {"stop": 0.45}
