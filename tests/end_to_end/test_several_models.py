"""Several models on one source: each hears what it hears alone."""

import signal

import pytest

from tests.helpers.kwsd_process import DEMO, run, running

TWO = "model: [{{model: {0}, only: [stop, go, up, down]}}, {{model: {1}, only: [yes, no, left, right]}}]\n"


def told(kwsd):
    return [(event["label"], event["audio_ms"], event["score"], event["model"]) for event in kwsd.events]


@pytest.mark.parametrize(("first", "second"), [("default", "tiny"), ("default", "default-float32")])
def test_each_hears_what_it_hears_alone(tmp_path, first, second):
    config = tmp_path / "kwsd.yaml"
    config.write_text(TWO.format(first, second))
    alone = [
        *told(run("--model", first, "--only", "stop,go,up,down", "--source", DEMO)),
        *told(run("--model", second, "--only", "yes,no,left,right", "--source", DEMO)),
    ]
    together = run("--config", config, "--source", DEMO)
    assert len(alone) > 5
    assert sorted(told(together)) == sorted(alone)
    times = [event["audio_ms"] for event in together.events]
    assert times == sorted(times)
    assert [event["seq"] for event in together.events] == list(range(1, len(alone) + 1))


def test_two_models_with_one_word_are_refused(tmp_path):
    refused = run("--model", "default", "--model", "tiny", "--source", DEMO)
    assert refused.process.returncode == 78
    (line,) = refused.log
    assert line.startswith("kwsd: --model: kwsd-default and kwsd-tiny both report down, go, left,")
    config = tmp_path / "kwsd.yaml"
    config.write_text("only: [stop, go]\nmodel:\n- default\n- {model: tiny, only: [yes, go, sotp]}\n")
    checked = run("check-config", config)
    assert checked.process.returncode == 78
    assert checked.log == [
        f"{config}:4: key 'only': the model has no word 'sotp'; the nearest is 'stop'",
        f"{config}:4: key 'model': kwsd-default and kwsd-tiny both report go; leave them out of `only` of one, as in "
        "[default, {model: own.tflite, only: [lumos]}]",
    ]


def test_a_list_is_checked_like_all_else(tmp_path):
    config = tmp_path / "kwsd.yaml"
    config.write_text("model:\n- {modell: a}\n- 3\n- {model: default, only: []}\n")
    log = run("check-config", config).log
    assert [line.removeprefix(f"{config}:").partition(";")[0] for line in log] == [
        "2: key 'model': required",
        "2: key 'modell': unknown",
        "3: key 'model': got 3, which needs quotes to be text",
        "4: key 'only': got an empty list",
    ]
    config.write_text("model: []\n")
    assert "got an empty list" in run("check-config", config).log[0]


def test_check_config_prints_what_it_takes(tmp_path):
    config = tmp_path / "kwsd.yaml"
    config.write_text(TWO.format("default", "tiny"))
    printed = run("check-config", config)
    assert printed.process.returncode == 0
    again = tmp_path / "again.yaml"
    again.write_text("\n".join(printed.lines))
    assert run("check-config", again).lines == printed.lines


def test_a_reload_adds_a_model_and_losses_are_counted(tmp_path):
    config, path = tmp_path / "kwsd.yaml", tmp_path / "s"
    sinks = f"sinks: [{{type: stdout}}, {{type: socket, path: {path}}}]\n"
    config.write_text("only: [stop, go, up, down]\n" + sinks)
    with running("--config", config, "--source", DEMO, "--realtime") as kwsd:
        kwsd.wait_for_log("kwsd-default")
        config.write_text(TWO.format("default", "tiny") + sinks)
        kwsd.process.send_signal(signal.SIGHUP)
        kwsd.wait_for_log("settings read again")
        kwsd.wait_for(lambda: {event["model"] for event in kwsd.events} == {"kwsd-default", "kwsd-tiny"}, "both")
        config.write_text("model: [default, tiny]\n" + sinks)
        kwsd.process.send_signal(signal.SIGHUP)
        kwsd.wait_for_log("reload rejected; keeping previous settings")
        status = run("status", "--json", "--socket", path)
        assert '"models":["kwsd-default","kwsd-tiny"]' in "".join(status.lines).replace(" ", "")
