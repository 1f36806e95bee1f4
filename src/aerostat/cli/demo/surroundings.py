"""All that a server of the demo needs around it; each thing is found by name or made."""

import subprocess
from pathlib import Path
from typing import Any

from msgspec import Struct

from aerostat.cli.cloud import ApiError, Cloud
from aerostat.cli.demo import names


class Surroundings(Struct, frozen=True):
    """The ids of what is there, and the private key's file."""

    image: str
    flavor: str
    network: str
    public: str
    group: str
    key_file: Path


def one(cloud: Cloud, service: str, noun: str, path: str, **query: Any) -> Any | None:
    """Return the thing with these properties, or None."""
    found = cloud.list(service, noun, path, **query)
    return found[0] if found else None


def ensure_flavor(admin: Cloud) -> str:
    """Return the id of a flavor that the tiny guest fits."""
    for flavor in admin.list("compute", "flavors"):
        if flavor["name"] == names.FLAVOR:
            return str(flavor["id"])
    body = {"name": names.FLAVOR, "ram": 128, "vcpus": 1, "disk": 1}
    return str(admin.post("compute", "/flavors", {"flavor": body})["flavor"]["id"])


def ensure_key(demo: Cloud, folder: Path) -> Path:
    """Have a key pair whose private half is in `folder`; return that file."""
    folder.mkdir(mode=0o700, exist_ok=True)
    file = folder / "id_ed25519"
    if not file.exists():
        comment = "aerostat-demo"
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(file)]
        subprocess.run(command, check=True, capture_output=True, timeout=30)
        demo.delete("compute", f"/os-keypairs/{names.KEY}")
    public = file.with_suffix(".pub").read_text().strip()
    try:
        known = demo.get("compute", f"/os-keypairs/{names.KEY}")["keypair"]["public_key"].strip()
    except ApiError as why:
        if why.status != 404:
            raise
        known = ""
    if known != public:
        demo.delete("compute", f"/os-keypairs/{names.KEY}")
        body = {"name": names.KEY, "public_key": public, "type": "ssh"}
        demo.post("compute", "/os-keypairs", {"keypair": body})
    return file


def ensure_public(admin: Cloud) -> str:
    """Return the id of the external network, with its subnet of floating addresses."""
    network = _ensure(
        admin,
        "network",
        names.PUBLIC,
        {
            "router:external": True,
            "provider:network_type": "flat",
            "provider:physical_network": "public",
        },
    )
    first, last = names.PUBLIC_POOL
    _ensure(
        admin,
        "subnet",
        names.PUBLIC_SUBNET,
        {
            "network_id": network["id"],
            "ip_version": 4,
            "cidr": names.PUBLIC_CIDR,
            "gateway_ip": names.PUBLIC_GATEWAY,
            "allocation_pools": [{"start": first, "end": last}],
            "enable_dhcp": False,
        },
    )
    prefix = {"prefixes": [names.SUBNET_POOL_PREFIX], "default_prefixlen": 26, "shared": True}
    pool = _ensure(admin, "subnetpool", names.SUBNET_POOL, prefix)
    _make_default(admin, "network", network)
    _make_default(admin, "subnetpool", pool)
    return str(network["id"])


def _make_default(admin: Cloud, noun: str, found: dict[str, Any]) -> None:
    """Let automatic networks be made of it, unless an operator chose another one."""
    path = f"/v2.0/{noun}s"
    if one(admin, "network", f"{noun}s", path, is_default=True) is None:
        admin.call("PUT", "network", f"{path}/{found['id']}", {noun: {"is_default": True}})


def ensure_network(demo: Cloud, public: str) -> str:
    """Return the id of the tenant network, routed to the external one."""
    network = _ensure(demo, "network", names.NETWORK, {})
    subnet = _ensure(
        demo,
        "subnet",
        names.SUBNET,
        {"network_id": network["id"], "ip_version": 4, "cidr": names.SUBNET_CIDR},
    )
    gateway = {"external_gateway_info": {"network_id": public}}
    router = _ensure(demo, "router", names.ROUTER, gateway)
    ports = demo.list("network", "ports", "/v2.0/ports", device_id=router["id"])
    attached = {a["subnet_id"] for p in ports for a in p["fixed_ips"]}
    if subnet["id"] not in attached:
        path = f"/v2.0/routers/{router['id']}/add_router_interface"
        demo.call("PUT", "network", path, {"subnet_id": subnet["id"]})
    return str(network["id"])


def ensure_group(demo: Cloud) -> str:
    """Return the id of the security group that lets ping and ssh in."""
    group = _ensure(demo, "security_group", names.GROUP, {"description": "ping and ssh"})
    for rule in (
        {"protocol": "icmp"},
        {"protocol": "tcp", "port_range_min": 22, "port_range_max": 22},
    ):
        whole = {"security_group_id": group["id"], "direction": "ingress", "ethertype": "IPv4"}
        _unless_there(demo, "security-group-rules", {"security_group_rule": {**whole, **rule}})
    return str(group["id"])


def _ensure(cloud: Cloud, noun: str, name: str, attributes: dict[str, Any]) -> Any:
    path = f"/v2.0/{noun.replace('_', '-')}s"
    query: dict[str, Any] = {"name": name, "project_id": cloud.project_id}
    found = one(cloud, "network", f"{noun}s", path, **query)
    return found or cloud.post("network", path, {noun: {"name": name, **attributes}})[noun]


def _unless_there(cloud: Cloud, nouns: str, body: dict[str, Any]) -> None:
    try:
        cloud.post("network", f"/v2.0/{nouns}", body)
    except ApiError as why:
        if why.status != 409:
            raise
