"""What neutron-server runs with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aerostat.kit.bus.endpoint import Bus
from aerostat.kit.clock import Clock
from aerostat.kit.context import Context
from aerostat.kit.db.engine import Database
from aerostat.kit.ids import IdSource, new_uuid
from aerostat.services.neutron.config import NeutronConfig

Notify = Callable[[set[str], int], None]
"""Tells hosts that there is a new revision; returns at once."""


def _nobody(_hosts: set[str], _revision: int) -> None:
    return


@dataclass(slots=True)
class NeutronService:
    """The first argument of every handler and domain function."""

    db: Database
    clock: Clock
    bus: Bus
    config: NeutronConfig = field(default_factory=NeutronConfig)
    new_id: IdSource = new_uuid
    notify: Notify = _nobody


May = Callable[[str, Mapping[str, Any]], bool]
"""Tells whether a policy rule lets the caller at a target; a rule that does not exist does."""


def always(_rule: str, _target: Mapping[str, Any]) -> bool:
    """The policy of the cloud itself."""
    return True


@dataclass(slots=True)
class Call:
    """One operation inside a transaction: who asks, with what, and when."""

    ctx: Context
    neutron: NeutronService
    now: float
    may: May = always

    @property
    def config(self) -> NeutronConfig:
        return self.neutron.config


def build(
    db: Database, bus: Bus, clock: Clock, config: NeutronConfig | None = None
) -> NeutronService:
    """Return the service over these."""
    return NeutronService(db, clock, bus, config or NeutronConfig())
