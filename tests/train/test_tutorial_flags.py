"""Every flag of the tutorial's train.py is there, under its name; those that mean nothing any more say so."""

import re

import pytest
from kwsd_train.cli import main
from kwsd_train.commands import freeze, train
from kwsd_train.flags import table as flag_table

from kwsd.cli.parser import Parser

TUTORIAL = [
    "data_url",
    "data_dir",
    "background_volume",
    "background_frequency",
    "silence_percentage",
    "unknown_percentage",
    "time_shift_ms",
    "testing_percentage",
    "validation_percentage",
    "sample_rate",
    "clip_duration_ms",
    "window_size_ms",
    "window_stride_ms",
    "feature_bin_count",
    "how_many_training_steps",
    "eval_step_interval",
    "learning_rate",
    "batch_size",
    "summaries_dir",
    "wanted_words",
    "train_dir",
    "save_step_interval",
    "start_checkpoint",
    "model_architecture",
    "check_nans",
    "quantize",
    "preprocess",
    "verbosity",
    "optimizer",
]


def test_every_flag_of_the_tutorial_is_there():
    parser = Parser()
    train.add_arguments(parser)
    assert {f"--{name}" for name in TUTORIAL} <= set(re.findall(r"--\w+", parser.format_help()))


def test_freeze_takes_the_data_and_feature_flags_of_train():
    """So that a script can pass the same flags to both."""
    parser = Parser()
    freeze.add_arguments(parser)
    rows = (*flag_table.FEATURES, *flag_table.DATA, *flag_table.AUGMENTATION)
    others = ("data_dir", "data_url", "noise_dir", "speech_dir", "impulse_dir", "cache_dir", "clip_stride_ms")
    assert {f"--{name}" for name in (*(row.name for row in rows), *others)} <= set(
        re.findall(r"--\w+", parser.format_help())
    )


def test_training_in_eight_bits_is_refused_in_one_line(capsys):
    """Real booleans: ``--quantize=False`` is false, unlike the tutorial's."""
    assert main(["train", "--quantize=true", "--data_dir=/nonexistent"]) == 2
    assert "freeze --quantize int8" in capsys.readouterr().err
    assert main(["train", "--quantize=False", "--check_nans", "false", "--data_dir=/nonexistent"]) == 66
    with pytest.raises(SystemExit) as ended:
        main(["train", "--quantize=maybe"])
    assert ended.value.code == 2


def test_a_url_is_fetched_where_there_are_no_words_and_only_there(tmp_path, monkeypatch, capsys):
    """As the tutorial does it; with an empty URL, or words at hand, nothing is fetched."""
    asked = []
    monkeypatch.setattr("kwsd_train.commands.download.run", lambda args: asked.append((args.data_url, args.data_dir)))
    (tmp_path / "empty").mkdir()
    (tmp_path / "full" / "yes").mkdir(parents=True)
    for folder, url in (("empty", ""), ("full", "http://host/a.tar.gz"), ("empty", "http://host/a.tar.gz")):
        assert main(["train", f"--data_url={url}", f"--data_dir={tmp_path / folder}"]) == 66
    assert asked == [("http://host/a.tar.gz", tmp_path / "empty")]
