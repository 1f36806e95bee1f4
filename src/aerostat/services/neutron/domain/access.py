"""Who may do what to which resource: the rule of the verb, then one for each attribute given."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Forbidden
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.runtime import Call


def authorize(
    call: Call, action: str, target: Mapping[str, Any], given: Iterable[str] = ()
) -> None:
    """Raises: Forbidden, with upstream's type."""
    for rule in (action, *(f"{action}:{name}" for name in given)):
        if not call.may(rule, target):
            raise Forbidden(
                f"rule:{rule} is disallowed by policy", code="PolicyNotAuthorized", field=rule
            )


def target(call: Call, values: Mapping[str, Any], network: Any = None) -> dict[str, Any]:
    """Return what rules are checked against: the resource and the owner of its network."""
    owner = values.get("project_id") or call.ctx.project_id
    out = {"shared": False, "router:external": False, **values}
    out |= {"project_id": owner, "tenant_id": owner, "network:project_id": ""}
    out["is_network_device"] = str(values.get("device_owner", "")).startswith("network:")
    if network is not None:
        out |= {"network:project_id": network.project_id, "network:tenant_id": network.project_id}
        out["shared"] = network.shared
    return out


def network_of(tx: Tx, network_id: str) -> Any:
    """Return a network's row, whoever asks; None if there is none."""
    return tx.first(select(t.networks).where(t.networks.c.id == network_id))


def owner_of(call: Call, values: dict[str, Any]) -> str:
    """Return the project that a new resource belongs to. Raises: BadRequest."""
    owner = values.pop("project_id", None) or call.ctx.project_id
    if owner != call.ctx.project_id and not call.ctx.is_admin and "service" not in call.ctx.roles:
        raise BadRequest(
            "Specifying 'project_id' or 'tenant_id' other than the authenticated project in "
            "request requires admin privileges",
            code="HTTPBadRequest",
            field="project_id",
        )
    return str(owner)
