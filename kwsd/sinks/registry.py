"""Settings -> sinks. What a sink needs is imported when there is such a sink."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kwsd.config import SocketSettings, StdoutSettings
from kwsd.sinks.bus import Sink

if TYPE_CHECKING:
    from kwsd.config import SinkSettings
    from kwsd.sinks.stdout import OnBroken


def build_sinks(
    settings: "Sequence[SinkSettings]",
    hello: Callable[[], dict[str, Any]],
    snapshot: Callable[[], dict[str, Any]],
    on_broken: "OnBroken",
) -> list[Sink]:
    """Makes the sinks, none of them started.

    Args:
        settings: one for each sink.
        hello: the socket's first line, made anew for each client.
        snapshot: the socket's answer to a client that asks for the status.
        on_broken: told when standard output is the only sink and cannot be written.
    """
    sinks: list[Sink] = []
    for each in settings:
        if isinstance(each, StdoutSettings):
            from kwsd.sinks.stdout import StdoutSink

            sinks.append(StdoutSink(each, on_broken))
        elif isinstance(each, SocketSettings):
            from kwsd.sinks.socket.sink import SocketSink

            sinks.append(SocketSink(each, hello=hello, snapshot=snapshot))
        else:
            from kwsd.sinks.webhook.sink import WebhookSink

            sinks.append(WebhookSink(each))
    return sinks
