"""kwsd tune: from recordings and reports to thresholds, and what it says of too little data."""

import json
import sys

import numpy as np
import pytest
import soundfile

from kwsd import config
from kwsd.cli.tune import Tuned, in_words
from kwsd.tuning.ground_truth import Found, Row
from kwsd.tuning.recordings import Recording, quiet_of
from kwsd.tuning.thresholds import fit
from tests.helpers.kwsd_process import DEMO, running
from tests.helpers.ordinary_user import closed, run_as_ordinary_user  # noqa: F401 (a fixture)


def tuned(wanted, recordings, now):
    quiet = quiet_of(recordings, now)
    return Tuned(wanted, quiet, now, fit(quiet, now, wanted), recordings)


STOPS = tuple(Found("stop", 10_000 * place, score) for place, score in enumerate((0.55, 0.72, 0.52, 0.47, 0.4, 0.31)))
EVENING = Recording(4.0, STOPS, (Row("stop", 0, 1000), Row("stop", 100_000, 101_000)))
"""Six peaks, of which the first is the word."""


def test_the_table_tells_of_each_word_what_was_what_would_be_and_what_is_missed():
    text = "\n".join(in_words(tuned(1.0, [EVENING], {"stop": 0.6, "go": 0.8})))
    assert text == (
        "heard 4.00 hours; wanted: at most 1 false alarm an hour, all words together\n"
        "\n"
        "word  now   found  an hour now         an hour as found  missed now  as found\n"
        "stop  0.60  0.40   0.25 [0.0063..1.4]  0.75 [0.15..2.2]  2 of 2      1 of 2\n"
        "go    0.80  0.40   0 [0..0.92]         0 [0..0.92]       0 of 0      0 of 0\n"
        "all                0.25 [0.0063..1.4]  0.75 [0.15..2.2]  2 of 2      1 of 2\n"
        "\n"
        "By chance it may be more than 1 an hour. To be 95 % sure takes 3.69 hours without a false alarm, "
        "or longer with some."
    )


def test_too_little_data_lowers_nothing_and_says_how_much_it_takes():
    text = "\n".join(in_words(tuned(0.1, [EVENING], {"stop": 0.6, "go": 0.8})))
    assert "stop  0.60  0.75   0.25 " in text
    assert "go    0.80  0.80   0 " in text
    assert "4.00 hours are too few to lower a threshold" in text
    assert "10 hours" in text
    assert "36.9 hours without a false alarm" in text


def test_a_word_that_nothing_can_keep_quiet_is_named():
    loud = Recording(4.0, (Found("stop", 0, 0.99), Found("stop", 5000, 0.98)))
    assert "stop: fires too often even at 0.95" in "\n".join(in_words(tuned(0.3, [loud], {"stop": 0.6})))


@pytest.fixture
def quiet_room(tmp_path):
    """Two seconds of noise."""
    path = tmp_path / "evening.wav"
    soundfile.write(path, 0.01 * np.random.default_rng(1).standard_normal(32_000), 16_000, subtype="PCM_16")
    return path


def test_a_recording_s_thresholds_are_written_into_a_configuration_whose_rest_stays(kwsd, quiet_room, tmp_path, capsys):
    path = tmp_path / "kwsd.yaml"
    path.write_text("model: tiny  # small\nonly: [stop, go]\nrecognize: {on_demand: [go]}\n")
    flags = ["--false-alarms-per-hour", "2000", str(quiet_room), "-c", str(path), "--write", str(path), "--json"]
    assert kwsd("tune", *flags) == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told["words"]) == ["stop"]  # the other one has armed_threshold
    assert told["hours"] == pytest.approx(2 / 3600)
    assert path.read_text().startswith("model: tiny  # small\nonly: [stop, go]\n")
    after = config.load(str(path)).recognize
    assert after.thresholds == {"stop": told["words"]["stop"]["found"]["threshold"]} == {"stop": 0.4}
    assert after.on_demand == ("go",)


ROOMS = """\
listeners:
  kitchen:
    model: tiny  # small
    only: [stop, go]
  porch:
    model: [{model: default, only: [yes, no]}, {model: tiny, only: [up]}]
    # loud
    recognize:
      thresholds: {yes: 0.7}
log: {level: info}
"""


