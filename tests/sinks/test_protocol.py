"""The socket's conversation as a pure object: what goes in, and what comes out."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kwsd.daemon.control import Control
from kwsd.sinks.socket.protocol import (
    ERRORS_MAX,
    LINE_MAX_BYTES,
    QUEUE_MAX_BYTES,
    QUEUE_MAX_LINES,
    Conversation,
    Responder,
)

LABELS = ["_silence_", "_unknown_", "stop", "go"]
PRESENT = {"type": "status", "state": "waiting"}
RESPONDER = Responder(
    hello=lambda: {"labels": LABELS},
    snapshot=lambda: {"state": "listening"},
    status=lambda: PRESENT,
    report=lambda: {"type": "report", "hours": 2.5},
    control=Control(lambda: ["stop", "go"], lambda: ["stop", "go"], lambda: None).ask,
)


def converse(responder=RESPONDER):
    """A conversation that is past its greeting."""
    conversation = Conversation(responder)
    assert take(conversation) == [{"type": "hello", "protocol": 1, "labels": LABELS}]
    return conversation


ONE_KEY = "a request is an object with one key, one of arm, disarm, get, pause, ping, resume, subscribe"


def take(conversation, piece=1 << 20):
    """All that is to be sent, in pieces of that size, as messages."""
    data = b""
    while chunk := conversation.outgoing():
        data += chunk[:piece]
        conversation.sent(min(piece, len(chunk)))
    assert data == b"" or data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()]


def answers(request):
    conversation = converse()
    conversation.receive(request + b"\n")
    return take(conversation)


def event(number, label="stop"):
    return "detection", label, b'{"n":%d}\n' % number


@pytest.mark.parametrize(
    "value", ["1", '"x"', "null", "true", "[1,2]", '{"a":[1.5]}', '"größer"', '"\\ud800"', "12345678901234567890"]
)
def test_a_ping_comes_back_as_it_was(value):
    assert answers(b'{"ping":%s}' % value.encode()) == [{"type": "pong", "ping": json.loads(value)}]


def test_the_snapshot_is_got_by_status():
    assert answers(b' { "get" : "status" } \r') == [{"type": "snapshot", "state": "listening"}]


@pytest.mark.parametrize(
    ("wishes", "told"),
    [
        (b'{"types":["status"]}', [PRESENT]),
        (b'{"labels":["go"],"types":["detection","status"]}', [PRESENT]),
        (b'{"types":["detection"]}', []),
        (b"{}", []),
        (b'{"labels":["went"],"types":["status"]}', [{"type": "error"}]),
    ],
)
def test_who_asks_for_status_is_told_the_present_state_at_once(wishes, told):
    answered = answers(b'{"subscribe":' + wishes + b"}")
    assert [{key: value for key, value in answer.items() if key != "message"} for answer in answered] == told


@pytest.mark.parametrize(
    ("request_line", "message"),
    [
        (b"", "this is not JSON: Expecting value: line 1 column 1 (char 0)"),
        (b"hello", "this is not JSON: Expecting value: line 1 column 1 (char 0)"),
        (b"\xff\xfe", "this is not UTF-8"),
        (b'{"ping":NaN}', "this is not JSON: NaN is not a JSON value"),
        (b'{"ping":1e999}', "this is not JSON: the number 1e999 is too large"),
        (b"[]", ONE_KEY),
        (b"{}", ONE_KEY),
        (b'{"ping":1,"get":"status"}', ONE_KEY),
        (b'{"shutdown":1}', ONE_KEY),
        (b'{"get":"secrets"}', '"status" and "report" can be got, not "secrets"'),
        (b'{"subscribe":[]}', 'subscribe takes an object with "labels" and "types", not []'),
        (b'{"subscribe":{"words":[1]}}', 'subscribe takes an object with "labels" and "types", not {"words": [1]}'),
        (b'{"subscribe":{"labels":"go"}}', '"labels" is a list of texts, not "go"'),
        (b'{"subscribe":{"labels":[1]}}', '"labels" is a list of texts, not [1]'),
        (b'{"subscribe":{"labels":["went"]}}', '"labels": "went" is not one of _silence_, _unknown_, stop, go'),
        (b'{"subscribe":{"types":["pong"]}}', '"types": "pong" is not one of detection, status, scores, peaks'),
    ],
)  # fmt: skip
def test_what_is_no_request_is_told_what_is_wrong(request_line, message):
    assert answers(request_line) == [{"type": "error", "message": message}]


def test_what_is_nested_as_deeply_as_a_line_can_be_is_an_error_or_comes_back():
    """How deep Python's own JSON goes differs between versions."""
    deep = b"[" * 2000 + b"]" * 2000
    [answer] = answers(b'{"ping":' + deep + b"}")
    assert answer["type"] in ("pong", "error")
    [answer] = answers(deep)
    assert answer["type"] == "error"


