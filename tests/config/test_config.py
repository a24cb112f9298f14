"""The configuration: what a file becomes, every fault it can have, and that nothing else ever comes out."""

import argparse
import os
import subprocess
import sys
from argparse import ArgumentTypeError
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kwsd import config
from kwsd.audio.settings import AudioSettings
from kwsd.config import Settings
from kwsd.config.effective import check_labels, check_stride
from kwsd.config.read import all_keys
from kwsd.config.settings import LogSettings
from kwsd.errors import ConfigError
from kwsd.recognize.settings import RecognizeSettings
from kwsd.sinks import registry
from kwsd.sinks.socket.settings import SocketSettings
from kwsd.sinks.stdout import StdoutSettings
from kwsd.sinks.webhook.settings import WebhookSettings
from kwsd.sinks.webhook.url import Url
from kwsd.validation.kinds import Choice

KINDS = Choice(tuple(registry.KINDS)).allowed

EXAMPLE = (Path(__file__).parents[2] / "examples" / "kwsd.yaml").read_bytes()

FULL = """\
model: models/mine.tflite
audio: {device: null, channel: 0, gain_db: 0, stall_s: 2, block_ms: null}
recognize: {mode: rearm, clip_stride_ms: 40, max_clip_stride_ms: 200, average_window_ms: 500, suppression_ms: 700,
            minimum_count: 3, detection_threshold: 8e-1, thresholds: {go: 0.9, on: 0.85}}
only: [stop, go, on, off]
sinks:
  - type: stdout
    format: text
  - type: socket
    path: /run/kwsd/kwsd.sock
    group: kwsd
    max_clients: 16
  - type: webhook
    url: https://example.org/hook
    secret_file: /etc/kwsd/hook.secret    # or secret_env: NAME
    only: [stop]
    timeout_s: 4
    max_age_s: 11
    spool: /var/lib/kwsd/hook.db
log: {level: debug, format: json}
"""


def read(text: str) -> Settings:
    return config.read(text.encode(), "x.yaml")


