"""Several listeners in one process: each with a source, models and a state of its own."""

import json
import os
import shutil
import signal
import subprocess

import pytest
import soundfile

from tests.helpers.kwsd_process import DEMO, run, running
from tests.helpers.stream_server import StreamServer

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


def config_of(tmp_path, listeners, more=""):
    path = tmp_path / "kwsd.yaml"
    path.write_text(f"listeners:\n{listeners}{more}")
    return path


def told(kwsd, listener=None):
    return [
        (event["label"], event["audio_ms"], event["score"])
        for event in kwsd.events
        if listener is None or event["listener"] == listener
    ]


def snapshot(path):
    return json.loads("".join(run("status", "--json", "--socket", path).lines))


def test_each_hears_what_it_hears_alone(tmp_path):
    config = config_of(
        tmp_path,
        f"  kitchen: {{audio: {{source: {DEMO}}}, only: [stop, go, up, down]}}\n"
        f"  porch: {{model: tiny, audio: {{source: {DEMO}}}, recognize: {{detection_threshold: 0.7}}}}\n",
    )
    together = run("--config", config)
    assert together.process.returncode == 0
    kitchen = run("--source", DEMO, "--only", "stop,go,up,down")
    porch = run("--source", DEMO, "--model", "tiny", "--detection-threshold", "0.7")
    assert told(together, "kitchen") == told(kitchen)
    assert told(together, "porch") == told(porch)
    assert [event["seq"] for event in together.events] == list(range(1, len(together.events) + 1))
    assert [list(event)[-1] for event in together.events] == ["listener"] * len(together.events)
    assert any("kitchen: kwsd-default" in line for line in together.log)


@needs_ffmpeg
def test_one_that_fails_disturbs_no_other(tmp_path):
    path = tmp_path / "s"
    sinks = f"sinks: [{{type: stdout}}, {{type: socket, path: {path}}}]\n"
    with StreamServer(DEMO, 16_000) as kitchen, StreamServer(DEMO, 16_000) as porch:
        config = config_of(
            tmp_path,
            f"  kitchen: {{audio: {{source: '{kitchen.url()}'}}}}\n  porch: {{audio: {{source: '{porch.url()}'}}}}\n",
            sinks,
        )
        with running("--config", config) as kwsd:
            kwsd.wait_for(lambda: told(kwsd, "kitchen") and told(kwsd, "porch"), "words of both")
            porch.go_away()
            kwsd.wait_for_log("waiting: porch: ffmpeg: Connection refused")
            shown = snapshot(path)
            assert (shown["state"], shown["listeners"]["porch"]["state"]) == ("waiting", "waiting")
            assert shown["listeners"]["kitchen"]["state"] in (
                "listening",
                "degraded",
            )  # the recording has silence in it
            lost = shown["listeners"]["kitchen"]["samples_lost"]
            before = len(told(kwsd, "kitchen"))
            kwsd.wait_for(lambda: len(told(kwsd, "kitchen")) > before + 1, "the other one goes on")
            porch.come_back()
            before = len(told(kwsd, "porch"))
            kwsd.wait_for(lambda: len(told(kwsd, "porch")) > before, "it is heard again")
            shown = snapshot(path)
            assert shown["listeners"]["kitchen"]["samples_lost"] == lost
            assert shown["listeners"]["porch"]["samples_lost"] > 0

            assert run("pause", "--socket", path).process.returncode == 0
            kwsd.wait_for(lambda: {each["state"] for each in snapshot(path)["listeners"].values()} == {"paused"}, "all")
            assert run("resume", "--socket", path).process.returncode == 0
            before = len(told(kwsd, "kitchen")), len(told(kwsd, "porch"))
            kwsd.wait_for(lambda: len(told(kwsd, "kitchen")) > before[0], "heard again")
            kwsd.wait_for(lambda: len(told(kwsd, "porch")) > before[1], "heard again")


@needs_ffmpeg
def test_a_reload_is_all_or_nothing(tmp_path):
    path = tmp_path / "s"
    sinks = f"sinks: [{{type: stdout}}, {{type: socket, path: {path}}}]\n"
    with StreamServer(DEMO, 16_000) as server:
        one = f"  kitchen: {{audio: {{source: '{server.url()}'}}}}\n"
        other = f"  porch: {{model: tiny, audio: {{source: '{server.url('/porch')}'}}}}\n"
        config = config_of(tmp_path, one, sinks)
        with running("--config", config) as kwsd:
            kwsd.wait_for(lambda: told(kwsd, "kitchen"), "words")
            config_of(tmp_path, one.replace("}}", "}, only: [stop, sotp]}") + other, sinks)
            kwsd.process.send_signal(signal.SIGHUP)
            kwsd.wait_for_log("key 'only': the model has no word 'sotp'")
            assert list(snapshot(path)["listeners"]) == ["kitchen"]
            config_of(tmp_path, one + other, sinks)
            kwsd.process.send_signal(signal.SIGHUP)
            kwsd.wait_for(lambda: told(kwsd, "porch"), "words of the new one")
            assert snapshot(path)["listeners"]["kitchen"]["samples_lost"] == 0
            config_of(tmp_path, other, sinks)
            kwsd.process.send_signal(signal.SIGHUP)
            kwsd.wait_for(lambda: list(snapshot(path)["listeners"]) == ["porch"], "the first one has gone")
            assert kwsd.stop()[0] == 0


