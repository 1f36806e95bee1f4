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
CONTROL = tuple(dict.fromkeys((*APIS, *NOVA)))
NETWORK = AGENTS
NODE = ("nova-compute", *NETWORK)
GROUPS = {"control": CONTROL, "node": NODE}
"""Names for what usually runs together; `up` starts these two."""

Roles = frozenset[str]


def roles_of(names: Iterable[str]) -> Roles:
    """Return the roles that `names` mean. Raises: BadRequest, naming what is wrong."""
    found: set[str] = set()
    for name in names:
        if name not in GROUPS and name not in (*CONTROL, *NODE):
            known = ", ".join((*GROUPS, *CONTROL, *NODE))
            raise BadRequest(f"no such role: {name} (roles: {known})", field="role")
        found.update(GROUPS.get(name, (name,)))
    agents = found & set(NETWORK)
    if agents and NETWORK[0] not in agents:
        # They work on the bridges that this one makes, and on nothing while it is away.
        lonely = ", ".join(sorted(agents))
        raise BadRequest(f"{lonely}: only beside {NETWORK[0]} in one process", field="role")
    return frozenset(found)
