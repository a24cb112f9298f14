"""The last seconds of a stream, whatever blocks it comes in and whatever it loses."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kwsd.audio.recent import RecentAudio, span_ms

STEPS = st.lists(st.tuples(st.sampled_from(["push", "lose"]), st.integers(0, 40)), max_size=12)


@given(
    capacity=st.integers(1, 30), begin=st.integers(0, 50), steps=STEPS, start=st.integers(-5, 300), n=st.integers(0, 60)
)
def test_a_cut_is_what_the_stream_was_as_far_as_it_is_there(capacity, begin, steps, start, n):
    """Each sample is its own position: a cut is a run of numbers, never across a gap, never older than the ring."""
    recent = RecentAudio(capacity, begin)
    position = kept_from = begin
    for what, count in steps:
        if what == "push":
            recent.push(np.arange(position, position + count, dtype=np.float32))
        else:
            recent.lose(count)
            kept_from = position + count
        position += count
    assert recent.position == position
    first, cut = recent.cut(start, start + n)
    oldest = max(kept_from, position - capacity)
    assert cut.tolist() == [at for at in range(start, start + n) if oldest <= at < position]
    assert not len(cut) or first == cut[0]


def test_a_cut_is_a_copy():
    recent = RecentAudio(4)
    recent.push(np.float32([1, 2, 3, 4]))
    _, cut = recent.cut(0, 4)
    recent.push(np.float32([5, 6, 7, 8]))
    assert cut.tolist() == [1, 2, 3, 4]


@given(audio_ms=st.integers(0, 10**9), before_ms=st.integers(0, 10_000), after_ms=st.integers(0, 10_000))
def test_a_span_is_as_long_as_was_asked_for_and_by_default_the_second_that_decided(audio_ms, before_ms, after_ms):
    start_ms, end_ms = span_ms(audio_ms, before_ms, after_ms)
    assert end_ms - start_ms == before_ms + after_ms
    assert span_ms(audio_ms, 700, 300) == (audio_ms - 1000, audio_ms)
