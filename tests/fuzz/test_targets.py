"""Damaged input is refused in words: no crash, no hang, no traceback, no warning.

The parsers and what each must keep to are in targets.py; `make fuzz` feeds them for longer, guided by coverage.
"""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, check

FOUND = Path(__file__).with_name("found")


def damaged(seed: bytes, edits: list[tuple[float, int, bytes]], length: float) -> bytes:
    """The seed with pieces of it replaced, and cut to a share of its length."""
    for at, cut, new in edits:
        start = int(at * len(seed))
        seed = seed[:start] + new + seed[start + cut :]
    return seed[: max(1, int(length * len(seed)))]


@pytest.mark.parametrize("name", TARGETS)
def test_sound_input_is_taken(name):
    for seed in TARGETS[name].seeds():
        check(name, seed)


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_input_is_taken_or_refused_in_words(name):
    """Seeds with up to eight edits, cut anywhere."""
    target = TARGETS[name]
    pieces = st.binary(max_size=4) | st.sampled_from(target.words or (b"\0",)) | st.binary(min_size=8, max_size=64)
    edits = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40), pieces), max_size=8)

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(st.sampled_from(target.seeds()), edits, st.just(1.0) | st.floats(0, 1))
    def feed(seed, changes, length):
        check(name, damaged(seed, changes, length))

    feed()


@pytest.mark.parametrize("name", TARGETS)
def test_noise_is_taken_or_refused_in_words(name):
    @settings(max_examples=50, deadline=None)
    @given(st.binary(max_size=300))
    def feed(data):
        check(name, data)

    feed()
