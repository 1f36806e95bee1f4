"""What nova runs with."""

from dataclasses import dataclass

from aerostat.contracts.identity import Identity
from aerostat.contracts.image import Image
from aerostat.contracts.network import Network
from aerostat.contracts.placement import Placement
from aerostat.kit.bus.endpoint import Bus
from aerostat.kit.clock import Clock
from aerostat.kit.db.engine import Database
from aerostat.kit.ids import IdSource
from aerostat.kit.saga.engine import Engine
from aerostat.services.nova.config import NovaConfig


@dataclass(frozen=True, slots=True)
class Nova:
    """The first argument of every handler, domain function and saga step."""

    db: Database
    clock: Clock
    ids: IdSource
    config: NovaConfig
    bus: Bus
    sagas: "Engine[Nova]"
    placement: Placement
    network: Network
    image: Image
    identity: Identity
