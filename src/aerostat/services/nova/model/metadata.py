"""What a guest is told: the OpenStack and the EC2 metadata trees, as files by path; pure.

Source: nova user guide "Metadata service", EC2 instance metadata categories.
"""

import base64
from typing import Any

import msgspec

from aerostat.contracts.network import BoundPort
from aerostat.services.nova.model.server import Server

OPENSTACK_VERSIONS = (
    "2012-08-10",
    "2013-04-04",
    "2013-10-17",
    "2015-10-15",
    "2016-06-30",
    "2016-10-06",
    "2017-02-22",
    "2018-08-27",
    "2020-10-14",
    "latest",
)

EC2_VERSIONS = (
    "1.0",
    "2007-01-19",
    "2007-03-01",
    "2007-08-29",
    "2007-10-10",
    "2007-12-15",
    "2008-02-01",
    "2008-09-01",
    "2009-04-04",
    "latest",
)

Files = dict[str, bytes]


def json(doc: Any) -> bytes:
    """Return `doc` as the JSON bytes that guests read."""
    return msgspec.json.encode(doc)


def user_data(server: Server) -> bytes | None:
    """Return the decoded user data."""
    return base64.b64decode(server.user_data) if server.user_data else None


def meta_data(server: Server, domain: str) -> dict[str, Any]:
    """Return meta_data.json."""
    doc: dict[str, Any] = {
        "uuid": server.uuid,
        "name": server.name,
        "hostname": f"{server.hostname}.{domain}" if domain else server.hostname,
        "launch_index": server.launch_index,
        "availability_zone": server.availability_zone,
        "project_id": server.project_id,
        "meta": server.metadata,
        "devices": [],
        "dedicated_cpus": [],
        "files": [
            {"path": f["path"], "content_path": f"/content/{i:04d}"}
            for i, f in enumerate(server.requested.get("personality") or [])
        ],
    }
    if server.key_name and server.key_data:
        doc["public_keys"] = {server.key_name: server.key_data}
        doc["keys"] = [{"name": server.key_name, "type": "ssh", "data": server.key_data}]
    return doc


def network_data(ports: list[BoundPort]) -> dict[str, Any]:
    """Return network_data.json. Source: nova spec "metadata-service-network-info"."""
    links, networks, services = [], [], []
    for i, port in enumerate(ports):
        links.append(
            {
                "id": port.tap,
                "vif_id": port.port_id,
                "type": "bridge",
                "mtu": port.mtu,
                "ethernet_mac_address": port.mac,
            }
        )
        for j, address in enumerate(port.addresses):
            networks.append(_network(port, address, f"network{i}" if not j else f"network{i}-{j}"))
            services += [{"type": "dns", "address": dns} for dns in address.dns]
    unique = [dict(t) for t in dict.fromkeys(tuple(s.items()) for s in services)]
    return {"links": links, "networks": networks, "services": unique}


def _network(port: BoundPort, address: Any, id_: str) -> dict[str, Any]:
    kind = f"ipv{address.version}" + ("_dhcp" if address.dhcp and address.version == 4 else "")
    doc: dict[str, Any] = {
        "id": id_,
        "type": kind,
        "link": port.tap,
        "network_id": port.network_id,
    }
    if kind == "ipv4_dhcp":
        return doc
    prefix = address.cidr.partition("/")[2]
    routes = [_route(destination, via) for destination, via in address.routes]
    if address.gateway:
        everything = "0.0.0.0/0" if address.version == 4 else "::/0"
        routes.insert(0, _route(everything, address.gateway))
    netmask = _netmask(int(prefix), address.version)
    doc.update(ip_address=address.address, netmask=netmask, routes=routes, services=[])
    return doc


def _route(destination: str, via: str) -> dict[str, str]:
    network, _, prefix = destination.partition("/")
    return {
        "network": network,
        "netmask": _netmask(int(prefix or 32), 6 if ":" in network else 4),
        "gateway": via,
    }


def _netmask(prefix: int, version: int) -> str:
    import ipaddress

    base = "0.0.0.0" if version == 4 else "::"
    return str(ipaddress.ip_network(f"{base}/{prefix}").netmask)


def openstack_tree(server: Server, ports: list[BoundPort], domain: str) -> Files:
    """Return the files below one version of /openstack."""
    files: Files = {
        "meta_data.json": json(meta_data(server, domain)),
        "network_data.json": json(network_data(ports)),
        "vendor_data.json": b"{}",
        "vendor_data2.json": b'{"static":{}}',
    }
    if (data := user_data(server)) is not None:
        files["user_data"] = data
    return files


def contents(server: Server) -> Files:
    """Return the personality files, by the number that meta_data.json gives them."""
    return {
        f"{i:04d}": base64.b64decode(f["contents"])
        for i, f in enumerate(server.requested.get("personality") or [])
    }


def ec2_tree(server: Server, ports: list[BoundPort], floating: str, domain: str) -> Files:
    """Return the files below one version of the EC2 tree, `meta-data/` and `user-data`."""
    fixed = [a.address for p in ports for a in p.addresses if a.version == 4]
    hostname = f"{server.hostname}.{domain}" if domain else server.hostname
    values = {
        "ami-id": f"ami-{server.id:08x}",
        "ami-launch-index": str(server.launch_index),
        "ami-manifest-path": "",
        "block-device-mapping/ami": "vda",
        "block-device-mapping/root": "/dev/vda",
        "hostname": hostname,
        "instance-action": "none",
        "instance-id": f"i-{server.id:08x}",
        "instance-type": server.flavor["name"],
        "local-hostname": hostname,
        "local-ipv4": fixed[0] if fixed else "",
        "placement/availability-zone": server.availability_zone or "",
        "public-hostname": hostname,
        "public-ipv4": floating,
        "reservation-id": server.reservation_id,
    }
    if server.key_name and server.key_data:
        values["public-keys/0/openssh-key"] = server.key_data
    files = {f"meta-data/{name}": value.encode() for name, value in values.items()}
    if (data := user_data(server)) is not None:
        files["user-data"] = data
    return files


def config_drive(server: Server, ports: list[BoundPort], domain: str) -> Files:
    """Return every file of a config drive (label config-2)."""
    tree = openstack_tree(server, ports, domain)
    files = {
        f"openstack/{version}/{name}": data
        for version in OPENSTACK_VERSIONS
        for name, data in tree.items()
    }
    files.update({f"openstack/content/{n}": data for n, data in contents(server).items()})
    ec2 = ec2_tree(server, ports, "", domain)
    document = {
        name.removeprefix("meta-data/"): v.decode()
        for name, v in ec2.items()
        if name.startswith("meta-data/")
    }
    for version in ("2009-04-04", "latest"):
        files[f"ec2/{version}/meta-data.json"] = json(document)
        if "user-data" in ec2:
            files[f"ec2/{version}/user-data"] = ec2["user-data"]
    return files