def test_without_a_subscription_all_detections_and_status_come():
    conversation = converse()
    conversation.offer(*event(1))
    conversation.offer("status", None, b'{"n":2}\n')
    conversation.offer("scores", None, b'{"n":3}\n')
    assert take(conversation) == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize(
    ("wishes", "numbers"),
    [
        ({}, [1, 2, 3]),
        ({"labels": ["go"]}, [2, 3]),
        ({"labels": []}, [3]),
        ({"types": ["scores"]}, [4]),
        ({"labels": ["stop"], "types": ["detection", "scores"]}, [1, 4]),
        ({"types": []}, []),
    ],
)
def test_a_subscription_chooses_labels_and_types(wishes, numbers):
    conversation = converse()
    conversation.receive(json.dumps({"subscribe": wishes}).encode() + b"\n")
    conversation.offer(*event(1, "stop"))
    conversation.offer(*event(2, "go"))
    conversation.offer("status", None, b'{"n":3}\n')
    conversation.offer("scores", None, b'{"n":4}\n')
    assert [message["n"] for message in take(conversation)] == numbers


def test_a_wrong_subscription_leaves_the_last_one_as_it_was():
    conversation = converse()
    conversation.receive(b'{"subscribe":{"labels":["go"]}}\n{"subscribe":{"types":["scores"],"labels":["went"]}}\n')
    assert [message["type"] for message in take(conversation)] == ["error"]
    conversation.offer(*event(1, "stop"))
    conversation.offer(*event(2, "go"))
    assert take(conversation) == [{"n": 2}]


def test_the_longest_line_is_taken_and_a_longer_one_ends_it():
    longest = b'{"ping":"' + b"x" * (LINE_MAX_BYTES - 11) + b'"}'
    assert len(longest) == LINE_MAX_BYTES
    assert answers(longest)[0]["type"] == "pong"
    conversation = converse()
    conversation.receive(b'{"ping":1}\n' + longest + b' \n{"ping":2}\n')
    assert take(conversation) == [
        {"type": "pong", "ping": 1},
        {"type": "error", "message": "the line is longer than 4096 bytes; closing"},
    ]
    assert conversation.closing


def test_a_line_without_end_is_not_waited_for():
    conversation = converse()
    conversation.receive(b"x" * LINE_MAX_BYTES)
    assert not conversation.closing
    conversation.receive(b"x")
    assert conversation.closing


def test_the_sixteenth_error_ends_it():
    conversation = converse()
    conversation.receive(b"x\n" * (ERRORS_MAX - 1) + b'{"ping":1}\n')
    assert len(take(conversation)) == ERRORS_MAX
    assert not conversation.closing
    conversation.receive(b'x\n{"ping":2}\n')
    assert take(conversation)[-1]["message"].endswith("closing after 16 errors")
    assert conversation.closing
    conversation.receive(b'{"ping":3}\n')
    conversation.offer(*event(1))
    assert take(conversation) == []


def test_a_client_that_does_not_read_loses_the_oldest_and_is_told_how_many():
    conversation = converse()
    for number in range(QUEUE_MAX_LINES + 10):
        conversation.offer(*event(number))
    conversation.receive(b'{"ping":1}\n')
    assert (conversation.waiting, conversation.dropped) == (QUEUE_MAX_LINES - 1, 11)
    messages = take(conversation)
    assert messages[0] == {"type": "dropped", "count": 11}
    assert [message["n"] for message in messages[1:-1]] == list(range(11, QUEUE_MAX_LINES + 10))
    assert messages[-1] == {"type": "pong", "ping": 1}
    assert (conversation.waiting, conversation.delivered) == (0, QUEUE_MAX_LINES - 1)
    conversation.offer(*event(999))
    assert take(conversation) == [{"n": 999}]


@pytest.mark.parametrize("text", ["x" * 4000, "😀\\ud800" * 400], ids=["plain", "escaped"])
def test_a_queue_of_long_lines_is_bounded_in_bytes(text):
    """256 lines of a client's own pings would be megabytes."""
    conversation = converse()
    ping = b'{"ping":"' + text.encode() + b'"}'
    assert len(ping) <= LINE_MAX_BYTES
    for number in range(QUEUE_MAX_LINES):
        conversation.receive(ping + b'\n{"ping":%d}\n' % number)
    data = b""
    while chunk := conversation.outgoing():
        data += chunk
        conversation.sent(len(chunk))
    assert QUEUE_MAX_BYTES / 2 < len(data) < QUEUE_MAX_BYTES + 100
    dropped, *pongs = [json.loads(line) for line in data.splitlines()]
    assert dropped == {"type": "dropped", "count": 2 * QUEUE_MAX_LINES - len(pongs)}
    assert pongs[-1] == {"type": "pong", "ping": QUEUE_MAX_LINES - 1}


