"""JSON values in messages."""

import json
from typing import Any


def shown(value: Any) -> str:
    """A value as the message about it names it: as JSON, cut to 60 characters."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:60]}..."
