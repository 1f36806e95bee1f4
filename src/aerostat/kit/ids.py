"""Identifiers, from a source that a seed can replay."""

import uuid
from collections.abc import Callable

IdSource = Callable[[], str]
"""Returns a new identifier: a UUID in its dashed form."""


def new_uuid() -> str:
    """Return a random UUID, dashed, as nova, neutron, glance and placement use it."""
    return str(uuid.uuid4())


def new_hex() -> str:
    """Return a random UUID as 32 hexadecimal digits, as keystone uses it."""
    return uuid.uuid4().hex


def request_id() -> str:
    """Return a new request id. Source: api-guide, x-openstack-request-id."""
    return f"req-{uuid.uuid4()}"


def is_uuid(text: str) -> bool:
    """Tell whether `text` is a UUID, dashed or not."""
    try:
        return uuid.UUID(text).hex == text.replace("-", "").lower()
    except (ValueError, AttributeError):
        return False
