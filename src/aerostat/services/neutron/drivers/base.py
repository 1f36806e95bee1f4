"""What a data plane can do, whichever engine moves the packets."""

import socket
from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from aerostat.services.neutron.model.wanted import Wanted


class Applied(Struct, frozen=True):
    """What one run did: `changes` is empty when all was as wanted; `failed` maps part to reason.

    `plugged` are the guest ports whose device is there, wired and up.
    """

    changes: list[str]
    plugged: list[str]
    failed: dict[str, str] = {}


class Listener(Struct, frozen=True):
    """A listening socket for metadata inside a namespace.

    `inode` tells the namespace from a later one of the same name.
    """

    socket: socket.socket
    namespace: str
    inode: int = 0

    @property
    def network_id(self) -> str | None:
        """Return the network of a DHCP server's namespace."""
        return self._owner("qdhcp")

    @property
    def router_id(self) -> str | None:
        """Return the router of a router's namespace."""
        return self._owner("qrouter")

    def _owner(self, kind: str) -> str | None:
        found, _, owner = self.namespace.partition("-")
        return owner if found == kind else None


class Dataplane(Protocol):
    """The networking of one host. Its methods block: call them from one executor thread."""

    def sync(self, wanted: Wanted) -> Applied:
        """Make the host as wanted: change only differences, remove what is left over of ours.

        What belongs to agents that are not in this process is theirs to make.

        One part's failure does not stop the others. May be cut off anywhere and run again.
        """
        ...

    def listen(self, wanted: Wanted, namespace: str) -> Listener:
        """Open the metadata socket of a namespace that `sync` has made. Raises: OSError."""
        ...

    def stands(self, listener: Listener) -> bool:
        """Tell whether its namespace is still the one that it was opened in."""
        ...

    def watch(self, on_device: Callable[[str], None]) -> Callable[[], None]:
        """Call `on_device(name)` in the running loop when a device comes or goes; return a stop."""
        ...

    def differences(self, wanted: Wanted) -> list[str]:
        """Return what is missing and what is left over, by name; changes nothing."""
        ...

    def purge(self) -> list[str]:
        """Remove everything of ours from the host; return what was removed."""
        ...
