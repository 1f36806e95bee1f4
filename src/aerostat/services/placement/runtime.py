"""What placement runs with."""

from dataclasses import dataclass

from aerostat.kit.clock import Clock
from aerostat.kit.db.engine import Database


@dataclass(frozen=True, slots=True)
class PlacementService:
    """The first argument of every handler and domain function."""

    db: Database
    clock: Clock
