"""The messages of kwsd that a broker should retain, and which of them are still to be sent. Pure: no I/O, no clock."""


class Board:
    """Retained messages by topic; only the newest of a topic counts.

    Attributes:
        due: messages not sent yet, oldest first.
    """

    def __init__(self) -> None:
        self._held: dict[str, bytes] = {}
        self.due: dict[str, bytes] = {}

    def hold(self, topic: str, payload: bytes) -> None:
        """Makes the broker retain this, if it does not already."""
        if self._held.get(topic) != payload:
            self._held[topic] = self.due[topic] = payload

    def show(self, topic: str, payload: bytes) -> None:
        """Sends this once more, regardless of what the broker holds; not repeated by `all_again`."""
        self.due[topic] = payload

    def clear(self, topic: str) -> None:
        """Makes the broker delete what it holds."""
        if self._held.pop(topic, None) is not None:
            self.due[topic] = b""

    def all_again(self) -> None:
        """Sends everything again, for a broker or a reader that may have lost it."""
        self.due = {**self._held, **{topic: payload for topic, payload in self.due.items() if not payload}}

    def take(self) -> tuple[str, bytes]:
        """The next due message."""
        topic = next(iter(self.due))
        return topic, self.due.pop(topic)
