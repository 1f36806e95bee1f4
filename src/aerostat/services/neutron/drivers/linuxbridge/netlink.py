"""Devices by netlink: one dump tells what is there, and every call changes one thing."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from msgspec import Struct
from pyroute2 import IPRoute
from pyroute2 import netns as namespaces
from pyroute2.netlink.exceptions import NetlinkError

T = TypeVar("T")
IFF_UP = 1


class Device(Struct, frozen=True):
    """A network device as the kernel shows it. `group` says whose it is."""

    index: int
    name: str
    kind: str
    up: bool
    mtu: int
    mac: str
    group: int
    master: int | None
    vxlan: tuple[int, str, int] | None = None


class Links:
    """The devices of the namespace that the calling thread is in; `changes` records our doings."""

    def __init__(self, group: int, changes: list[str], where: str = "") -> None:
        self.group = group
        self.changes = changes
        self._where = where and f"{where}: "
        self.ip = IPRoute()
        self.refresh()

    def close(self) -> None:
        self.ip.close()

    def __enter__(self) -> "Links":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def note(self, what: str) -> None:
        self.changes.append(self._where + what)

    def refresh(self) -> None:
        devices = [_device(link) for link in self.ip.get_links()]
        self.by_name = {device.name: device for device in devices}
        self.by_index = {device.index: device for device in devices}

    def get(self, name: str) -> Device | None:
        return self.by_name.get(name)

    def add(self, name: str, kind: str, **options: Any) -> Device:
        """Make a device, marked as ours from its first moment, and return it."""
        self.ip.link("add", ifname=name, kind=kind, group=self.group, **options)
        self.note(f"add {kind} {name}")
        self.refresh()
        return self.by_name[name]

    def remove(self, name: str) -> None:
        """Remove a device; an absent one is not an error."""
        device = self.by_name.pop(name, None)
        if device is None:
            return
        try:
            self.ip.link("del", index=device.index)
        except NetlinkError as why:
            if why.code != 19:  # ENODEV: gone meanwhile
                raise
        self.note(f"remove {name}")

    def settle(
        self, name: str, *, mtu: int | None = None, master: str | None = None, up: bool = True
    ) -> None:
        """Let a device have this MTU, be a port of `master` and `up`; touch only what differs."""
        device = self.by_name[name]
        if mtu is not None and device.mtu != mtu:
            self.ip.link("set", index=device.index, mtu=mtu)
            self.note(f"{name} mtu {mtu}")
        if master is not None and device.master != self.by_name[master].index:
            self.ip.link("set", index=device.index, master=self.by_name[master].index)
            self.note(f"{name} master {master}")
        if up != device.up:
            state = "up" if up else "down"
            self.ip.link("set", index=device.index, state=state)
            self.note(f"{name} {state}")

    def addresses(self, name: str) -> set[str]:
        """Return the global addresses of a device, as CIDRs."""
        index = self.by_name[name].index
        return {
            f"{a.get_attr('IFA_LOCAL') or a.get_attr('IFA_ADDRESS')}/{a['prefixlen']}"
            for a in self.ip.get_addr(index=index)
            if a["scope"] != 253 and a["index"] == index
        }

    def settle_addresses(self, name: str, wanted: set[str]) -> set[str]:
        """Let a device have exactly these global addresses; return those that are new."""
        have = self.addresses(name)
        index = self.by_name[name].index
        for cidr in sorted(have - wanted):
            ip, prefix = cidr.split("/")
            self.ip.addr("del", index=index, address=ip, prefixlen=int(prefix))
            self.note(f"{name} address -{cidr}")
        for cidr in sorted(wanted - have):
            ip, prefix = cidr.split("/")
            extra = {"flags": 2} if ":" in ip else {}  # nodad: the server gives each address once
            self.ip.addr("add", index=index, address=ip, prefixlen=int(prefix), **extra)
            self.note(f"{name} address +{cidr}")
        return wanted - have

    def settle_flood(self, name: str, peers: set[tuple[str, str]]) -> None:
        """Let a VXLAN device send to exactly these (MAC, host) pairs."""
        index = self.by_name[name].index
        have = {
            (str(e.get_attr("NDA_LLADDR")), str(e.get_attr("NDA_DST")))
            for e in self.ip.fdb("dump", ifindex=index)
            if e["ifindex"] == index and e.get_attr("NDA_DST")
        }
        for mac, host in sorted(have - peers):
            self.ip.fdb("del", ifindex=index, lladdr=mac, dst=host)
            self.note(f"{name} fdb -{mac}@{host}")
        for mac, host in sorted(peers - have):
            self.ip.fdb("append", ifindex=index, lladdr=mac, dst=host)
            self.note(f"{name} fdb +{mac}@{host}")


def _device(link: Any) -> Device:
    info = link.get_attr("IFLA_LINKINFO")
    kind = str(info.get_attr("IFLA_INFO_KIND") or "") if info else ""
    vxlan = None
    if kind == "vxlan" and (data := info.get_attr("IFLA_INFO_DATA")):
        vxlan = (
            int(data.get_attr("IFLA_VXLAN_ID")),
            str(data.get_attr("IFLA_VXLAN_LOCAL") or ""),
            int(data.get_attr("IFLA_VXLAN_PORT") or 0),
        )
    return Device(
        index=link["index"],
        name=link.get_attr("IFLA_IFNAME"),
        kind=kind,
        up=bool(link["flags"] & IFF_UP),
        mtu=link.get_attr("IFLA_MTU") or 0,
        mac=str(link.get_attr("IFLA_ADDRESS") or ""),
        group=link.get_attr("IFLA_GROUP") or 0,
        master=link.get_attr("IFLA_MASTER"),
        vxlan=vxlan,
    )


def inside(namespace: str, act: Callable[[], T]) -> T:
    """Return what `act` returns when run inside a network namespace, in a thread of its own."""
    result: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            namespaces.setns(namespace)
            result.append(act())
        except BaseException as why:
            failure.append(why)

    thread = threading.Thread(target=run, name=f"in-{namespace[:16]}")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return result[0]


def write_sysctl(path: str, value: str) -> bool:
    """Set a sysctl if it differs (`net/ipv4/ip_forward`); tell whether it did.

    Raises: OSError.
    """
    full = f"/proc/sys/{path}"
    with open(full, encoding="ascii") as file:
        if file.read().strip() == value:
            return False
    with open(full, "w", encoding="ascii") as file:
        file.write(value)
    return True
