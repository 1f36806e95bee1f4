"""What nova promises the other services."""

from typing import Protocol

from msgspec import Struct

from aerostat.kit.bus.endpoint import Endpoint


class MetadataReply(Struct, frozen=True):
    """What a guest gets from 169.254.169.254."""

    status: int
    content_type: str
    body: bytes


class Metadata(Protocol):
    """The metadata trees of servers, EC2's and OpenStack's."""

    async def get(self, *, server_id: str, path: str, address: str) -> MetadataReply:
        """Answer `GET path` of the guest `server_id`, whose own address is `address`."""
        ...


metadata: Endpoint[Metadata] = Endpoint("nova.metadata", Metadata)
