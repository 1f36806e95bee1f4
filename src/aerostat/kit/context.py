"""Who asks: passed as the first argument, never read from a global."""

from typing import Any

from msgspec import Struct


class Context(Struct, frozen=True):
    """The identity behind one operation, and the ids that follow it through the cloud.

    `roles` are names. A system-scoped identity has `system_scope == "all"` and no project.
    """

    request_id: str
    user_id: str = ""
    user_name: str = ""
    user_domain_id: str = ""
    project_id: str = ""
    project_name: str = ""
    project_domain_id: str = ""
    domain_id: str = ""
    system_scope: str = ""
    roles: tuple[str, ...] = ()
    token: str = ""
    global_request_id: str = ""
    remote_address: str = ""
    extra: dict[str, Any] = {}

    @property
    def is_admin(self) -> bool:
        """Whether the identity holds the `admin` role in whatever scope it has."""
        return "admin" in self.roles

    def credentials(self) -> dict[str, Any]:
        """Return the dictionary that policy rules are checked against."""
        return {
            "user_id": self.user_id,
            "user_domain_id": self.user_domain_id,
            "project_id": self.project_id or None,
            "tenant_id": self.project_id or None,
            "project_domain_id": self.project_domain_id or None,
            "domain_id": self.domain_id or None,
            "system_scope": self.system_scope or None,
            "roles": list(self.roles),
            "is_admin": self.is_admin,
            **self.extra,
        }


def system_context(request_id: str) -> Context:
    """Return the identity the cloud itself acts with; never derived from a request."""
    return Context(request_id=request_id, user_id="aerostat", roles=("admin", "service"))
