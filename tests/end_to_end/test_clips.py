"""From a word in the audio to a recording that a model names, and that kwsd-train takes."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile
from kwsd_train import cli as training

from kwsd.client import Connection
from tests.faults.test_sinks_together import audio, feed
from tests.helpers.kwsd_process import DEMO, LIMIT_S, demo_words, in_order, run, running
from tests.learn.conftest import CLIPS, takes_of


def configured(folder: Path, **settings: int | str) -> Path:
    path = folder / "kwsd.yaml"
    more = "".join(f", {name}: {value}" for name, value in settings.items())
    path.write_text(f"sinks:\n- {{type: stdout}}\n- {{type: clips, folder: {folder}/clips{more}}}\n")
    return path


def recordings(folder: Path) -> list[Path]:
    return sorted((folder / "clips").glob("*/*.flac"), key=lambda path: path.name)


def test_each_word_of_the_demo_is_kept_as_a_second_that_the_model_names(tmp_path):
    kwsd = run("--config", configured(tmp_path), "--source", DEMO)
    kept = recordings(tmp_path)
    heard = kwsd.words
    assert in_order(heard, demo_words()) >= 12
    assert [path.parent.name for path in kept] == heard, "names sort as events came"
    assert [(soundfile.info(path).frames, soundfile.info(path).samplerate) for path in kept] == [
        (16_000, 16_000)
    ] * len(kept)
    assert f"clips: {len(kept)} sent" in kwsd.log[-1]
    command = [sys.executable, "-m", "kwsd", "label", "default", "--json", *map(str, kept)]
    named = subprocess.run(command, check=True, capture_output=True, timeout=LIMIT_S).stdout.splitlines()
    assert [json.loads(line)["label"] for line in named] == heard


def test_what_follows_a_word_is_kept_as_far_as_the_source_goes(tmp_path):
    """In the demo the last word is over before its end; with ten seconds after each, many are cut off there."""
    kwsd = run("--config", configured(tmp_path, before_ms=10_000, after_ms=10_000), "--source", DEMO)
    signal_, _ = soundfile.read(DEMO, dtype="int16")
    kept = recordings(tmp_path)
    assert len(kept) == len(kwsd.events)
    spans = {len(soundfile.read(path)[0]) for path in kept}
    expected = {
        (min(event["audio_ms"] + 9700, len(signal_) // 16) - max(0, event["audio_ms"] - 10_300)) * 16
        for event in kwsd.events
    }
    assert all(any(abs(span - other) < 16 for other in expected) for span in spans)
    whole = signal_.tobytes()
    assert all(soundfile.read(path, dtype="int16")[0].tobytes() in whole for path in kept), "the very samples"


def test_a_running_one_says_so_and_its_end_keeps_what_it_has(tmp_path):
    path = configured(tmp_path, after_ms=10_000)
    path.write_text(path.read_text() + f"- {{type: socket, path: {tmp_path}/s}}\n")
    with running("--config", path, "--source", "-", stdin=subprocess.PIPE) as kwsd:
        kwsd.wait_for_log(f"recordings are kept in {tmp_path}/clips: 10.7 s around each word")
        kwsd.process.stdin.buffer.write(audio(1))
        kwsd.process.stdin.buffer.flush()
        kwsd.wait_for(lambda: len(kwsd.lines) >= 12, "words are heard")
        with Connection(str(tmp_path / "s")) as asking:
            asking.send({"get": "status"})
            while (message := asking.receive(LIMIT_S))["type"] != "snapshot":
                pass
        assert message["recordings"] == [f"{tmp_path}/clips"]
        command = [sys.executable, "-m", "kwsd", "status", "--socket", str(tmp_path / "s")]
        told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=LIMIT_S).stdout
        assert f"recordings are kept in {tmp_path}/clips\n" in told
        code, _ = kwsd.stop()
        kwsd.process.stdin.close()
    assert code == 0
    assert len(recordings(tmp_path)) == len(kwsd.lines)


def test_near_misses_are_kept_apart_and_named_by_the_model(tmp_path):
    """With thresholds that hardly anything passes, every word of the demo nearly fires."""
    path = configured(tmp_path, peaks="true")
    path.write_text(path.read_text() + "recognize: {detection_threshold: 0.999}\n")
    kwsd = run("--config", path, "--source", DEMO)
    near = sorted((tmp_path / "clips").glob("_peak_/*/*.flac"), key=lambda each: each.name)
    assert kwsd.words == [] and in_order([each.parent.name for each in near], demo_words()) >= 12
    command = [sys.executable, "-m", "kwsd", "label", "default", "--json", *map(str, near)]
    lines = subprocess.run(command, check=True, capture_output=True, timeout=LIMIT_S).stdout.splitlines()
    named = [json.loads(line)["label"] for line in lines]
    assert sum(label == each.parent.name for label, each in zip(named, near, strict=True)) >= 12


def test_a_reload_turns_it_on_and_off(tmp_path):
    on = configured(tmp_path).read_text()
    path = tmp_path / "kwsd.yaml"
    off = on[: on.index("- {type: clips")]
    path.write_text(off)
    with running("--config", path, "--source", "-", stdin=subprocess.PIPE) as kwsd:
        heard = 0
        for text in (on, off):
            kwsd.process.stdin.buffer.write(audio(1))
            kwsd.process.stdin.buffer.flush()
            heard += 12
            kwsd.wait_for(lambda: len(kwsd.lines) >= heard, "words are heard")  # noqa: B023
            assert bool(recordings(tmp_path)) == (text == off)
            path.write_text(text)
            kwsd.process.send_signal(signal.SIGHUP)
            kwsd.wait_for(lambda: sum("read again" in line for line in kwsd.log) == heard // 12, "the reload")  # noqa: B023
        kwsd.wait_for_log("clips is no longer served")
        before = len(recordings(tmp_path))
        feed(kwsd, audio(1))
        assert kwsd.end() == 0
        assert len(kwsd.lines) > heard and len(recordings(tmp_path)) == before


def test_the_folder_sorted_by_a_person_is_one_that_kwsd_train_takes(tmp_path, capsys):
    """False alarms of "stop" go to a folder of another name; noise is whatever one has."""
    run("--config", configured(tmp_path, max_age_days=36_500), "--source", DEMO)
    folder = tmp_path / "clips"
    false_alarm, *_ = sorted((folder / "stop").iterdir())
    (folder / "_false_alarm_").mkdir()
    false_alarm.rename(folder / "_false_alarm_" / false_alarm.name)
    (folder / "_background_noise_").mkdir()
    noise = np.random.default_rng(1).normal(0, 0.01, 64_000)
    soundfile.write(folder / "_background_noise_" / "room.wav", noise, 16_000)
    flags = ["--data_dir", str(folder), "--wanted_words", "stop,go", "--validation_percentage", "0"]
    assert training.main(["check-data", *flags, "--testing_percentage", "0"]) == 0
    said = capsys.readouterr().out
    assert "fail" not in said, said


def test_from_a_false_alarm_to_a_model_that_does_not_fire_at_it(tmp_path):
    """The end of "zero" alone, as in "hero", fires; its recording is held against it, and "zero" is heard as before."""
    (tmp_path / "takes").mkdir()
    for number, take in enumerate(takes_of("zero", 6)):
        soundfile.write(tmp_path / "takes" / f"{number}.wav", take, 16_000)
    model = str(tmp_path / "zero.tflite")

    def learn(*arguments: str) -> None:
        command = [sys.executable, "-m", "kwsd", "learn", *arguments]
        subprocess.run(command, check=True, capture_output=True, timeout=3 * LIMIT_S)

    def heard(said: list[np.ndarray]) -> int:
        silence = np.random.default_rng(9).normal(0, 1e-4, 32_000)
        pieces = [piece for take in said for piece in (silence, take)]
        soundfile.write(tmp_path / "evening.wav", np.concatenate([*pieces, silence]), 16_000)
        listening = ("--config", configured(tmp_path), "--model", model, "--source", tmp_path / "evening.wav")
        return run(*listening).words.count("zero")

    whole, _ = soundfile.read(min(CLIPS.glob("zero/*.flac")))
    end_of_it = whole * (np.arange(len(whole)) > 7000)
    learn("zero", "--from", str(tmp_path / "takes"), "--output", model)
    assert heard([end_of_it]) == 1
    [false_alarm] = recordings(tmp_path)
    assert false_alarm.parent.name == "zero"
    learn("--model", model, "--not", str(false_alarm))
    assert heard([end_of_it]) == 0
    assert heard(takes_of("zero", 4, seed=7)) == 4
