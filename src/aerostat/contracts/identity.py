"""What keystone promises the other services."""

from typing import Protocol

from msgspec import Struct

from aerostat.kit.bus.endpoint import Endpoint
from aerostat.kit.context import Context


class CatalogService(Struct, frozen=True):
    """A service with the URL of its endpoints, as assembly registers it."""

    name: str
    service_type: str
    description: str
    url: str


class Identity(Protocol):
    """Projects, users and tokens as other services need them."""

    async def authenticate(self, *, token: str, late: bool) -> Context:
        """Return the identity behind a token, `late` for some time after its end too.

        Processes with a database look there for themselves. Raises: Unauthorized.
        """
        ...

    async def project_exists(self, *, project_id: str) -> bool:
        """Tell whether an enabled project has this id."""
        ...

    async def limits(self, *, service_type: str, project_id: str) -> dict[str, int]:
        """Return the unified limits of a service that bind a project; -1 is no limit."""
        ...

    async def endpoint(self, *, service_type: str, region: str, interface: str) -> str:
        """Return the URL of a service in a region, or nothing."""
        ...

    async def register(self, *, region: str, services: list[CatalogService]) -> None:
        """Make the catalogue hold these services with public, internal and admin endpoints.

        Idempotent: what is there already is left, a changed URL is updated.
        """
        ...


identity: Endpoint[Identity] = Endpoint("keystone", Identity)