def test_of_several_listeners_one_is_tuned_with_all_its_models(kwsd, quiet_room, tmp_path, capsys):
    path = tmp_path / "kwsd.yaml"
    path.write_text(ROOMS)
    flags = ["--false-alarms-per-hour", "2000", str(quiet_room), "-c", str(path), "--write", str(path), "--json"]
    assert kwsd("tune", *flags, "--listener", "porch") == 0
    told = json.loads(capsys.readouterr().out)["words"]
    assert list(told) == ["yes", "no", "up"]
    assert told["yes"]["now"]["threshold"] == 0.7
    after = config.load(str(path)).named
    assert after["porch"].recognize.thresholds == {word: told[word]["found"]["threshold"] for word in told}
    assert after["kitchen"].recognize.thresholds == {}
    assert path.read_text().startswith(ROOMS.partition("      thresholds")[0])
    assert path.read_text().endswith(ROOMS.rpartition("\n")[0].rpartition("\n")[2] + "\n")


@pytest.mark.parametrize(
    ("flags", "said"),
    [([], "has several. Choose one of kitchen, porch"), (["--listener", "attic"], "has no 'attic'. Choose one of kit")],
)
def test_which_listener_has_to_be_said_before_the_work(kwsd, quiet_room, tmp_path, capsys, flags, said):
    path = tmp_path / "kwsd.yaml"
    path.write_text(ROOMS)
    rate = ["--false-alarms-per-hour", "2000"]
    assert kwsd("tune", *rate, str(quiet_room), "-c", str(path), *flags) == 2
    assert said in capsys.readouterr().err
    assert kwsd("tune", *rate, str(quiet_room), "--write", str(path), *flags) == 2
    assert said in capsys.readouterr().err
    assert path.read_text() == ROOMS


def test_the_report_of_one_of_several_listeners_is_taken(kwsd, tmp_path, capsys):
    config_file, path = tmp_path / "kwsd.yaml", tmp_path / "s"
    config_file.write_text(
        f"listeners:\n  kitchen: {{audio: {{source: {DEMO}}}, only: [stop, go],"
        f" recognize: {{thresholds: {{stop: 0.7}}}}}}\n"
        f"  porch: {{audio: {{source: {DEMO}}}, model: tiny, recognize: {{on_demand: [go]}}}}\n"
        f"sinks:\n  - type: stdout\n  - type: socket\n    path: {path}\n"
    )
    flags = ["--false-alarms-per-hour", "1000", "--live", "--socket", str(path), "--json"]
    with running("--config", config_file, "--realtime") as daemon:
        daemon.wait_for(path.exists, "it serves")
        assert kwsd("tune", *flags) == 2
        assert "that kwsd has several. Choose one of kitchen, porch." in capsys.readouterr().err
        daemon.wait_for(lambda: kwsd("tune", *flags, "--listener", "kitchen") == 0, "a word of the kitchen is over")
        told = json.loads(capsys.readouterr().out)["words"]
        assert set(told) == {"stop", "go"} and told["stop"]["now"]["threshold"] == 0.7
        daemon.wait_for(lambda: kwsd("tune", *flags, "--listener", "porch") == 0, "a word of the porch is over")
        told = json.loads(capsys.readouterr().out)["words"]
        assert "go" not in told and "yes" in told


def test_labels_are_found_beside_a_recording_or_named(kwsd, tmp_path, capsys):
    assert kwsd("tune", "--false-alarms-per-hour", "1", str(DEMO), "--json") == 0
    beside = json.loads(capsys.readouterr().out)["words"]["stop"]["now"]
    assert beside["said"] == 3
    labels = tmp_path / "labels.txt"
    labels.write_text("stop, 500, 1500\n")
    assert kwsd("tune", "--false-alarms-per-hour", "1", str(DEMO), "--labels", str(labels), "--json") == 0
    assert json.loads(capsys.readouterr().out)["words"]["stop"]["now"]["said"] == 1


def test_a_ground_truth_of_other_words_is_refused(kwsd, tmp_path, capsys):
    """Else each of the words in it would count as a false alarm."""
    truth = tmp_path / "truth.txt"
    truth.write_text("Stop, 1000\nGo, 3000\n")
    flags = ["tune", "--false-alarms-per-hour", "1", "--model", "tiny", str(DEMO), "--labels", str(truth)]
    assert kwsd(*flags) == 2
    assert "no row of the ground truth names one of the words" in capsys.readouterr().err
    truth.write_text("_unknown_, 1000\n")
    assert kwsd(*flags) == 0


