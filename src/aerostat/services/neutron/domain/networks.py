"""Networks: made of a segment, shared or not, external or not."""

from typing import Any

from sqlalchemy import func, select

from aerostat.kit.db.engine import Tx
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.db.collections import EXTERNAL, SHARED
from aerostat.services.neutron.domain import (
    addresses,
    notices,
    ports,
    quotas,
    rbac,
    rows,
    security_groups,
    subnets,
)
from aerostat.services.neutron.domain.access import authorize, network_of, owner_of, target
from aerostat.services.neutron.model import faults
from aerostat.services.neutron.runtime import Call

VXLAN_OVERHEAD = 50
SEGMENT = ("provider:network_type", "provider:physical_network", "provider:segmentation_id")
COLUMNS = {"router:external": "external"}
OPEN = {"shared": SHARED, "external": EXTERNAL}
AUTO_DELETED = ("network:dhcp",)


def create(tx: Tx, call: Call, values: dict[str, Any], given: set[str]) -> str:
    """Make a network. Raises: Forbidden, QuotaExceeded, BadRequest, Conflict (segment in use)."""
    owner = owner_of(call, values)
    authorize(call, "create_network", target(call, {**values, "project_id": owner}), given)
    quotas.check(tx, call, "network", owner)
    values.pop("vlan_transparent", None)
    segment = _segment(tx, call, {name: values.pop(name, None) for name in SEGMENT})
    most = _mtu(call, segment["network_type"])
    values["mtu"] = _checked_mtu(values.pop("mtu", 0), most)
    if values.get("is_default"):
        _check_sole_default(tx, "")
    security_groups.default_of(tx, call, owner)
    columns = {**_columns(values), **segment, "project_id": owner}
    key = rows.add(tx, call, t.networks, columns)
    network = rows.by_id(tx, t.networks, key)
    for name, action in OPEN.items():
        if columns.get(name):
            rbac.open_to_all(tx, call, network, action)
    return key


def _columns(values: dict[str, Any]) -> dict[str, Any]:
    return {COLUMNS.get(name, name): value for name, value in values.items()}


def _mtu(call: Call, kind: str) -> int:
    return call.config.global_physnet_mtu - (VXLAN_OVERHEAD if kind == "vxlan" else 0)


def _checked_mtu(asked: int, most: int) -> int:
    if asked > most:
        raise faults.bad("InvalidInput", f"Requested MTU is too big, maximum is {most}.")
    return asked or most


def _segment(tx: Tx, call: Call, asked: dict[str, Any]) -> dict[str, Any]:
    kind, physical, number = (asked[name] for name in SEGMENT)
    if kind is None and (physical is not None or number is not None):
        raise faults.invalid("network_type required", "provider:network_type")
    kind = kind or call.config.tenant_network_type
    if kind == "vxlan":
        if physical is not None:
            raise faults.invalid("provider:physical_network specified for vxlan network")
        number = _vni(tx, call, number)
        key: str | None = f"vxlan:{number}"
    elif kind == "flat":
        key = _flat(tx, call, physical, number)
    elif kind == "local":
        if physical is not None or number is not None:
            raise faults.invalid("no provider attribute may be given for a local network")
        key = None
    else:
        raise faults.invalid(f"network_type value '{kind}' not supported", SEGMENT[0])
    return {
        "network_type": kind,
        "physical_network": physical,
        "segmentation_id": number,
        "segment_key": key,
    }


def _flat(tx: Tx, call: Call, physical: str | None, number: int | None) -> str:
    if physical is None:
        raise faults.invalid("physical_network required for flat provider network")
    if number is not None:
        raise faults.invalid("provider:segmentation_id specified for flat network")
    if physical not in call.config.physical_networks and "*" not in call.config.physical_networks:
        raise faults.invalid(f"physical_network '{physical}' unknown for flat provider network")
    key = f"flat:{physical}"
    if _segment_used(tx, key):
        raise faults.conflict(
            "FlatNetworkInUse",
            f"Unable to create the flat network. Physical network {physical} is in use.",
        )
    return key