def faults_of(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert caught.value.exit_code == 78
    return list(caught.value.faults)


def test_a_full_file():
    assert read(FULL) == Settings(
        model="models/mine.tflite",
        audio=AudioSettings(),
        recognize=RecognizeSettings("rearm", 40.0, 200.0, 500, 700, 3, 0.8, thresholds={"go": 0.9, "on": 0.85}),
        only=("stop", "go", "on", "off"),
        sinks=(
            StdoutSettings("text"),
            SocketSettings("/run/kwsd/kwsd.sock", "kwsd", max_clients=16),
            WebhookSettings(
                Url.parse("https://example.org/hook"),
                "/etc/kwsd/hook.secret",
                None,
                4.0,
                11.0,
                "/var/lib/kwsd/hook.db",
                only=("stop",),
            ),
        ),
        log=LogSettings("debug", "json"),
    )


@pytest.mark.parametrize(
    "text", ["", "# nothing", "{}", "audio:\nrecognize:\n  thresholds:\nsinks:\nlog: null\nonly:\n"]
)
def test_what_says_nothing_gives_the_defaults(text):
    assert read(text) == Settings()
    assert read(text).recognize == RecognizeSettings()
    assert read(text).sinks is None


def test_an_empty_list_of_sinks_is_none_at_all():
    assert read("sinks: []").sinks == ()


def test_whole_numbers_are_taken_for_numbers_and_become_such():
    audio = read("audio: {gain_db: 6, stall_s: 0x3}").audio
    assert (audio.gain_db, audio.stall_s) == (6.0, 3.0)
    assert isinstance(audio.gain_db, float)


@pytest.mark.parametrize(("text", "device"), [("3", 3), ("USB", "USB"), ("'3'", "3"), ("on", "on"), ("null", None)])
def test_a_device_is_a_name_or_an_index(text, device):
    assert read(f"audio: {{device: {text}}}").audio.device == device


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("modell: a", "1: key 'modell': unknown; the nearest is 'model'"),
        ("\naudio:\n  chanel: 1", "3: key 'chanel': unknown; the nearest is 'channel'"),
        ("channel: 1", "1: key 'channel': unknown here; it belongs under 'audio'; allowed:"),
        ("recognise: {}", "1: key 'recognise': unknown; the nearest is 'recognize'"),
        (
            "zzz: 1",
            "1: key 'zzz': unknown; allowed: model, labels, frontend, only, audio, recognize, listeners, sinks, log",
        ),
        ("<<: {model: a}", "1: key '<<': unknown; allowed: model"),
        ("- a", "1: got a list; allowed: a mapping (key: value)"),
        ("audio: 3", "1: key 'audio': got 3; allowed: a mapping (key: value)"),
        ("model: 3", "1: key 'model': got 3, which needs quotes to be text; allowed: a bundled model's name"),
        ("model: ''", "1: key 'model': got ''; allowed: a bundled model's name, a .tflite file"),
        ("model:", "1: key 'model': got nothing; allowed: a bundled model's name"),
        ("audio: {channel: -1}", "1: key 'channel': got -1; allowed: a whole number from 0 to 255"),
        ("audio: {channel: 1.0}", "1: key 'channel': got 1.0; allowed: a whole number from 0 to 255"),
        ("audio: {channel: true}", "1: key 'channel': got true; allowed: a whole number from 0 to 255"),
        (
            "audio: {device: -1}",
            "1: key 'device': got -1, which needs quotes to be text; allowed: part of a name, or",
        ),
        ("audio: {device: 1.5}", "1: key 'device': got 1.5, which needs quotes to be text"),
        ("audio: {gain_db: .inf}", "1: key 'gain_db': got inf; allowed: a number from -60 to 60 dB"),
        ("audio: {gain_db: .nan}", "1: key 'gain_db': got nan; allowed: a number from -60 to 60 dB"),
        ("audio: {gain_db: false}", "1: key 'gain_db': got false; allowed: a number from -60 to 60 dB"),
        ("audio: {stall_s: 2 s}", "1: key 'stall_s': got '2 s'; allowed: a number from 0.5 to 60 s"),
        (f"audio: {{block_ms: {'9' * 999}}}", "1: key 'block_ms': got a number of many digits; allowed: a whole"),
        (
            "recognize: {mode: Rearm}",
            "1: key 'mode': got 'Rearm'; allowed: tensorflow, rearm, repeat, android or micro",
        ),
        ("recognize: {mode: on}", "1: key 'mode': got 'on'; allowed: tensorflow, rearm, repeat, android or micro"),
        ("recognize: {minimum_count: 0}", "1: key 'minimum_count': got 0; allowed: a whole number from 1 to 1000"),
        (
            "recognize: {detection_threshold: 1.01}",
            "1: key 'detection_threshold': got 1.01; allowed: a number from 0",
        ),
        ("recognize: {thresholds: [go]}", "1: key 'thresholds': got a list; allowed: a mapping from words"),
        ("recognize:\n  thresholds:\n    go: 2", "3: key 'go': got 2; allowed: a number from 0 to 1"),
        (
            "recognize:\n  clip_stride_ms: 40\n  max_clip_stride_ms: 30",
            "3: key 'max_clip_stride_ms': got 30; allowed: at least the clip_stride_ms 40",
        ),
        ("only: stop", "1: key 'only': got text; allowed: a list of the model's words, such as [stop, go]"),
        ("only: []", "1: key 'only': got an empty list; allowed: a list of the model's words"),
        ("only:\n- go\n- 1", "3: key 'only': got 1, which needs quotes to be text; allowed: a word of the model"),
        ("only:\n- _unknown_", "2: key 'only': _unknown_ is never an event; allowed:"),
        ("sinks: {type: stdout}", "1: key 'sinks': got a mapping; allowed: a list of sinks (- type: ...)"),
        ("sinks: [stdout]", "1: key 'sinks': got text; allowed: a mapping with its type in it"),
        ("sinks:\n- format: json", f"2: key 'type': required; allowed: {KINDS}"),
        ("sinks:\n- type: fax", f"2: key 'type': got 'fax'; allowed: {KINDS}"),
        ("sinks:\n- type: stdout\n  path: /a", "3: key 'path': unknown here; it belongs under 'sinks.socket'; "),
        ("sinks:\n- type: webhook", "2: key 'url': required; allowed: http://HOST[:PORT]/PATH or https://"),
        ("log: {level: loud}", "1: key 'level': got 'loud'; allowed: debug, info, warning or error"),
        ("log: {format: [json]}", "1: key 'format': got a list; allowed: text or json"),
        (
            "sinks:\n- {type: webhook, url: 'http://a'}\n- type: webhook\n  url: http://b\n"
            "  secret_file: /a\n  secret_env: B\n",
            "6: key 'secret_env': cannot be combined with 'secret_file'",
        ),
    ],
)
def test_each_fault_is_told_with_line_and_key_and_what_is_allowed(text, fault):
    assert faults_of(text)[0].startswith(f"x.yaml:{fault}")


