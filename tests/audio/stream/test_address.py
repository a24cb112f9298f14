"""An address is taken apart once, and shows nothing that may be secret."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwsd.audio.stream.address import SourcePlace, StreamAddress

NAMES = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=4, max_size=20)


@given(user=NAMES, password=NAMES, path=NAMES, query=NAMES)
def test_what_may_be_secret_is_never_shown(user, password, path, query):
    address = StreamAddress.parse(f"RTSP://x{user}:x{password}@camera.lan:8554/x{path}?x={query}")
    assert str(address) == repr(address) == f"{address}" == "rtsp://camera.lan:8554"
    assert address.text.endswith(query)


@pytest.mark.parametrize(
    "text", ["http://", "://camera", "http://a b", "http://a\nfile 'b'", "http://[1", "http://a:b/"]
)
def test_what_is_no_address_is_refused_without_showing_it(text):
    with pytest.raises(ValueError) as refused:
        SourcePlace().read(text)
    assert text not in str(refused.value)


def test_anything_else_is_a_file():
    assert SourcePlace().read("~/a.wav") == "~/a.wav"  # of a flag: the shell has expanded what it would
    assert SourcePlace().accept("/tmp/a.wav") == "/tmp/a.wav"
    assert SourcePlace().read("-") == "-"
