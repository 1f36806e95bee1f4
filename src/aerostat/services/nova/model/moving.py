"""What hosts tell each other about a guest that moves between them; pure types for the bus."""

from msgspec import Struct

from aerostat.contracts.network import BoundPort


class DiskOffer(Struct, frozen=True):
    """The files of a guest that another host may take, for this one move.

    `url` holds the ticket and is good until the offer is withdrawn or replaced; "" if the host
    serves nobody. `files` and `bases` are names in the guest's directory and in the image cache.
    `probe` names a file in the instances directory: who sees it shares the storage.
    `backing` is the base of the root disk, with its format; `disk_bytes` the root disk's size as
    the guest sees it.
    """

    url: str
    files: list[str]
    bases: list[str] = []
    probe: str = ""
    backing: str = ""
    backing_format: str = ""
    disk_bytes: int = 0


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
