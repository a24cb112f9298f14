"""Wrong use of the command line: one line with its cause, and code 2."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from kwsd_train import cli as training

from kwsd.cli import main as cli

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def wrong(capsys, monkeypatch):
    """Runs a wrong command line; what it says."""
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # main would put its own beneath

    def run(line, main=cli.main):
        try:
            code = main(line.split())
        except SystemExit as ended:
            code = ended.code
        out, err = capsys.readouterr()
        assert (code, out) == (2, ""), (code, out, err)
        assert err.count("\n") == 1, err
        return err.rstrip()

    return run


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("devcies", "kwsd: devcies: no such command. Did you mean devices? See kwsd --help."),
        ("wacth --exec x", "kwsd: wacth: no such command. Did you mean watch? See kwsd --help."),
        ("--devcie usb", "kwsd: --devcie: no such option. Did you mean --device? See kwsd --help."),
        ("--dev usb", "kwsd: --dev: no such option. Did you mean --device? See kwsd --help."),
        ("--clip_strid_ms 40", "kwsd: --clip_strid_ms: no such option. Did you mean --clip-stride-ms?"),
        ("watch --sokcet x", "kwsd: --sokcet: no such option. Did you mean --socket? See kwsd watch --help."),
        ("watch extra", "kwsd: extra: one argument too many. See kwsd watch --help."),
        ("--quux", "kwsd: --quux: no such option. See kwsd --help."),
        ("--model tiny devices", "kwsd: devices: a command comes first, as in `kwsd devices`. See kwsd --help."),
        ("--format jsn", "kwsd: --format: got 'jsn'; allowed: json, text. Did you mean json?"),
        ("--log-level WARNING", "kwsd: --log-level: got 'WARNING'; allowed: debug, info, warning, error. See kwsd"),
        ("--channel x", "kwsd: --channel: got 'x'; allowed: a whole number from 0 to 255."),
        ("--raw-rate x", "kwsd: --raw-rate: got 'x'; allowed: a whole number from 1000 to 768000 Hz."),
        ("--raw-rate 1000000", "kwsd: --raw-rate: got '1000000'; allowed: a whole number from 1000 to 768000 Hz."),
        ("--raw-channels 0", "kwsd: --raw-channels: got '0'; allowed: a whole number from 1 to 256 channels."),
        ("--source=", "kwsd: --source: is empty; allowed: a sound file, "),
        ("label tiny a.wav --top 0", "kwsd: --top: got '0'; allowed: a whole number from 1."),
        ("meter --seconds x", "kwsd: --seconds: got 'x'; allowed: a positive number of seconds."),
        ("--device", "kwsd: -d/--device: expected one argument."),
        ("label", "kwsd: the following arguments are required: MODEL, FILE. See kwsd label --help."),
    ],
)
def test_the_cause_is_told_in_one_line_with_what_was_probably_meant(wrong, line, said):
    assert said in wrong(line)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("trian", "kwsd-train: trian: no such command. Did you mean train? See kwsd-train --help."),
        ("label_wav", "kwsd-train: label_wav: no such command. Did you mean label-wav?"),
        ("label_wav --wav a.wav", "kwsd-train: label_wav: no such command. Did you mean label-wav?"),
        ("", "kwsd-train: no command; there are train, freeze, "),
        ("train --wnted_words x", "kwsd-train: --wnted_words: no such option. Did you mean --wanted_words?"),
    ],
)
def test_the_same_holds_for_the_training_tool(wrong, line, said):
    assert said in wrong(line, training.main)


@pytest.mark.parametrize("line", ["--webhok=https://key@h/p", "--webhok https://key@h/p", "--webhook ftp://key@h/p"])
def test_an_address_may_hold_a_secret_and_is_not_repeated(wrong, line):
    assert "key" not in wrong(line)


@pytest.mark.parametrize(
    "line",
    [
        "--device usb -d hdmi",
        "--device usb --device usb",
        "--socket=/a --socket /b",
        "--config a --config b",
        "--format json --format text",
        "--clip-stride-ms 40 --clip_stride_ms 60",
        "watch --socket a --socket b",
        "doctor --device a --device b",
    ],
)
def test_an_option_of_one_value_given_twice_is_refused(wrong, line):
    assert "given twice, but takes a single value" in wrong(line)


def test_two_dashes_end_the_options():
    _, parser = cli.parser_of("run")
    assert parser.parse_args(["--source", "a", "--"]).source == "a"
    _, parser = cli.parser_of("label")
    assert parser.parse_args(["tiny", "--", "-a.wav", "--b.wav"]).files == ["-a.wav", "--b.wav"]


def test_options_that_may_be_repeated_are_taken():
    _, parser = cli.parser_of("run")
    args = parser.parse_args(shlex.split("--webhook http://a/ --webhook http://b/ -v -q -m tiny --model default"))
    assert (len(args.webhook), args.model) == (2, ["tiny", "default"])
    assert parser.parse_args(["--device", "a"]).device == "a"  # nothing is kept from the last time


def test_the_daemon_imports_no_other_command():
    code = (
        "import sys; from kwsd.cli.main import parser_of; parser_of('run')[1].parse_args([]);"
        "print(*sorted(name for name in sys.modules if name.startswith('kwsd.cli.')))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    parts = ("main", "options", "parser", "run", "standard_output")
    assert found.stdout.split() == [f"kwsd.cli.{part}" for part in parts]


def test_the_training_tool_takes_the_last_of_several(tmp_path):
    """Recipes end in the flags of whoever calls them."""
    _, parser = training.parser_of("train")
    assert parser.parse_args(["--train_dir", "a", "--train_dir", "b"]).train_dir == Path("b")