def test_a_socket_needs_a_path_unless_systemd_made_its_folder(monkeypatch):
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    assert faults_of("sinks:\n- type: socket") == [
        "x.yaml:2: key 'path': required; allowed: a path of at most 107 bytes"
    ]
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/kwsd:/run/other")
    assert read("sinks:\n- type: socket").sinks == (SocketSettings("/run/kwsd/kwsd.sock"),)
    assert "longer than 107 bytes" in faults_of(f"sinks:\n- {{type: socket, path: /{'p' * 107}}}")[0]


def test_all_faults_are_told_at_once_in_order_of_lines():
    text = (
        "modell: 1\nmodel: 2\nmodel: a\naudio: {channel: x, gain: 1}\nsinks:\n- type: webhook\n- {type: no}\nlog: 1\n"
    )
    assert [fault.split(": ")[0].removeprefix("x.yaml:") for fault in faults_of(text)] == list("12344678")


@pytest.mark.parametrize(
    "pair",
    [
        ("{type: socket, path: /run/a.sock}", "{type: socket, path: /run/../run/a.sock}"),
        ("{type: webhook, url: 'http://a', spool: /a}", "{type: webhook, url: 'http://b', spool: /a}"),
        ("{type: socket, path: /a}", "{type: webhook, url: 'http://b', spool: /a}"),
    ],
)
def test_no_file_serves_two_sinks(pair):
    assert "the same file as on line 2; each sink needs its own" in faults_of("sinks:\n- " + "\n- ".join(pair))[0]
    assert "the same file as on line 1; each sink needs its own" in faults_of(f"sinks: [{', '.join(pair)}]")[0]


@pytest.mark.parametrize(
    ("listen", "refused"), [("127.0.0.1", True), ("0.0.0.0", True), ("[::]", False), ("127.0.0.2", False)]
)
def test_no_port_serves_two_servers(listen, refused):
    text = f"wyoming: {{listen: 'tcp://{listen}:8077'}}\nhttp: {{page: true}}\n"
    if not refused:
        assert [server.listen.port for server in read(text).servers] == [8077, 8077]
        return
    assert "port 8077 is that of" in faults_of(text)[0]


def test_no_node_serves_two_mqtt_sinks_of_one_broker():
    first = "{type: mqtt, host: Broker, node: kitchen}"
    for second in ("{type: mqtt, host: broker, port: 1883, node: kitchen}", first):
        [fault] = faults_of(f"sinks:\n- {first}\n- {second}\n")
        assert fault == "x.yaml:3: key 'node': another sink has this node at this broker; give it its own"
    for second in ("{type: mqtt, host: broker, node: hall}", "{type: mqtt, host: other, node: kitchen}"):
        read(f"sinks:\n- {first}\n- {second}\n")