def _vni(tx: Tx, call: Call, asked: int | None) -> int:
    low, high = call.config.vni_ranges
    if asked is not None:
        if not low <= asked <= high:
            raise faults.invalid(f"segmentation_id out of range ({low} through {high})")
        if _segment_used(tx, f"vxlan:{asked}"):
            raise faults.conflict("TunnelIdInUse", f"Tunnel ID {asked} is in use.")
        return asked
    while True:
        number = low + int(call.neutron.new_id()[:8], 16) % (high - low + 1)
        if not _segment_used(tx, f"vxlan:{number}"):
            return number


def _segment_used(tx: Tx, key: str) -> bool:
    c = t.networks.c
    return tx.first(select(c.id).where(c.segment_key == key)) is not None


def update(tx: Tx, call: Call, row: Any, values: dict[str, Any]) -> None:
    """Change a network. Raises: Forbidden, BadRequest, Conflict (others use what would go)."""
    authorize(call, "update_network", target(call, row._asdict(), row), values)
    for name in SEGMENT:
        if name in values and values.pop(name) != getattr(row, name.removeprefix("provider:")):
            raise faults.bad("InvalidInput", "Plugin does not support updating provider attributes")
    if values.get("shared") is False and network_of(tx, row.id).shared:
        rbac.unshare(tx, row)
    if values.get("router:external") is False and row.external:
        _internalise(tx, row)
        values["restricted"] = False
    if values.get("shared"):
        rbac.open_to_all(tx, call, row, SHARED)
    if values.get("router:external") and not row.external:
        rbac.open_to_all(tx, call, row, EXTERNAL)
    if values.get("is_default"):
        _check_sole_default(tx, row.id)
    if "mtu" in values:
        values["mtu"] = _checked_mtu(values["mtu"], _mtu(call, row.network_type))
        for subnet in addresses.subnets_of(tx, row.id):
            subnets.check_mtu(values["mtu"], subnet.ip_version, row.id)
    rows.change(tx, call, t.networks, row.id, _columns(values))
    notices.changed(tx, call, [row.id])


def default_external(tx: Tx) -> str | None:
    """Return the network that projects without any other go out by, if there is one."""
    c = t.networks.c
    stmt = select(c.id).where(c.external.is_(True), c.is_default.is_(True)).order_by(c.id)
    found = tx.scalar(stmt)
    return None if found is None else str(found)


def _check_sole_default(tx: Tx, network_id: str) -> None:
    other = default_external(tx)
    if other not in (None, network_id):
        raise faults.conflict(
            "DefaultExternalNetworkExists",
            f"A default external network already exists: {other}.",
        )


def _internalise(tx: Tx, row: Any) -> None:
    c = t.ports.c
    outward = ("network:router_gateway", "network:floatingip")
    used = select(func.count()).where(c.network_id == row.id, c.device_owner.in_(outward))
    if tx.scalar(used):
        raise faults.conflict(
            "ExternalNetworkInUse",
            f"External network {row.id} cannot be updated to be made non-external, since it has "
            "existing gateway ports.",
        )
    rbac.internalise(tx, row)


def delete(tx: Tx, call: Call, row: Any) -> None:
    """Delete a network with its subnets. Raises: Conflict (ports are on it)."""
    authorize(call, "delete_network", target(call, row._asdict(), row))
    c, f = t.ports.c, t.floatings.c
    loose = (f.floating_network_id == row.id) & f.port_id.is_(None)
    for floating in tx.all(select(f.id, f.floating_port_id).where(loose)):
        rows.remove(tx, t.floatings, floating.id)
        ports.drop(tx, floating.floating_port_id)
    found = tx.all(select(c.id, c.device_owner, c.host).where(c.network_id == row.id))
    if any(port.device_owner not in AUTO_DELETED for port in found):
        raise faults.conflict(
            "NetworkInUse",
            f"Unable to complete operation on network {row.id}. "
            "There are one or more ports still in use on the network.",
        )
    hosts = {port.host for port in found}
    for port in found:
        ports.drop(tx, port.id)
    s = t.subnets.c
    for subnet in tx.all(select(s.id).where(s.network_id == row.id)):
        subnets.drop(tx, subnet.id)
    rows.remove(tx, t.networks, row.id)
    notices.changed(tx, call, hosts=hosts)
