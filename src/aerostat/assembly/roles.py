"""The roles that a process may play, by the field's names."""

from collections.abc import Iterable

from aerostat.kit.errors import BadRequest
from aerostat.services.neutron.config import AGENTS

APIS = {
    "keystone": "keystone",
    "glance-api": "glance",
    "placement-api": "placement",
    "nova-api": "nova",
    "neutron-server": "neutron",
}
"""Role -> the service whose API it serves."""

NOVA = ("nova-api", "nova-scheduler", "nova-conductor", "nova-metadata", "nova-novncproxy")
REGISTRY = "glance-registry"
CONTROL = tuple(dict.fromkeys((*APIS, REGISTRY, *NOVA)))
NETWORK = AGENTS
NODE = ("nova-compute", *NETWORK)
GROUPS = {"control": CONTROL, "node": NODE}
"""Names for what usually runs together; `up` starts these two."""

Roles = frozenset[str]


METRICS_ORDER = tuple(dict.fromkeys(("keystone", "nova-compute", *NOVA[1:], *NETWORK, *CONTROL)))
"""Whose metrics are on the first port, the next, ...: `control` has the first, `node` the next."""


def metrics_place(roles: Roles) -> int:
    """Return by how much a process's port is above `metrics_port`; unlike roles never meet."""
    return min(METRICS_ORDER.index(role) for role in roles)


def roles_of(names: Iterable[str]) -> Roles:
    """Return the roles that `names` mean. Raises: BadRequest, naming what is wrong."""
    found: set[str] = set()
    for name in names:
        if name not in GROUPS and name not in (*CONTROL, *NODE):
            known = ", ".join((*GROUPS, *CONTROL, *NODE))
            raise BadRequest(f"no such role: {name} (roles: {known})", field="role")
        found.update(GROUPS.get(name, (name,)))
    return frozenset(found)
