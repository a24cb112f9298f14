"""The strict YAML: what scalars mean, and what is refused with which line."""

import math
import os
import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kwsd.errors import ConfigError
from kwsd.validation.yaml import FILE_MAX_BYTES, Faults, lines, load_mapping, parse, plain, resolve


def read(text: str | bytes):
    faults = Faults("x.yaml")
    root = parse(text.encode() if isinstance(text, str) else text, faults)
    faults.check()
    return root


def value(text: str | bytes):
    return plain(read(text))


def faults_of(text: str | bytes) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text)
    return list(caught.value.faults)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *[(word, word) for word in ("yes", "no", "on", "off", "Yes", "NO", "y", "n", "On", "OFF", "tRUE", "nULL")],
        *[(word, True) for word in ("true", "True", "TRUE")],
        *[(word, False) for word in ("false", "False", "FALSE")],
        *[(word, None) for word in ("null", "Null", "NULL", "~", "")],
        *[("12", 12), ("-3", -3), ("+3", 3), ("010", 10), ("0o17", 15), ("0x1F", 31), ("-0x1F", "-0x1F")],
        *[("8e-1", 0.8), (".5", 0.5), ("1.", 1.0), ("-1.5E+3", -1500.0), ("1e3", 1000.0), ("1e", "1e"), (".", ".")],
        *[(".inf", math.inf), ("-.INF", -math.inf), ("+.Inf", math.inf), ("inf", "inf"), ("nan", "nan")],
        *[(text, text) for text in ("1:30", "190:20:30", "2026-11-21", "1_000", "0b11", "0o8", "0x", "１")],
    ],
)
def test_scalars_follow_the_core_schema(text, expected):
    found = resolve(text)
    assert found == expected
    assert type(found) is type(expected)


def test_nan_is_a_number():
    assert math.isnan(resolve(".nan"))


def test_words_that_yaml_1_1_takes_for_booleans_stay_words():
    assert value("only: [stop, go, on, off]\nthresholds: {on: 0.85, yes: 8e-1}") == {
        "only": ["stop", "go", "on", "off"],
        "thresholds": {"on": 0.85, "yes": 0.8},
    }


def test_quotes_and_the_str_tag_make_text():
    assert value("['1', \"true\", !!str 2, ! 3]") == ["1", "true", "2", "3"]
    assert value("a: |\n  null\n") == {"a": "null\n"}


def test_empty_files_and_comments_are_null():
    assert value("") is None
    assert value("# nothing\n") is None
    assert value("---\n...\n") is None
    assert value(b"\xef\xbb\xbfa: 1") == {"a": 1}


def test_lines_are_those_of_keys_and_items():
    assert lines(read("a:\n  b: 1\n  c:\n    - x\n    - {d: 2}\n")) == {
        ("a",): 1,
        ("a", "b"): 2,
        ("a", "c"): 3,
        ("a", "c", 0): 4,
        ("a", "c", 1): 5,
        ("a", "c", 1, "d"): 5,
    }


def test_the_merge_key_is_a_key_like_any_other():
    assert value("a: {b: 1}\nc:\n  <<: {b: 1}") == {"a": {"b": 1}, "c": {"<<": {"b": 1}}}


def test_an_alias_is_the_value_that_it_names():
    assert value("a: &x [1, {b: yes}]\nb: *x\nc: {d: *x}") == {
        "a": [1, {"b": "yes"}],
        "b": [1, {"b": "yes"}],
        "c": {"d": [1, {"b": "yes"}]},
    }
    assert value("a: &x 1\nb: &x 2\nc: *x") == {"a": 1, "b": 2, "c": 2}
    assert value("&k a: 1\nb: *k") == {"a": 1, "b": "a"}


def test_a_fault_in_what_an_alias_names_is_told_where_it_is_written():
    faults = Faults("x.yaml")
    root = parse(b"a: &x {b: 1}\n\nc: *x", faults)
    assert lines(root) == {("a",): 1, ("a", "b"): 1, ("c",): 3, ("c", "b"): 1}