def test_the_report_of_a_running_kwsd_is_taken(kwsd, tmp_path, capsys):
    path = tmp_path / "s"
    flags = ["--false-alarms-per-hour", "1000", "--live", "--socket", str(path), "--json"]
    with running("--source", DEMO, "--realtime", "--socket", path) as daemon:
        daemon.wait_for(path.exists, "it serves")
        assert kwsd("tune", *flags) in (0, 69)  # 69 until a first word is over
        capsys.readouterr()
        daemon.wait_for(lambda: len(daemon.lines) >= 2, "two words are heard")
        assert kwsd("tune", *flags) == 0
    told = json.loads(capsys.readouterr().out)
    assert daemon.words[0] in told["words"]
    assert all(word["now"]["threshold"] in (0.6, 0.8) for word in told["words"].values())


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "it takes recordings, or --live"),
        (["--live", "x.wav"], "it takes recordings, or --live"),
        (["--live", "--labels", "x.txt"], "--labels: a report has no labels"),
        (["x.wav", "--socket", "/s"], "--socket: recordings need none"),
        (["x.wav", "y.wav", "--labels", "x.txt"], "--labels: 1 files for 2 recordings"),
    ],
)
def test_wrong_use_is_one_line_and_2(flags, said, kwsd, capsys):
    assert kwsd("tune", "--false-alarms-per-hour", "1", *flags) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("rate", ["0", "-1", "nan", "inf", "many"])
def test_a_rate_is_a_positive_number(rate, kwsd):
    with pytest.raises(SystemExit, match="2"):
        kwsd("tune", "--false-alarms-per-hour", rate, "x.wav")


def test_faults_have_the_codes_of_every_command(kwsd, tmp_path, capsys):
    rate = ["--false-alarms-per-hour", "1"]
    assert kwsd("tune", *rate, "/nowhere.wav") == 66
    assert kwsd("tune", *rate, str(DEMO), "--labels", "/nowhere.txt") == 66
    assert kwsd("tune", *rate, "--live", "--socket", str(tmp_path / "nobody")) == 69
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("modell: default\n")
    assert kwsd("tune", *rate, str(DEMO), "-c", str(wrong)) == 78
    assert kwsd("tune", *rate, str(DEMO), "--write", str(wrong)) == 78
    assert wrong.read_text() == "modell: default\n"
    assert all(line.startswith(("kwsd: ", str(wrong))) for line in capsys.readouterr().err.splitlines())


def test_a_curve_is_drawn_on_request(kwsd, quiet_room, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="the picture needs matplotlib")
    picture = tmp_path / "curve.png"
    assert kwsd("tune", "--false-alarms-per-hour", "1", str(quiet_room), "--plot", str(picture)) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_it_is_one_line_before_the_work(kwsd, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert kwsd("tune", "--false-alarms-per-hour", "1", str(DEMO), "--plot", "x.png") == 69
    assert capsys.readouterr().err == "kwsd: --plot: matplotlib is not installed. pip install matplotlib\n"


@pytest.mark.parametrize("flag", ["--write", "--plot"])
def test_a_file_that_cannot_be_written_is_told_before_the_work(kwsd, monkeypatch, tmp_path, capsys, flag):
    monkeypatch.setattr("kwsd.tuning.plot.need_matplotlib", lambda _: None)
    monkeypatch.setattr("kwsd.cli.tune._from_recordings", lambda *_: pytest.fail("it was heard first"))
    for name, why in ((300 * "x", "File name too long"), ("", "it is a folder")):
        assert kwsd("tune", "--false-alarms-per-hour", "1", str(DEMO), flag, str(tmp_path / name)) == 74
        assert f"cannot be written: {why}" in capsys.readouterr().err


def test_a_configuration_in_a_closed_folder_is_one_line_before_the_work(closed):  # noqa: F811
    done = run_as_ordinary_user("tune", "--false-alarms-per-hour", "1", DEMO, "--write", closed / "kwsd.yaml")
    assert done.process.returncode == 74
    assert done.log == [f"kwsd: {closed}/kwsd.yaml: cannot be written: Permission denied. Name another file."]