def test_a_damaged_recording_ends_its_listener_and_is_told(tmp_path):
    (tmp_path / "broken.flac").write_bytes(DEMO.read_bytes()[:60_000] + bytes(2000) + DEMO.read_bytes()[62_000:])
    config = config_of(
        tmp_path,
        f"  kitchen: {{audio: {{source: {DEMO}}}}}\n  porch: {{audio: {{source: {tmp_path / 'broken.flac'}}}}}\n",
    )
    ended = run("--config", config)
    assert ended.process.returncode == 66
    assert told(ended, "kitchen") == told(run("--source", DEMO))


def test_those_that_have_ended_say_so_while_another_goes_on(tmp_path):
    path = tmp_path / "s"
    (tmp_path / "broken.flac").write_bytes(DEMO.read_bytes()[:60_000] + bytes(2000) + DEMO.read_bytes()[62_000:])
    config = config_of(
        tmp_path,
        "  kitchen: {audio: {source: '-'}}\n"
        f"  porch: {{audio: {{source: {DEMO}}}}}\n"
        f"  shed: {{audio: {{source: {tmp_path / 'broken.flac'}}}}}\n",
        f"sinks: [{{type: socket, path: {path}}}]\n",
    )
    with running("--config", config, stdin=subprocess.PIPE) as kwsd:
        kwsd.process.stdin.write("\0" * 16_000)
        kwsd.process.stdin.flush()
        kwsd.wait_for_log("listening: kitchen")
        kwsd.wait_for_log("shed: ended: ")

        def states():
            return {name: (each["state"], each["reason"]) for name, each in snapshot(path)["listeners"].items()}

        kwsd.wait_for(lambda: states()["porch"] == ("stopping", "the end"), "the recording has ended")
        assert states()["kitchen"][0] == "listening" and snapshot(path)["state"] == "listening"
        assert states()["shed"][0] == "stopping" and "broken.flac" in states()["shed"][1]
        kwsd.process.stdin.close()


def reload(kwsd, config):
    """Sends SIGHUP when the configuration is written; waits until it is taken."""
    count = sum("settings read again" in line for line in kwsd.log)
    kwsd.process.send_signal(signal.SIGHUP)
    kwsd.wait_for(lambda: sum("settings read again" in line for line in list(kwsd.log)) > count, f"{config} is taken")


def test_one_that_has_ended_hinders_no_reload_and_reads_what_a_reload_gives_it(tmp_path):
    samples, rate_hz = soundfile.read(DEMO, dtype="int16")
    for name in ("one.wav", "other.wav"):
        soundfile.write(tmp_path / name, samples[: int(2.4 * rate_hz)], rate_hz)  # one word

    def write(name, only="[stop, go]"):
        porch = f"  porch: {{audio: {{source: {tmp_path / name}}}, only: {only}}}\n"
        sinks = f"sinks: [{{type: stdout}}, {{type: socket, path: {tmp_path / 's'}}}]\n"
        return config_of(tmp_path, "  kitchen: {audio: {source: '-'}}\n" + porch, sinks)

    with running("--config", write("one.wav"), stdin=subprocess.PIPE) as kwsd:
        kwsd.process.stdin.write("\0" * 16_000)
        kwsd.process.stdin.flush()
        kwsd.wait_for_log("listening: kitchen")
        kwsd.wait_for(lambda: snapshot(tmp_path / "s")["listeners"]["porch"]["reason"] == "the end", "it has ended")
        for only in ("[stop]", "[stop, up]"):
            reload(kwsd, write("one.wav", only))
        reload(kwsd, write("other.wav"))
        kwsd.process.stdin.close()
        assert kwsd.end() == 0
    assert [event["device"] for event in kwsd.events] == ["one.wav", "other.wav"]