@pytest.mark.parametrize(
    "url",
    ["http://a", "https://example.org:8443/x?y=z", "http://user:pass@[::1]:80/", "http://127.0.0.1:1/é", "HTTP://A"],
)
def test_urls_of_webhooks(url):
    (sink,) = read(f"sinks:\n- {{type: webhook, url: '{url}'}}").sinks
    assert sink.url == Url.parse(url)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://key@a",
        "key.example.org",
        "http://",
        "http://:80/key",
        "http:///key",
        "https://key@/",
        "http://a:0/key",
        "http://a:99999/key",
        "http://a:key/",
        "http://[::1/key",
        "http://a b/key",
        "http://a/key#x",
        "http://a/\\tkey",
        "",
        "key://a",
        "http://a..key/",
        f"http://{'key' * 22}/",
        "http://key.999/",
    ],
)
def test_other_urls_are_refused_and_not_shown(url):
    (fault,) = faults_of(f'sinks:\n- {{type: webhook, url: "{url}"}}')
    assert fault.startswith("x.yaml:2: key 'url': ")
    assert fault.endswith("allowed: http://HOST[:PORT]/PATH or https://..., without spaces")
    assert "key" not in fault.removeprefix("x.yaml:2: key")


@pytest.mark.parametrize(
    "text",
    [
        "sinks:\n- {type: webhook, url: 'http://a', secret_env: whsec_c2VjcmV0}",
        "sinks:\n- {type: webhook, url: 'http://a', secret_env: 'c2VjcmV0 '}",
        "sinks:\n- {type: webhook, url: 'http://a', secret_file: whsec_c2VjcmV0}",
        "sinks:\n- {type: webhook, url: 'http://a', secret: c2VjcmV0}",
        "sinks:\n- {type: webhook, url: 'http://c2VjcmV0@a b'}",
        "sinks:\n- {type: stdout, format: 'http://c2VjcmV0@a'}",
        "sinks:\n- http://a/?c2VjcmV0",
        "whsec_c2VjcmV0",
        "only: whsec_c2VjcmV0",
    ],
)
def test_no_fault_shows_a_secret(text):
    assert "c2VjcmV0" not in "".join(faults_of(text))


def path_in(place, path):
    """A configuration with this path at that place, and the setting that it becomes."""
    section, _, key = place.rpartition(".")
    if not section:
        return f"{key}: {path}", lambda settings: getattr(settings, key)
    url = ", url: 'http://a'" if section == "webhook" else ""
    return f"sinks:\n- {{type: {section}{url}, {key}: {path}}}", lambda settings: getattr(settings.sinks[0], key)


PLACES = ("model", "labels", "frontend", "socket.path", "webhook.secret_file", "webhook.spool")


