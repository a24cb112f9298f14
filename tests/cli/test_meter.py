"""kwsd meter: a recording's level and words, as lines and as bars."""

from pathlib import Path

import numpy as np
import soundfile

from kwsd.audio.file import open_source
from kwsd.cli.meter import Meter, bar
from kwsd.model import load
from kwsd.spotter import Spotter

DEMO = Path(__file__).resolve().parents[2] / "examples" / "demo.flac"


def test_a_recording_is_shown_line_by_line_until_its_end(kwsd, tmp_path, capsys):
    tone = 0.1 * np.sin(np.arange(16_000) * 0.2)
    soundfile.write(tmp_path / "tone.wav", tone, 16_000, subtype="PCM_16")
    assert kwsd("meter", "--source", str(tmp_path / "tone.wav")) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("level  -23.0 dBFS  peak  -20.0 dBFS  ")


def test_it_ends_after_the_seconds_asked_for(kwsd, capsys):
    assert kwsd("meter", "--source", str(DEMO), "--seconds", "0.5") == 0
    assert capsys.readouterr().out


def test_words_and_states_are_drawn_as_bars_in_place(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "20")
    model = load("default")
    source = open_source(str(DEMO), model.sample_rate_hz, realtime=False)
    Meter(source, Spotter(model), on_terminal=True).run(None)
    source.close()
    drawn = capsys.readouterr().out
    last = drawn.split("\x1b[14A")[-1].replace("\x1b[K", "").replace("\r", "").splitlines()
    assert len(last) == len(model.labels) + 2
    assert last[0].startswith("level        ")
    assert last[1].startswith("_silence_    ")
    assert "heard: " in last[-1]
    assert all(len(row) < 60 for row in last)


def test_a_small_terminal_shows_the_highest_scores_and_one_that_changes_its_size_is_cleared(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "8")
    model = load("tiny")
    meter = Meter(None, Spotter(model), on_terminal=True)
    scores = {label: place / 10 for place, label in enumerate("abcdefghi")}
    meter._redraw(-40.0, -30.0, scores)
    drawn = capsys.readouterr().out
    assert [row.strip("\r")[0] for row in drawn.split("\n")[:-1]] == ["l", *"efghi", "p"]
    meter._redraw(-40.0, -30.0, scores)
    assert capsys.readouterr().out.startswith("\x1b[7A")
    monkeypatch.setenv("COLUMNS", "40")
    meter._redraw(-40.0, -30.0, scores)
    again = capsys.readouterr().out
    assert again.startswith("\x1b[H\x1b[2J")
    assert all(len(row.replace("\x1b[K", "").strip("\r")) < 40 for row in again.split("\n")[1:])


def test_a_bar_is_filled_to_its_share():
    assert [bar(share, 4) for share in (-1, 0, 0.5, 1, 2)] == ["....", "....", "##..", "####", "####"]


def test_a_missing_file_is_one_line_and_66(kwsd, capsys):
    assert kwsd("meter", "--source", "/nowhere.wav") == 66
    assert capsys.readouterr().err == "kwsd: /nowhere.wav: No such file or directory\n"


def test_the_configuration_s_own_settings_hold(kwsd, tmp_path, capsys):
    config = tmp_path / "kwsd.yaml"
    config.write_text("only: [stop]\nrecognize: {detection_threshold: 0.99}\n")
    spotter = Spotter(load("tiny"), detection_threshold=0.0)
    source = open_source(str(DEMO), 16_000, realtime=False)
    Meter(source, spotter, ["stop"], on_terminal=True).run(None)
    source.close()
    assert "heard: stop" in capsys.readouterr().out.splitlines()[-1]
    assert kwsd("meter", "-c", str(config), "--source", str(DEMO), "--seconds", "0.2") == 0