def test_one_that_comes_back_is_told_of_as_at_the_start_and_the_totals_are_of_all(tmp_path):
    """A pipe that is there both times, and a damaged recording."""
    (tmp_path / "broken.flac").write_bytes(DEMO.read_bytes()[:60_000] + bytes(2000) + DEMO.read_bytes()[62_000:])
    os.mkfifo(tmp_path / "pipe")
    kitchen = "  kitchen: {audio: {source: '-'}}\n"
    others = (
        f"  porch: {{audio: {{source: {tmp_path / 'pipe'}}}}}\n"
        f"  shed: {{audio: {{source: {tmp_path / 'broken.flac'}}}}}\n"
    )
    config, path = config_of(tmp_path, kitchen + others), tmp_path / "pipe"
    with path.open("r+b", buffering=0) as pipe, running("--config", config, stdin=subprocess.PIPE) as kwsd:

        def hears_both(times):
            pipe.write(bytes(2 * 16_000))
            for text in ("porch: kwsd-default", "shed: ended: "):
                kwsd.wait_for(lambda text=text: sum(text in line for line in list(kwsd.log)) == times, text)

        hears_both(1)
        for listeners in (kitchen, kitchen + others):
            config_of(tmp_path, listeners)
            reload(kwsd, config)
        hears_both(2)
        kwsd.process.stdin.close()
        pipe.close()
        assert kwsd.end() == 66
    [heard] = [line for line in kwsd.log if "heard " in line]
    [of_one] = [line for line in run("--source", tmp_path / "broken.flac").log if "heard " in line]
    assert float(heard.split()[2]) == pytest.approx(2 * (1 + float(of_one.split()[2])), abs=0.1)


def test_faults_name_their_lines(tmp_path):
    config = config_of(
        tmp_path,
        "  kitchen:\n    only: [sotp]\n    audio: {gain: 3}\n  a room: {model: default}\n  porch: {sinks: []}\n",
        "model: tiny\nrecognize: {mode: rearm}\n",
    )
    log = [line.removeprefix(f"{config}:").partition("; ")[0] for line in run("check-config", config).log]
    assert log == [
        "4: key 'gain': unknown",
        "5: key 'a room': got 'a room'",
        "6: key 'sinks': unknown",
        "7: key 'model': cannot be combined with 'listeners'",
        "8: key 'recognize': cannot be combined with 'listeners'",
    ]
    config_of(tmp_path, "  kitchen:\n    only: [sotp]\n  porch:\n    model: [default, tiny]\n")
    log = run("check-config", config).log
    assert log[0] == f"{config}:3: key 'only': the model has no word 'sotp'; the nearest is 'stop'"
    assert log[1].startswith(f"{config}:5: key 'model': kwsd-default and kwsd-tiny both report")
    config_of(tmp_path, "")
    assert run("check-config", config).process.returncode == 0


def test_standard_input_has_one_reader(tmp_path):
    listeners = "".join(f"  {room}:\n    audio: {{source: '-'}}\n" for room in ("attic", "kitchen", "porch"))
    config = config_of(tmp_path, listeners)
    fault = "key 'source': got '-', which attic reads already; standard input has one reader"
    assert run("check-config", config).log == [f"{config}:{line}: {fault}" for line in (5, 7)]
    assert run("--config", config).process.returncode == 78


def test_standard_input_is_not_opened_in_the_midst_of_a_recording(tmp_path):
    """The rest of a WAV would be taken for raw samples: whether its listener gets another name, or comes back."""
    soundfile.write(tmp_path / "demo.wav", *soundfile.read(DEMO, dtype="int16"))
    wav = (tmp_path / "demo.wav").read_bytes()
    os.mkfifo(tmp_path / "pipe")
    porch = f"  porch: {{audio: {{source: {tmp_path / 'pipe'}}}}}\n"
    kitchen = "  kitchen: {audio: {source: '-'}}\n"
    config = config_of(tmp_path, kitchen + porch)
    with (tmp_path / "pipe").open("r+b", buffering=0), running("--config", config, stdin=subprocess.PIPE) as kwsd:

        def refused(listeners, times):
            config_of(tmp_path, listeners)
            kwsd.process.send_signal(signal.SIGHUP)
            line = "previous settings: listener attic: source '-': standard input has been read from already"
            kwsd.wait_for(lambda: sum(line in each for each in list(kwsd.log)) == times, "it is refused")

        kwsd.process.stdin.buffer.write(wav[:100_000])
        kwsd.process.stdin.flush()
        kwsd.wait_for_log("listening: kitchen")
        attic = kitchen.replace("kitchen", "attic")
        refused(attic + porch, 1)
        kwsd.process.stdin.buffer.write(wav[100_000:])
        kwsd.process.stdin.flush()
        kwsd.wait_for(lambda: len(told(kwsd, "kitchen")) > 5, "the words of the rest")
        config_of(tmp_path, porch)
        reload(kwsd, config)
        refused(attic + porch, 2)
        kwsd.process.stdin.close()
        assert kwsd.stop()[0] == 0


def test_check_config_prints_what_it_takes(tmp_path):
    config = config_of(tmp_path, f"  kitchen: {{only: [stop]}}\n  porch: {{audio: {{source: {DEMO}}}}}\n")
    printed = run("check-config", config)
    assert printed.process.returncode == 0
    again = tmp_path / "again.yaml"
    again.write_text("\n".join(printed.lines))
    assert run("check-config", again).lines == printed.lines


def test_a_flag_for_one_listener_is_wrong_use(tmp_path):
    config = config_of(tmp_path, "  kitchen: {only: [stop]}\n")
    ended = run("--config", config, "--model", "tiny")
    assert ended.process.returncode == 2
    assert ended.log == ["kwsd: --model: the configuration names listeners. Set it there, for each listener."]