@pytest.mark.parametrize("place", PLACES)
def test_the_home_folder_is_expanded_in_every_path(place, monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    for written, meant in [
        ("~/a/b", "/home/somebody/a/b"),
        ("~root/a", "/root/a"),
        ("a~/b", "a~/b"),
        ("/a//b/../c", "/a//b/../c"),
        ("/a$/b", "/a$/b"),
    ]:
        text, setting = path_in(place, f"'{written}'")
        assert setting(read(text)) == meant


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("path", ["$HOME/a", "${HOME}/a", "/run/$USER/a", "~/$A", "~no-such-user/a"])
def test_what_would_make_a_folder_of_a_variable_s_name_is_refused(place, path):
    text, _ = path_in(place, f"'{path}'")
    (fault,) = faults_of(text)
    assert f"key '{place.rpartition('.')[2]}': " in fault
    assert "there is no such user" in fault if "~no" in path else "variables such as $HOME are not expanded" in fault


def test_a_flag_s_path_is_read_as_the_file_s(monkeypatch):
    """A shell leaves --socket=~/k as it is."""
    monkeypatch.setenv("HOME", "/home/somebody")
    read_flag = config.flag("sinks.socket", "path")
    assert read_flag("~/k") == "/home/somebody/k"
    with pytest.raises(argparse.ArgumentTypeError, match="are not expanded"):
        read_flag("$HOME/k")


def test_the_length_of_a_socket_s_path_is_that_of_the_expanded_one(monkeypatch):
    monkeypatch.setenv("HOME", "/" + "h" * 100)
    (fault,) = faults_of("sinks:\n- {type: socket, path: ~/kwsd.sock}")
    assert "is longer than 107 bytes" in fault


def test_one_file_by_two_names_serves_no_two_sinks(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    first, second = (f"{{type: socket, path: {path}}}" for path in ("~/k", "/home/somebody/k"))
    assert "the same file as on line 2" in faults_of(f"sinks:\n- {first}\n- {second}")[0]


def test_sinks_may_share_what_an_anchor_names():
    text = "only: &w [stop, no]\nsinks:\n- {type: stdout, only: *w}\n- {type: socket, path: /k, only: *w}"
    assert [sink.only for sink in read(text).sinks] == [("stop", "no")] * 2
    (fault,) = faults_of(text.replace("no]", "7]"))  # told once, where it is written
    assert fault.startswith("x.yaml:1: key 'only': got 7")


def test_settings_do_not_show_what_a_url_may_keep_secret():
    text = repr(read("sinks:\n- {type: webhook, url: 'http://user:pass@a/pass?pass'}"))
    assert "http://a" in text and "pass" not in text and "user" not in text


def test_labels_are_checked_with_the_lines_of_the_file():
    settings = read(
        "only:\n- stop\n- goo\nrecognize:\n  thresholds:\n    onn: 1\nsinks:\n- {type: stdout, only: [zzz]}"
    )
    assert check_labels(settings, ("stop", "go", "on")) == [
        "x.yaml:3: key 'only': the model has no word 'goo'; the nearest is 'go'",
        "x.yaml:6: key 'onn': the model has no word 'onn'; the nearest is 'on'",
        "x.yaml:8: key 'only': the model has no word 'zzz'; allowed: stop, go, on",
    ]
    assert check_labels(settings, ("stop", "goo", "onn", "zzz")) == []


def test_a_flag_s_fault_names_the_flag():
    settings = read("only: [stop]\nmodel: a").override(only=("goo",), model="a")
    assert check_labels(settings, ("go",)) == ["--only: the model has no word 'goo'; the nearest is 'go'"]
    assert settings.fault(("model",), "no") == "x.yaml:2: key 'model': no"
    assert Settings().override(model="b").fault(("model",), "no") == "--model: no"


def test_unknown_and_silence_are_never_events_but_may_have_a_threshold():
    settings = Settings().override(only=("_unknown_",), recognize=RecognizeSettings(thresholds={"_unknown_": 0.5}))
    found = check_labels(settings, ("_silence_", "_unknown_", "go"))
    assert found == ["--only: _unknown_ is never an event; allowed: go"]


@pytest.mark.parametrize(
    ("clip_stride_ms", "row_stride_ms", "fits"),
    [
        *[(40, 20, True), (30, 20, False), (20, 20, True), (10, 20, False), (37.5, 12.5, True), (0.3, 0.1, True)],
        *[(10, None, True), (33, None, True), (9, None, False)],
    ],
)
def test_the_stride_is_checked_against_the_rows(clip_stride_ms, row_stride_ms, fits):
    settings = read(f"recognize:\n  clip_stride_ms: {max(clip_stride_ms, 1)}")
    faults = check_stride(settings, clip_stride_ms, row_stride_ms)
    assert bool(faults) is not fits
    if faults:
        assert faults[0].startswith(f"x.yaml:2: key 'clip_stride_ms': got {clip_stride_ms}; allowed: ")


def test_flags_are_read_as_the_table_reads_its_keys():
    assert config.flag("recognize", "clip_stride_ms")("40") == 40.0
    assert config.flag("audio", "device")("3") == 3
    assert config.flag("audio", "device")("USB") == "USB"
    assert config.flag("", "model")("12") == "12"
    with pytest.raises(ArgumentTypeError, match=r"got '-1'; allowed: a whole number from 1 to 1000 scores"):
        config.flag("recognize", "minimum_count")("-1")


def test_yaml_is_imported_only_to_read_a_file():
    code = (
        "import sys, kwsd.config; assert 'yaml' not in sys.modules, 'yaml'; assert 'numpy' not in sys.modules, 'numpy'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unreadable_file_is_refused(tmp_path):
    file = tmp_path / "kwsd.yaml"
    file.write_text("model: a")
    assert config.load(str(file)).model == "a"
    file.chmod(0)
    user = os.geteuid()
    if user == 0:  # root may read everything
        os.seteuid(65534)
    try:
        with pytest.raises(ConfigError) as caught:
            config.load(str(file))
    finally:
        os.seteuid(user)
    assert caught.value.faults == (f"{file}: cannot be read: Permission denied",)


def mutated(data: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    for at, cut, new in edits:
        start = int(at * len(data))
        data = data[:start] + new + data[start + cut :]
    return data


PIECES = st.one_of(
    st.binary(max_size=4),
    st.sampled_from(
        [b"\n", b"\t", b"  ", b"- ", b": ", b"#", b"null", b"[", b"{", b"*a", b"&a ", b"type: socket\n", b"9"]
    ),
)
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40), PIECES), min_size=1, max_size=8)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([FULL.encode(), EXAMPLE, b"\n".join(EXAMPLE.split(b"\n")[30:])]), EDITS)
def test_a_damaged_file_is_read_or_refused(data, edits):
    """Nothing but ConfigError ever comes out, each fault on one line and with its line."""
    try:
        assert isinstance(config.read(mutated(data, edits), "x.yaml"), Settings)
    except ConfigError as error:
        assert error.faults
        for fault in error.faults:
            assert fault.startswith("x.yaml:")
            assert int(fault.split(":")[1]) >= 1
            assert "\n" not in fault


