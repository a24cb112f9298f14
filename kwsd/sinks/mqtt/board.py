"""What a broker should hold of kwsd (retained messages), and what of it is still to be sent. Pure: no I/O, no clock."""


class Board:
    """Retained messages by their topics; of one topic only the newest counts.

    Attributes:
        due: what the broker has not been sent yet, oldest first.
    """

    def __init__(self) -> None:
        self._held: dict[str, bytes] = {}
        self.due: dict[str, bytes] = {}

    def hold(self, topic: str, payload: bytes) -> None:
        """Has the broker hold this, if it does not already."""
        if self._held.get(topic) != payload:
            self._held[topic] = self.due[topic] = payload

    def show(self, topic: str, payload: bytes) -> None:
        """Sends this once more, whatever the broker holds; not repeated by `all_again`."""
        self.due[topic] = payload

    def clear(self, topic: str) -> None:
        """Has the broker forget what it holds."""
        if self._held.pop(topic, None) is not None:
            self.due[topic] = b""

    def all_again(self) -> None:
        """For a broker, or a reader, that may have forgotten everything."""
        self.due = {**self._held, **{topic: payload for topic, payload in self.due.items() if not payload}}

    def take(self) -> tuple[str, bytes]:
        """The next of what is due."""
        topic = next(iter(self.due))
        return topic, self.due.pop(topic)
