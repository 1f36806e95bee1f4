"""Roles, what they imply, and who holds them where."""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

DEFAULT_ROLES = ("admin", "manager", "member", "reader", "service")
DEFAULT_IMPLICATIONS = (("admin", "manager"), ("manager", "member"), ("member", "reader"))


class Role(Struct, frozen=True):
    """A role; one with a domain counts only there and never by itself in a token."""

    id: str
    name: str
    domain_id: str
    description: str
    options: dict[str, Any]
    extra: dict[str, Any]


class Implication(Struct, frozen=True):
    """Whoever has the prior role has the implied one."""

    prior_role_id: str
    implied_role_id: str


class Assignment(Struct, frozen=True):
    """A role of a user or group on a project, a domain or the system.

    `actor_kind` is user or group; `target_kind` project, domain or system (target id "system").
    Inherited ones count for the projects below their target, not for the target.
    """

    actor_kind: str
    actor_id: str
    target_kind: str
    target_id: str
    role_id: str
    inherited: bool


class RoleGraph(Struct, frozen=True):
    """Every role and implication, as roles are expanded for each token."""

    roles: Mapping[str, Role]
    implied: Mapping[str, tuple[str, ...]]

    def expand(self, role_ids: Iterable[str]) -> list[Role]:
        """Return the roles and all that they imply, in a stable order; without domain roles."""
        seen: dict[str, None] = {}
        waiting = sorted(role_ids)
        while waiting:
            role_id = waiting.pop()
            if role_id not in seen and role_id in self.roles:
                seen[role_id] = None
                waiting += self.implied.get(role_id, ())
        return [self.roles[r] for r in seen if not self.roles[r].domain_id]

    def paths(self, role_id: str) -> dict[str, str]:
        """Return every role that `role_id` implies, with its direct prior role."""
        found: dict[str, str] = {}
        waiting = [role_id]
        while waiting:
            prior = waiting.pop()
            for implied in self.implied.get(prior, ()):
                if implied not in found and implied != role_id:
                    found[implied] = prior
                    waiting.append(implied)
        return found


def graph(roles: Iterable[Role], implications: Iterable[Implication]) -> RoleGraph:
    """Return the graph of `roles`."""
    implied: dict[str, tuple[str, ...]] = {}
    for edge in implications:
        implied[edge.prior_role_id] = (*implied.get(edge.prior_role_id, ()), edge.implied_role_id)
    return RoleGraph({role.id: role for role in roles}, implied)
