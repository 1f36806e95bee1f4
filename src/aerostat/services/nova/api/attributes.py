"""Attributes of servers that a schema alone cannot check; POST, PUT and rebuild share them."""

import base64
import binascii
from ipaddress import ip_address

from aerostat.kit.errors import BadRequest, Forbidden
from aerostat.services.nova.schemas.servers import PersonalityBody


def address_of(given: str | None, field: str, version: int) -> str | None:
    """Return an address as it is stored, None if none is given. Raises: BadRequest."""
    if not given:
        return given
    try:
        found = ip_address(given)
    except ValueError:
        found = None
    if found is None or found.version != version:
        raise BadRequest(
            f"Invalid input for field/attribute {field}. Value: {given}. It is no IPv{version} "
            "address.",
            field=field,
        )
    return str(found)


def disk_config_of(given: str | None) -> str | None:
    """Return how the disk is partitioned. Raises: BadRequest."""
    if given not in (None, "AUTO", "MANUAL"):
        raise BadRequest(
            "Invalid input for field/attribute OS-DCF:diskConfig. It is AUTO or MANUAL.",
            field="OS-DCF:diskConfig",
        )
    return given


def blank(field: str) -> str:
    """Raises: BadRequest."""
    raise BadRequest(f"Invalid input for field/attribute {field}. It is blank.", field=field)


def user_data_of(text: str | None) -> str | None:
    """Return user data in base64. Raises: BadRequest."""
    if text is None:
        return None
    if len(text) > 65535:
        raise BadRequest("User data is too large: 65535 characters at most.", field="user_data")
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error as why:
        raise BadRequest(
            "Invalid input for field/attribute user_data. It is not base64.", field="user_data"
        ) from why
    return text


def personality_of(files: list[PersonalityBody] | None) -> list[dict[str, str]]:
    """Return the files to put into a guest. Raises: BadRequest, Forbidden."""
    out = []
    for file in files or ():
        try:
            base64.b64decode(file.contents, validate=True)
        except binascii.Error as why:
            raise BadRequest(
                f"Personality content for {file.path} cannot be decoded", field="personality"
            ) from why
        if len(file.path) > 255 or len(file.contents) > 10240 * 4 // 3 + 4:
            raise Forbidden("Personality file limits exceeded", field="personality")
        out.append({"path": file.path, "contents": file.contents})
    return out
