"""The address of a webhook: what is taken, what can never be, and how little is shown of it."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwsd.sinks.webhook.url import Url


@pytest.mark.parametrize(
    ("text", "host", "port", "target", "shown"),
    [
        ("https://example.org/hook", "example.org", 443, "/hook", "https://example.org"),
        ("HTTP://Example.org:8080", "example.org", 8080, "/", "http://example.org:8080"),
        ("http://[::1]:80/a?b=c", "::1", 80, "/a?b=c", "http://[::1]"),
        ("http://[fe80::1%25lo]:81/", "fe80::1%lo", 81, "/", "http://[fe80::1%lo]:81"),
        (
            "http://bücher.example/ü?q=ü%20",
            "xn--bcher-kva.example",
            80,
            "/%C3%BC?q=%C3%BC%20",
            "http://xn--bcher-kva.example",
        ),
        ("http://a_b.local./", "a_b.local.", 80, "/", "http://a_b.local."),
        ("http://127.1/", "127.1", 80, "/", "http://127.1"),
        ("http://" + ".".join(["a" * 63] * 3 + ["a" * 61]), ".".join(["a" * 63] * 3 + ["a" * 61]), 80, "/", None),
    ],
)
def test_urls_are_taken_apart(text, host, port, target, shown):
    url = Url.parse(text)
    assert (url.host, url.port, url.target) == (host, port, target)
    assert shown is None or str(url) == shown


IMPOSSIBLE = [
    "http://a..b/",
    "http://.a/",
    "http://./",
    f"http://{'a' * 64}/",
    f"http://b.{'ü' * 60}.example/",
    "http://" + ".".join(["a" * 63] * 4),
    "http://999.1.1.1/",
    "http://1.2.3.4.5/",
    "http://a%41b/",
    "http://a,b/",
    "http://[v1.a]/",
    "http://[fe80::1%25]/",
    "http://[::1]x/",
    "http://x[::1]/",
]


@pytest.mark.parametrize("text", IMPOSSIBLE)
def test_hosts_that_cannot_exist_are_refused(text):
    with pytest.raises(ValueError, match=r"there can be no such host|host or port cannot be read"):
        Url.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s3cret",
        "ftp://u:s3cret@h/",
        "http://",
        "http:///s3cret",
        "https://s3cret@/",
        "http://h:99999/s3cret",
        "http://h:0/s3cret",
        "http://h:s3cret/",
        "http://[::1/s3cret",
        "http://a b/?s3cret",
        "http://h/\ts3cret",
        "http://h/s3cret#f",
        "http://h/" + "s3cret" * 1000,
        "http://h/\udcffs3cret",
    ],
)
def test_what_is_no_address_is_refused_without_showing_it(text):
    with pytest.raises(ValueError) as caught:
        Url.parse(text)
    assert str(caught.value) and "s3cret" not in str(caught.value)


def test_only_scheme_host_and_port_are_ever_shown():
    url = Url.parse("https://us3r:s3cret@example.org:8443/services/s3cret?token=s3cret")
    assert {str(url), repr(url), f"{url}", f"{url!r}"} == {"https://example.org:8443"}
    assert url == Url.parse("https://us3r:s3cret@example.org:8443/services/s3cret?token=s3cret")
    assert url != Url.parse("https://us3r:s3cret@example.org:8443/services/s3cret?token=other")


@given(st.from_regex(r"\Ahttps?://[a-z0-9.:@\[\]%_-]{1,30}(/[a-z?#]{0,5})?\Z"))
def test_what_is_taken_can_be_looked_up(text):
    """Whatever the look-up says of it, it is never that there can be no such name."""
    try:
        url = Url.parse(text)
    except ValueError:
        return
    try:
        socket.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        url.host.encode("idna")  # a name; what socket does with it before it asks
