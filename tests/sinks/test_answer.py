"""The head of an HTTP answer: the final status decides, and no server can make reading it endless."""

import io

import pytest

from kwsd.sinks.webhook.answer import HEAD_MAX_BYTES, Answer, NoAnswerError, read_answer


def read(data):
    return read_answer(io.BytesIO(data))


@pytest.mark.parametrize("status", [101, 200, 204, 302, 404, 410, 503, 999])
def test_the_status_is_read_and_the_body_is_left(status):
    stream = io.BytesIO(b"HTTP/1.1 %d What\r\nContent-Length: 2\r\n\r\nok" % status)
    assert read_answer(stream) == Answer(status, body_bytes=0 if status == 204 else 2)
    assert stream.read() == b"ok"


def test_the_headers_of_the_final_answer_count_and_not_those_before_it():
    interim = b"HTTP/1.1 102 P\r\nRetry-After: 9\r\nContent-Length: 9\r\n\r\n"
    final = b"HTTP/1.1 503 No\r\nRETRY-AFTER:  7 \r\nDate: Sat, 21 Nov 2026 09:30:00 GMT\r\n\r\n"
    assert read(interim * 3 + final) == Answer(503, "7", "Sat, 21 Nov 2026 09:30:00 GMT", None)


@pytest.mark.parametrize("length", ["", "-1", "1e3", "0x10", "\u00b2", "+5", "1 2"])
def test_a_length_that_is_no_number_says_nothing(length):
    assert read(b"HTTP/1.1 200 OK\r\nContent-Length: " + length.encode("utf-8") + b"\r\n\r\n").body_bytes is None


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 020 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b" HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 -200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 ２00 OK\r\n\r\n".encode(),
        b"x" * (2 * HEAD_MAX_BYTES),
        b"HTTP/1.1 102 P\r\n\r\n200 OK\r\n\r\n",
    ],
)
def test_what_is_no_http_is_told_so(data):
    with pytest.raises(NoAnswerError, match="is not HTTP"):
        read(data)


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 102 P\r\n", b"HTTP/1.1 102 P\r\nX: y\r\n\r\n"])
def test_an_end_before_the_final_status_is_no_answer(data):
    with pytest.raises(NoAnswerError, match="without an answer"):
        read(data)


class Endless:
    """A server that goes on with the same lines for ever; counts what was taken of it."""

    def __init__(self, first, again):
        self.taken, self._lines = 0, [first]
        self._again = again

    def readline(self, limit):
        line = (self._lines.pop() if self._lines else self._again)[:limit]
        self.taken += len(line)
        return line


def test_endless_headers_do_not_unmake_a_status():
    server = Endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n")
    assert read_answer(server) == Answer(200)
    assert server.taken == HEAD_MAX_BYTES


def test_interim_answers_without_end_are_no_answer():
    server = Endless(b"", b"HTTP/1.1 103 Early\r\n")
    with pytest.raises(NoAnswerError):
        read_answer(server)
    assert server.taken <= HEAD_MAX_BYTES


def test_a_connection_that_breaks_inside_the_headers_has_answered():
    class Broken(Endless):
        def readline(self, limit):
            if not self._lines:
                raise ConnectionResetError
            return super().readline(limit)

    assert read_answer(Broken(b"HTTP/1.1 200 OK\r\n", b"")) == Answer(200)
