"""What hosts tell each other about a guest that moves between them; pure types for the bus."""

from msgspec import Struct

from aerostat.contracts.network import BoundPort


class DiskOffer(Struct, frozen=True):
    """The files of a guest that another host may take, for this one move.

    `url` holds the ticket and is good until the offer is withdrawn or replaced; "" if the host
    serves nobody. `files` and `bases` are names with their sizes in bytes. `probe` names a file
    in the instances directory: who sees it shares the storage.
    """

    url: str
    files: dict[str, int]
    bases: dict[str, int] = {}
    probe: str = ""


class LiveTarget(Struct, frozen=True):
    """Where a running guest shall go, as the destination describes itself.

    `uri` is how its hypervisor is reached, `data_uri` where the memory goes; `state_dir` and
    `vnc_listen` are what its domain XML has. `shared`: both hosts see the same disks.
    """

    uri: str
    data_uri: str
    state_dir: str
    vnc_listen: str
    tls: bool = False
    shared: bool = False
    ports: list[BoundPort] = []


class LiveOrders(Struct, frozen=True):
    """How a live migration shall be done: `copy_disks` also carries what is not shared."""

    copy_disks: bool
    timeout_s: float
