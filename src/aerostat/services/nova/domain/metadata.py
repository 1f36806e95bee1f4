"""Answers what guests ask of 169.254.169.254."""

from aerostat.contracts.compute import MetadataReply
from aerostat.kit.errors import NotFound
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.model import metadata as trees
from aerostat.services.nova.model.metadata import EC2_VERSIONS, OPENSTACK_VERSIONS, Files
from aerostat.services.nova.runtime import Nova

ABSENT = MetadataReply(404, "text/plain; charset=UTF-8", b"Not Found")


async def answer(
    nova: Nova, server_id: str, path: str, project_id: str | None = None
) -> MetadataReply:
    """Return a file or a listing of either tree; 404 for what there is not.

    With `project_id`, servers of other projects are not there either.
    """
    try:
        server = await nova.db.read(rows.get, server_id, project_id)
    except NotFound:
        return ABSENT
    parts = [p for p in path.split("?", maxsplit=1)[0].split("/") if p]
    if not parts:
        return _listing([*EC2_VERSIONS])
    if parts[0] == "openstack":
        if len(parts) == 1:
            return _listing([*OPENSTACK_VERSIONS])
        if parts[1] == "content":
            return _file(trees.contents(server), "/".join(parts[2:]))
        if parts[1] not in OPENSTACK_VERSIONS:
            return ABSENT
        ports = await nova.network.ports(server_id=server_id)
        files = trees.openstack_tree(server, ports, nova.config.dhcp_domain)
        return _file(files, "/".join(parts[2:]))
    if parts[0] not in EC2_VERSIONS:
        return ABSENT
    ports = await nova.network.ports(server_id=server_id)
    found = await nova.network.addresses(server_ids=[server_id])
    floating = [a.address for a in found.get(server_id, []) if a.kind == "floating"]
    public = floating[0] if floating else ""
    files = trees.ec2_tree(server, ports, public, nova.config.dhcp_domain)
    below = "/".join(parts[1:])
    if below == "meta-data/public-keys" and server.key_name:
        return _text(f"0={server.key_name}".encode())
    return _file(files, below)


def _file(files: Files, path: str) -> MetadataReply:
    if path in files:
        kind = "application/json" if path.endswith(".json") else "text/plain; charset=UTF-8"
        return MetadataReply(200, kind, files[path])
    prefix = f"{path}/" if path else ""
    below = [name.removeprefix(prefix) for name in files if name.startswith(prefix)]
    if not below:
        return ABSENT
    names = [n.split("/")[0] + ("/" if "/" in n else "") for n in below]
    return _listing(sorted(set(names)))


def _listing(names: list[str]) -> MetadataReply:
    return _text("\n".join(names).encode())


def _text(body: bytes) -> MetadataReply:
    return MetadataReply(200, "text/plain; charset=UTF-8", body)