@pytest.mark.parametrize(
    ("text", "line"),
    [("a: 1\nb: *x", 2), ("a: 1\n*x : 2", 2), ("\na: &x [1, *x]", 2), ("a: *x\nb: &x 1", 1), ("c:\n  <<: *x", 2)],
)
def test_an_alias_of_nothing_or_of_itself_is_told(text, line):
    assert faults_of(text) == [f"x.yaml:{line}: *x: no value before it is marked &x"]


def test_aliases_that_nest_what_they_name_are_refused_before_anything_is_built():
    """24 KB that would be thousands of levels deep, or of many gigabytes, if they were expanded."""
    deep = "l0: &l0 [lol]\n" + "".join(f"l{n}: &l{n} [*l{n - 1}]\n" for n in range(1, 1200))
    laughs = "l0: &l0 lol\n" + "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 400))
    assert faults_of(deep) == ["x.yaml:32: nested deeper than 32 levels"]
    assert faults_of(laughs) == ["x.yaml:7: aliases (*name) expand the file past 1 MiB"]


@pytest.mark.parametrize(("times", "fine"), [(15, True), (16, False)])
def test_aliases_may_expand_a_file_to_a_mebibyte(times, fine):
    text = "a: &a " + "x" * 65_000 + "\nb: [" + ", ".join(["*a"] * times) + "]"
    if fine:
        assert len(value(text)["b"]) == times
    else:
        assert faults_of(text) == ["x.yaml:2: aliases (*name) expand the file past 1 MiB"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: 1\nb: 2\na: 3", "x.yaml:3: key 'a': given twice; first on line 1"),
        ("a: 1\n'a': 3", "x.yaml:2: key 'a': given twice; first on line 1"),
        ("a:\n  b: 1\n\tc: 1", "x.yaml:3: a tab is not allowed here; indent and separate with spaces"),
        ("a:\t1", "x.yaml:1: a tab is not allowed here; indent and separate with spaces"),
        ("a: 1\n---\nb: 1", "x.yaml:2: a second document begins here; only one is allowed"),
        ("a: 1\n...\n\n--- 2", "x.yaml:4: a second document begins here; only one is allowed"),
        ("1: a", "x.yaml:1: key 1: a key is text; put it in quotes"),
        ("a: {true: 1}", "x.yaml:1: key true: a key is text; put it in quotes"),
        ("? [a]\n: 1", "x.yaml:1: key a list: a key is text; put it in quotes"),
        ("a: !!int 1", "x.yaml:1: the tag 'tag:yaml.org,2002:int' is not allowed; write the value alone"),
        ("a: !!python/object/apply:os.system [id]", "x.yaml:1: the tag"),
        ("a: !!str [1]", "x.yaml:1: the tag 'tag:yaml.org,2002:str' is not allowed; write the value alone"),
        (b"a: 1\nb: \xff", "x.yaml:2: is not UTF-8"),
        ("a: 1".encode("utf-16"), "x.yaml:1: is not UTF-8"),
        ("a: 1\nb: \0", "x.yaml:2: the character U+0000 is not allowed"),
        ("a: 1\n# \u2028", "x.yaml:2: the character U+2028 is not allowed"),
        ('a: 1\nb: "x\\0"', "x.yaml:2: the character U+0000 is not allowed in any value"),
        ('a: "\\ud800"', "x.yaml:1: the character U+D800 is not allowed in any value"),
        ('a: 1\nb: "\\UFFFFFFFF"', "x.yaml:2: this is not YAML: an escape or a directive holds a number out of range"),
        ("a: [1\nb: 2", "x.yaml:2: this is not YAML"),
        ("a: 'x", "x.yaml:1: this is not YAML"),
        ("a: b: c", "x.yaml:1: this is not YAML"),
        ("%YAML 2.0\n--- 1", "x.yaml:1: this is not YAML"),
        ("[" * 1000, "x.yaml:1: nested deeper than 32 levels"),
        ("{a: " * 100_00, "x.yaml:1: nested deeper than 32 levels"),
        ("- " * 100_000, "x.yaml:1: nested deeper than 32 levels"),
        ("? " * 100_000, "x.yaml:1: nested deeper than 32 levels"),
    ],
)
def test_refused_with_its_line(text, fault):
    assert faults_of(text)[0].startswith(fault)


