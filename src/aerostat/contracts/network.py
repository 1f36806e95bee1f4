"""What neutron promises the other services."""

from typing import Any, Protocol

from msgspec import Struct

from aerostat.kit.bus.endpoint import Endpoint

AUTO = "auto"
"""As the id of a network: the project's only one, or else one that is made for it."""


class RequestedNetwork(Struct, frozen=True):
    """One NIC as the user asked for it: a network or a port, maybe with an address."""

    network_id: str | None = None
    port_id: str | None = None
    fixed_ip: str | None = None
    tag: str | None = None


class FixedAddress(Struct, frozen=True):
    """An address on a NIC, with what a guest needs to configure it by hand."""

    address: str
    subnet_id: str
    cidr: str
    version: int
    gateway: str | None = None
    dns: list[str] = []
    routes: list[tuple[str, str]] = []
    dhcp: bool = True


class BoundPort(Struct, frozen=True):
    """A port of a server, bound to a host: all that the hypervisor and network_data.json need.

    `bridge` and `tap` are device names on the host; `mtu` is in bytes. `preexisting` ports were
    made by the user and outlive the server.
    """

    port_id: str
    network_id: str
    network_name: str
    project_id: str
    mac: str
    tap: str
    bridge: str
    mtu: int
    vif_type: str
    status: str = "DOWN"
    addresses: list[FixedAddress] = []
    preexisting: bool = False
    tag: str | None = None


class PortOwner(Struct, frozen=True):
    """The server that a port is for, and where it runs."""

    server_id: str
    project_id: str
    host: str
    availability_zone: str
    hostname: str


class ServerAddress(Struct, frozen=True):
    """One line of a server's `addresses`: `kind` is fixed or floating."""

    network_name: str
    address: str
    version: int
    mac: str
    kind: str = "fixed"


Doc = dict[str, Any]
"""A resource as neutron's API shows it."""


class Asker(Struct, frozen=True):
    """On whose behalf neutron's resources are used: a member of a project."""

    project_id: str
    is_admin: bool = False


class Network(Protocol):
    """Ports of servers. Every call may be repeated with the same effect."""

    async def check(
        self,
        *,
        project_id: str,
        is_admin: bool,
        requested: list[RequestedNetwork] | None,
        security_groups: list[str],
        count: int,
    ) -> list[RequestedNetwork]:
        """Return the NICs that `requested` means; None means the only usable network.

        None without any network is no NIC at all, and AUTO then stays, for `ensure_ports` to make
        one; several networks are a Conflict. Names in `security_groups` are names or ids.
        Raises: BadRequest (none can be made), NotFound (network, port, security group), Conflict
        (port in use, address in use, several networks), QuotaExceeded (ports).
        """
        ...

    async def ensure_ports(
        self,
        *,
        server_id: str,
        project_id: str,
        host: str,
        availability_zone: str,
        hostname: str,
        requested: list[RequestedNetwork],
        security_groups: list[str],
    ) -> list[BoundPort]:
        """Make or adopt the server's ports, in order, and bind them to `host`.

        Ports that the server has already are used again: repeating makes none twice.
        Raises: NotFound, Conflict, QuotaExceeded.
        """
        ...

    async def wire(self, *, server_id: str, host: str) -> None:
        """Return when the agents on `host`, which has the ports or is prepared for them, are ready.

        Raises: Unavailable.
        """
        ...

    async def ports(self, *, server_id: str) -> list[BoundPort]:
        """Return the ports of a server, in the order they were made."""
        ...

    async def prepare_ports(self, *, server_id: str, host: str) -> list[BoundPort]:
        """Let `host` have, besides the host they are bound to, what the server's ports need.

        Returns them as they will be there. Raises: Unavailable (the host cannot have a network).
        """
        ...

    async def move_ports(self, *, server_id: str, host: str) -> list[BoundPort]:
        """Bind the server's ports to `host` alone, and return them; takes `prepare_ports` back."""
        ...

    async def unbind_ports(self, *, server_id: str) -> None:
        """Bind the server's ports to no host; they stay the server's."""
        ...

    async def attach_port(
        self, *, server: PortOwner, requested: RequestedNetwork, port_id: str = ""
    ) -> BoundPort:
        """Make or adopt one more port for a server; a new one is `port_id`.

        With that it may be repeated; without it each call makes another one.

        Raises: NotFound, Conflict (port or address in use), QuotaExceeded (ports).
        """
        ...

    async def detach_port(self, *, server_id: str, port_id: str) -> None:
        """Delete a port made for the server, or let go of an adopted one; absence is fine."""
        ...

    async def release_ports(self, *, server_id: str) -> None:
        """Delete the ports made for the server and let go of the adopted ones."""
        ...

    async def holders(self) -> list[str]:
        """Return the servers that have ports; for audits."""
        ...

    async def addresses(self, *, server_ids: list[str]) -> dict[str, list[ServerAddress]]:
        """Return the addresses of many servers at once, fixed then floating; one query."""
        ...

    async def security_groups(self, *, server_ids: list[str]) -> dict[str, list[str]]:
        """Return the security group names of many servers at once."""
        ...

    async def add_security_group(self, *, server_id: str, project_id: str, name: str) -> None:
        """Put every port of the server into a group, by name or id.

        Raises: NotFound (no such group), Conflict (several of that name, no port).
        """
        ...

    async def remove_security_group(self, *, server_id: str, project_id: str, name: str) -> None:
        """Take every port of the server out of a group.

        Raises: NotFound (no such group, or no port is in it), Conflict (several of that name).
        """
        ...

    async def find(self, *, asker: Asker, noun: str, filters: dict[str, str]) -> list[Doc]:
        """Return what the asker sees of a noun, named as in the bodies of neutron's API."""
        ...

    async def make(self, *, asker: Asker, noun: str, values: Doc) -> Doc:
        """Make a resource of the asker's project as neutron's API would.

        Raises: BadRequest, NotFound, Conflict, QuotaExceeded.
        """
        ...

    async def change(self, *, asker: Asker, noun: str, key: str, values: Doc) -> Doc:
        """Change a resource. Raises: BadRequest, NotFound, Conflict."""
        ...

    async def remove(self, *, asker: Asker, noun: str, key: str) -> None:
        """Delete a resource. Raises: NotFound, Conflict (in use)."""
        ...


network: Endpoint[Network] = Endpoint("neutron", Network)