VALUES = st.recursive(
    st.sampled_from(
        ["null", "true", "on", "0", "-1", "1e400", ".nan", "'x'", "http://u:p@h/?q", "[]", "{}", "go", "0x1f"]
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.tuples(st.sampled_from([key.name for key in all_keys()] + ["type", "go"]), inner).map(
            "{{{0[0]}: {0[1]}}}".format
        ),
    ),
    max_leaves=5,
)
NAMES = st.sampled_from([key.name for key in all_keys()] + ["audio", "recognize", "sinks", "log", "type", "zzz"])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(NAMES, VALUES), max_size=5), st.sampled_from(["", "audio", "recognize", "log", "sinks"]))
def test_any_value_of_any_key_is_read_or_refused(entries, section):
    """Whatever stands where: Settings or ConfigError."""
    lines = "".join(f"  {name}: {value}\n" for name, value in entries)
    text = f"{section}:\n{lines}" if section else lines.replace("  ", "")
    if section == "sinks":
        text = "sinks:\n" + "".join(f"- type: {kind}\n{lines}" for kind in ("stdout", "socket", "webhook"))
    try:
        read(text)
    except ConfigError as error:
        assert error.faults


def test_a_relative_path_in_a_deleted_working_folder_is_a_fault_of_its_line(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(ConfigError) as caught:
        config.read(b"sinks:\n- type: clips\n  folder: kept\n", "x")
    assert caught.value.faults == (
        "x:3: key 'folder': a relative path, and the working folder was deleted; give a whole path",
    )
    assert config.read(b"sinks: [{type: clips, folder: /kept}]", "x").sinks