def test_all_faults_that_leave_the_structure_readable_are_told_in_order():
    assert [fault.split(": ")[0] for fault in faults_of("a: *x\nb: 1\nb: 2\n3: c\n---\n1")] == [
        "x.yaml:1",
        "x.yaml:3",
        "x.yaml:4",
        "x.yaml:5",
    ]


def test_every_line_indented_with_a_tab_is_told():
    assert [fault.split(": ")[0] for fault in faults_of("a:\n\tb: 1\n\tc: 1\nd: 1\n  \te: 1")] == [
        "x.yaml:2",
        "x.yaml:3",
        "x.yaml:5",
    ]


def test_integers_of_many_digits_are_numbers_out_of_every_range():
    assert value("9" * 5000) == math.inf
    assert value("-" + "9" * 5000) == -math.inf


def test_load_mapping_gives_plain_data_and_lines(tmp_path):
    file = tmp_path / "frontend.yaml"
    file.write_text("frontend:\n  type: average\n  bins: 6\nsample_rate_hz: 16000\n")
    data, where = load_mapping(str(file))
    assert data == {"frontend": {"type": "average", "bins": 6}, "sample_rate_hz": 16000}
    assert where["frontend", "bins"] == 3


@pytest.mark.parametrize(("text", "got"), [("", "nothing"), ("- a", "a list"), ("whsec_c2VjcmV0", "text"), ("1", "1")])
def test_load_mapping_wants_a_mapping_and_shows_no_text(tmp_path, text, got):
    file = tmp_path / "a.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_mapping(str(file))
    assert str(caught.value) == f"{file}:1: got {got}; allowed: a mapping (key: value)"


def test_what_cannot_be_read_is_a_fault_of_line_1(tmp_path):
    huge = tmp_path / "huge.yaml"
    huge.write_bytes(b"#" * (FILE_MAX_BYTES + 1))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for path, why in (
        (tmp_path / "none.yaml", "No such file or directory"),
        (tmp_path, "it is a folder"),
        (pipe, "it is a device, pipe or socket"),
        ("/dev/zero", "it is a device, pipe or socket"),
        (loop, "symbolic link"),
        (huge, "is larger than 256 KiB"),
        (tmp_path / ("n" * 300), "File name too long"),
        ("a\0b", "null"),
        ("", "folder"),
    ):
        with pytest.raises(ConfigError) as caught:
            load_mapping(str(path))
        (fault,) = caught.value.faults
        assert fault.startswith(f"{path}: ")
        assert why in fault


def test_the_largest_file_allowed_can_be_read(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_bytes(b"a: 1".ljust(FILE_MAX_BYTES, b"\n"))
    assert load_mapping(str(file))[0] == {"a": 1}


SIGNS = "abc019-?:,[]{}#&*!|>'\"%@` \n\n\n\t\\.~<\x85\ufeffé"
PIECES = ["\r\n", "- ", ": ", "  ", "&a ", "*a ", "<<: ", "!!str ", "---\n", "...\n", "%YAML 1.2\n", "%TAG ! x\n", "0x"]
PIECES += ["0o", ".nan", ".inf", '"\\x', '"\\U', "1e400", "null"]
YAMLISH = st.lists(st.sampled_from([*SIGNS, *PIECES]), max_size=60).map("".join)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=200), YAMLISH.map(str.encode), st.text(string.printable).map(str.encode)))
@example(b'"\\UFFFFFFFF"')
@example(b"%YAML " + b"9" * 5000 + b".1\n--- a")
@example(b"!<tag:yaml.org,2002:str a")
@example(b"&a : *a")
@example(b"? &a [*a] : *a")
def test_any_bytes_are_read_or_refused(data):
    """Nothing but ConfigError ever comes out, each fault on one line and with its line."""
    try:
        root = read(data)
    except ConfigError as error:
        assert error.faults
        for fault in error.faults:
            assert fault.startswith("x.yaml:")
            assert int(fault.split(":")[1]) >= 1
            assert "\n" not in fault
    else:
        lines(root)
