"""What keystone does for the other services: tokens become identities, services are found."""

from aerostat.contracts.identity import CatalogService
from aerostat.kit.context import Context
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import NotFound, Unauthorized
from aerostat.services.keystone.db import actors
from aerostat.services.keystone.domain import limits, revocation
from aerostat.services.keystone.domain.bootstrap import endpoint_url, put_service
from aerostat.services.keystone.domain.tokens import resolve
from aerostat.services.keystone.runtime import Keystone


class IdentityProvider:
    """`contracts.identity.Identity`, and `authenticate` for kit.http."""

    def __init__(self, keystone: Keystone) -> None:
        self._keystone = keystone

    async def authenticate(self, token: str, *, late: bool = False) -> Context:
        """Return the identity behind `token`, `late` for some time after its end too.

        Raises: Unauthorized.
        """
        window_s = self._keystone.config.allow_expired_window if late else 0
        try:
            return (await resolve(self._keystone, token, expired_for=window_s)).context
        except NotFound as why:
            raise Unauthorized(detail=why.detail) from why

    async def project_exists(self, *, project_id: str) -> bool:
        """Tell whether an enabled project has this id."""
        await revocation.refresh(self._keystone)
        found = await self._keystone.remember(actors.project_record, project_id)
        return found is not None and found.project.enabled and not found.project.is_domain

    async def limits(self, *, service_type: str, project_id: str) -> dict[str, int]:
        """Return the unified limits of a service that bind a project."""
        return await self._keystone.db.read(limits.of_project, service_type, project_id)

    async def endpoint(self, *, service_type: str, region: str, interface: str) -> str:
        """Return the URL of a service in a region, or nothing."""
        return await self._keystone.db.read(endpoint_url, service_type, region, interface)

    async def register(self, *, region: str, services: list[CatalogService]) -> None:
        """Make the catalogue hold these services with their endpoints, at these URLs."""

        def write(tx: Tx) -> None:
            for s in services:
                entry = (s.name, s.service_type, s.description, s.url)
                put_service(self._keystone, tx, region, entry)

        await self._keystone.change(write)
