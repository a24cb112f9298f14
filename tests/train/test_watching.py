"""What a run shows while it goes on: the bar, TensorBoard's numbers, the end at the first number that is none."""

import io
import logging
import re

import pytest
from kwsd_train.cli import main
from kwsd_train.training.progress import Progress, log_to
from kwsd_train.training.summaries import Summaries

from kwsd.errors import OutputError


class Terminal(io.StringIO):
    """A stream that a person watches."""

    def isatty(self):
        return True


def log(progress, text):
    progress.emit(logging.makeLogRecord({"msg": text}))


def test_on_a_terminal_the_bar_stays_below_the_log():
    stream = Terminal()
    progress = Progress(stream)
    progress.step(100, 400)
    log(progress, "Step #101")
    bar = "[#######                       ] 100/400"
    assert stream.getvalue() == f"{bar}\r\x1b[KStep #101\n{bar}"
    progress.step(200, 400)
    assert "200/400, 0:0" in stream.getvalue()
    assert stream.getvalue().endswith(" left")
    progress.end()
    assert stream.getvalue().endswith("\r\x1b[K")


def test_elsewhere_there_are_lines_only():
    stream = io.StringIO()
    progress = Progress(stream)
    progress.step(1, 4)
    log(progress, "Step #1")
    progress.end()
    assert stream.getvalue() == "Step #1\n"


@pytest.mark.parametrize(("times", "beginning"), [(True, r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d "), (False, "")])
def test_an_entry_begins_with_the_time_unless_it_is_turned_off(times, beginning):
    stream = io.StringIO()
    progress = log_to(stream, times=times)
    progress.setStream(stream)
    log(progress, "Step #1: rate\n of it")
    assert re.fullmatch(beginning + "Step #1: rate\n of it\n", stream.getvalue())


class TestWithTensorFlow:
    """What needs TensorFlow."""

    @pytest.fixture(autouse=True)
    def _tensorflow(self):
        pytest.importorskip("tensorflow", reason="TensorFlow is not installed (pip install 'kwsd[train]')")

    def test_tensorboard_finds_the_scalars_of_each_step(self, tmp_path):
        import tensorflow as tf

        summaries = Summaries(tmp_path)
        summaries.write("train", 1, accuracy=0.25, cross_entropy=2.5)
        summaries.write("train", 2, accuracy=0.5, cross_entropy=1.5)
        summaries.write("validation", 2, accuracy=0.75)
        summaries.close()
        found = {}
        for kind in ("train", "validation"):
            (file,) = (tmp_path / kind).iterdir()
            for record in tf.data.TFRecordDataset(str(file)):
                event = tf.compat.v1.Event.FromString(record.numpy())
                for value in event.summary.value:
                    assert value.metadata.plugin_data.plugin_name == "scalars"
                    found[kind, value.tag, event.step] = float(tf.make_ndarray(value.tensor))
        assert found == {
            ("train", "eval/accuracy", 1): 0.25,
            ("train", "eval/cross_entropy", 1): 2.5,
            ("train", "eval/accuracy", 2): 0.5,
            ("train", "eval/cross_entropy", 2): 1.5,
            ("validation", "eval/accuracy", 2): 0.75,
        }

    def test_a_folder_for_summaries_that_cannot_be_made_is_told(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(OutputError, match="--summaries_dir"):
            Summaries(tmp_path / "file").write("train", 1, accuracy=0.5)

    def test_a_run_that_diverges_ends_with_check_nans(self, data_dir, tmp_path, capsys):
        """And writes no checkpoint of it; its summaries are there."""
        flags = ["--data_dir", str(data_dir), "--cache_dir", str(tmp_path / "cache"), "--wanted_words", "up,down"]
        flags += ["--model_architecture", "single_fc", "--how_many_training_steps", "9", "--learning_rate", "1e38"]
        flags += ["--workers", "0", "--batch_size", "4", "--train_dir", str(tmp_path), "--save_step_interval", "100"]
        assert main(["train", *flags, "--check_nans", "--summaries_dir", str(tmp_path / "events")]) == 70
        last = capsys.readouterr().err.splitlines()[-1]
        assert (
            last.startswith("kwsd-train: step ") and "the loss is not a finite number. Lower --learning_rate." in last
        )
        assert not list(tmp_path.glob("*.ckpt-*"))
        assert list((tmp_path / "events" / "train").iterdir())