def test_a_single_line_longer_than_the_queue_is_sent_all_the_same():
    conversation = converse()
    conversation.offer(*event(1))
    conversation.offer("status", None, b'{"n":"%s"}\n' % (b"x" * QUEUE_MAX_BYTES))
    assert [len(str(message)) > QUEUE_MAX_BYTES for message in take(conversation)] == [False, True]


def test_requests_are_answered_as_many_at_a_time_as_is_asked_for():
    conversation = converse()
    conversation.receive(b'{"ping":1}\n' * 5 + b'{"ping"', requests_max=2)
    for answered, behind in ((2, True), (2, True), (1, False), (0, False)):
        assert (len(take(conversation)), conversation.behind) == (answered, behind)
        conversation.receive(b"", requests_max=2)
    conversation.receive(b":2}\n" + b"x" * 5000 + b"\n", requests_max=1)
    assert (take(conversation), conversation.behind) == ([{"type": "pong", "ping": 2}], True)
    conversation.receive(b"", requests_max=1)
    assert (take(conversation)[0]["type"], conversation.behind, conversation.closing) == ("error", False, True)


def test_a_line_begun_is_never_dropped():
    conversation = converse()
    conversation.offer(*event(0))
    conversation.sent(3)
    for number in range(1, QUEUE_MAX_LINES + 3):
        conversation.offer(*event(number))
    rest = b""
    while not rest.endswith(b"\n"):
        rest += conversation.outgoing()
        conversation.sent(len(conversation.outgoing()))
    assert rest == b'{"n":0}\n'[3:]
    assert take(conversation)[:2] == [{"type": "dropped", "count": 2}, {"n": 3}]


@given(st.lists(st.integers(1, 40)), st.integers(1, 9))
def test_pieces_of_any_size_make_the_same_conversation(cuts, piece):
    data = b'{"ping":1}\n{"get":"status"}\nnonsense\n{"subscribe":{"labels":["go"]}}\n{"ping":2}\n'
    conversation = converse()
    rest = data
    messages = []
    for cut in cuts:
        conversation.receive(rest[:cut])
        rest = rest[cut:]
        messages += take(conversation, piece)
    conversation.receive(rest)
    messages += take(conversation, piece)
    assert [message["type"] for message in messages] == ["pong", "snapshot", "error", "pong"]
    assert conversation.labels == {"go"}


@given(st.lists(st.binary(max_size=6000), max_size=20))
def test_garbage_gets_errors_and_breaks_nothing(pieces):
    """Every line is answered by one line, until the conversation ends."""
    conversation = converse()
    for piece in pieces:
        conversation.receive(piece)
    messages = take(conversation)
    assert {message["type"] for message in messages} <= {"error", "pong", "snapshot"}
    assert len(messages) <= ERRORS_MAX
    if not conversation.closing:
        assert len(messages) == b"".join(pieces).count(b"\n")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["subscribe", "get", "ping", "x"]), JSON, max_size=2) | JSON)
def test_any_json_is_answered_or_taken(request):
    conversation = converse()
    line = json.dumps(request).encode()
    conversation.receive(line + b"\n" + b'{"ping":"after"}\n')
    messages = take(conversation)
    if len(line) <= LINE_MAX_BYTES:
        assert messages[-1] == {"type": "pong", "ping": "after"}
        assert len(messages) == (1 if isinstance(request, dict) and set(request) == {"subscribe"} and
                                 messages[0]["type"] == "pong" else 2)  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ({"pause": {}}, {"type": "done", "did": "pause"}),
        ({"pause": {"for_s": 1800}}, {"type": "done", "did": "pause"}),
        ({"resume": {}}, {"type": "done", "did": "resume"}),
        ({"arm": {"labels": ["stop"], "for_s": 60, "threshold": 0.45}}, {"type": "done", "did": "arm"}),
        ({"disarm": {}}, {"type": "done", "did": "disarm"}),
        ({"get": "report"}, {"type": "report", "hours": 2.5}),
    ],
)
def test_control_is_answered(request_, answer):
    conversation = converse()
    conversation.receive(json.dumps(request_).encode() + b"\n")
    assert take(conversation) == [answer]


def test_peaks_go_to_those_who_subscribe_to_them():
    conversation = converse()
    conversation.offer("peak", "stop", b"{}\n")
    assert take(conversation) == []
    conversation.receive(b'{"subscribe":{"types":["peaks"],"labels":["stop"]}}\n')
    conversation.offer("peak", "stop", b'{"n":1}\n')
    conversation.offer("peak", "go", b'{"n":2}\n')
    assert take(conversation) == [{"n": 1}]
