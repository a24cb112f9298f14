"""Flags: each is tried at the ends of its range and past them, and together they train, or are told in one line."""

import argparse
import importlib
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kwsd_train.batches.examples import Examples
from kwsd_train.batches.training_data import load_data
from kwsd_train.cli import COMMANDS, main
from kwsd_train.flags import flag as flags
from kwsd_train.flags import options
from kwsd_train.flags import table as flag_table
from kwsd_train.flags.flag import Boolean, Flag, FromTo, Several

from kwsd.cli.parser import Parser
from kwsd.errors import KwsdError
from kwsd.validation.kinds import Choice, Number, Text, Whole

TABLES = {
    name: rows
    for name, rows in vars(flag_table).items()
    if isinstance(rows, tuple) and rows and all(isinstance(row, Flag) for row in rows)
}
ROWS = [
    pytest.param(row, id=f"{name}.{row.name}")
    for name, rows in TABLES.items()
    if name not in ("TRAIN", "DATA")
    for row in rows
]
NO_NUMBERS = ["", "x", "nan", "inf", "-inf", "1,5", "0x", "9" * 5000]


def ends(kind):
    """Texts at the ends of a range."""
    if isinstance(kind, FromTo):
        low, high = ends(kind.of)
        return [(low, low), (low, high), (high, high)]
    if isinstance(kind, Several):
        low, high = ends(kind.of)
        return [low, f"{low},{high}", f"{high},{high},{low}"]
    if isinstance(kind, Choice):
        return list(kind.words)
    if isinstance(kind, Boolean):
        return ["true", "False"]
    return [repr(kind.least), repr(kind.most)] if isinstance(kind, Whole | Number) else ["a", "yes,no"]


def past_the_ends(kind):
    """Texts just outside, and what is no such value at all."""
    if isinstance(kind, FromTo):
        low, high = ends(kind.of)
        return [(high, low), *((low, bad) for bad in past_the_ends(kind.of) if not bad.startswith("-"))]
    if isinstance(kind, Several):
        return [one for bad in past_the_ends(kind.of) if "," not in bad for one in (bad, f"{ends(kind.of)[0]},{bad}")]
    if isinstance(kind, Whole):
        return [str(kind.least - 1), str(kind.most + 1), "1.5", *NO_NUMBERS]
    if isinstance(kind, Number):
        below, above = math.nextafter(kind.least, -math.inf), math.nextafter(kind.most, math.inf)
        return [repr(below), repr(above), *NO_NUMBERS]
    return [" ", "a\nb"] if isinstance(kind, Text) else ["", "x", "1"]


def given_as(row, text):
    return [f"--{row.name}", *text] if isinstance(text, tuple) else [f"--{row.name}={text}"]


def parse(row, text):
    parser = Parser(prog="kwsd-train")
    flags.add(parser, [row])
    return getattr(parser.parse_args(given_as(row, text)), row.name)


@pytest.mark.parametrize("row", ROWS)
def test_the_ends_of_a_range_are_taken_and_what_lies_past_them_is_not(row, capsys):
    for text in ends(row.kind):
        value = parse(row, text)
        said = row.arguments(value)[1:]
        assert parse(row, tuple(said) if isinstance(text, tuple) else said[0]) == value
    for text in past_the_ends(row.kind):
        with pytest.raises(SystemExit) as ended:
            parse(row, text)
        assert ended.value.code == 2, text
        last = capsys.readouterr().err.splitlines()[-1]
        assert f"--{row.name}" in last
        assert "allowed:" in last or "the lower one comes first" in last


@pytest.mark.parametrize("row", ROWS)
def test_help_says_range_unit_and_default(row):
    assert row.kind.allowed in row.help
    assert row.unit in row.help
    assert ("default: " in row.help) == (row.default not in (None, ""))
    if row.default is not None:
        assert f"default: {row.shown(row.default)}".removesuffix("default: ") in row.help
        text = row.arguments(row.default)[1:]
        assert parse(row, tuple(text) if len(text) > 1 else text[0]) == row.default


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_takes_its_numbers_from_the_table(command):
    parser = Parser()
    importlib.import_module(f"kwsd_train.commands.{command.replace('-', '_')}").add_arguments(parser)
    for action in parser._actions:
        if not isinstance(action, argparse._HelpAction):
            assert action.type not in (int, float), action.dest
            assert action.choices is None or action.dest == "shell", action.dest


@pytest.mark.parametrize(
    "wrong",
    [
        *["--sample_rate 0", "--background_volume -1", "--speed_percentage -5", "--mixup -1", "--workers -1"],
        *["--unknown_percentage nan", "--snr_db 30 0", "--gain_db 6 -40", "--time_shift_ms -100", "--learning_rate -1"],
        *["--learning_rate 0.1,-0.1", "--silence_percentage -1", "--weight_decay -0.1", "--background_frequency 2"],
        *["--noise_frequency -1", "--label_smoothing 2", "--average_decay 1.5", "--speech_percentage 120"],
        *["--how_many_training_steps 0", "--batch_size 0", "--feature_bin_count 0", "--upper_hz nan", "--seed -1"],
        *["--validation_percentage 60 --testing_percentage 50", "--preprocess wavelet"],
    ],
)
def test_a_value_that_makes_no_sense_is_told_before_anything_is_done(wrong, tmp_path, capsys):
    """By its name, with code 2, before data are looked for."""
    command = ["train", "--data_dir", str(tmp_path / "nosuch"), "--train_dir", str(tmp_path / "run"), *wrong.split()]
    try:
        code = main(command)
    except SystemExit as ended:
        code = ended.code
    told = capsys.readouterr().err
    assert code == 2, told
    assert wrong.split()[-2 if len(wrong.split()) < 3 else 0] in told.splitlines()[-1]
    assert "Traceback" not in told
    assert not (tmp_path / "run").exists()


def values(kind):
    """Any value of a kind, its ends more often than chance has them."""
    if isinstance(kind, FromTo):
        return st.tuples(values(kind.of), values(kind.of)).map(sorted).map(tuple)
    if isinstance(kind, Choice):
        return st.sampled_from(kind.words)
    if isinstance(kind, Boolean):
        return st.booleans()
    if isinstance(kind, Whole):
        return st.sampled_from([kind.least, kind.most]) | st.integers(kind.least, kind.most)
    return st.sampled_from([kind.least, kind.most]) | st.floats(kind.least, kind.most)


SMALL = {"sample_rate": Whole(1000, 48_000), "clip_duration_ms": Whole(10, 1500), "time_masks": Whole(0, 3)}
"""What would only take long."""
DRAWN = {
    row.name: values(SMALL.get(row.name, row.kind)) | st.just(row.default)
    for row in (*flag_table.FEATURES, *flag_table.DATA, *flag_table.AUGMENTATION)
    if not isinstance(row.kind, Text)
}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.fixed_dictionaries({}, optional=DRAWN))
def test_whatever_is_in_range_makes_a_batch_or_is_told(drawn, data_dir, tmp_path):
    """Features are finite, and targets add up to 1."""
    asked = options.FEATURE_DEFAULTS | options.DATA_DEFAULTS | options.AUGMENT_DEFAULTS
    asked |= {"wanted_words": "up,down", **drawn, "batch_size": 4, "unlabelled_percentage": 0}
    noise = data_dir / "_background_noise_"
    try:
        options.check(asked)
        examples = Examples(load_data(asked, options.Folders(data_dir, noise, noise, noise, tmp_path)), asked)
    except KwsdError as refused:
        assert refused.exit_code in (2, 66)
        return
    rows, targets, _ = examples.batch(1)
    assert np.isfinite(rows).all()
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-5)
