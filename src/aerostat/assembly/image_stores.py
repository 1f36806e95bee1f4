"""Opens the stores of the image service that an operator named."""

from pathlib import Path

from aerostat.kit.clock import Clock
from aerostat.kit.errors import BadRequest
from aerostat.services.glance.config import (
    FileStore,
    GlanceConfig,
    HttpStore,
    S3Store,
    StoreConfig,
    SwiftStore,
)
from aerostat.services.glance.drivers.file import FileDriver
from aerostat.services.glance.drivers.http import HttpDriver
from aerostat.services.glance.drivers.rbd import RbdDriver
from aerostat.services.glance.drivers.s3 import S3Driver
from aerostat.services.glance.drivers.swift import SwiftDriver
from aerostat.services.glance.filestore import FileStore as Files
from aerostat.services.glance.model.store import Store
from aerostat.services.glance.runtime import web_of
from aerostat.services.glance.stores import Stores


def open_stores(config: GlanceConfig, state: Path, clock: Clock) -> Stores:
    """Return the stores of `enabled_backends`; `state`: where files are if nothing else is said.

    Raises: BadRequest (the default store is none of them), Unsupported (a library is missing).
    """
    if config.default_backend not in config.enabled_backends:
        raise BadRequest(f"default_backend {config.default_backend} is not enabled", field="glance")
    drivers = {
        name: _open(wanted, config, state, clock)
        for name, wanted in config.enabled_backends.items()
    }
    weights = {name: wanted.weight for name, wanted in config.enabled_backends.items()}
    return Stores(drivers, config.default_backend, weights)


def _open(wanted: StoreConfig, config: GlanceConfig, state: Path, clock: Clock) -> Store:
    if isinstance(wanted, FileStore):
        folder = Path(wanted.filesystem_store_datadir or state / "images")
        return FileDriver(Files(folder, config.transfer_threads, config.hashing_algorithm))
    if isinstance(wanted, HttpStore):
        return HttpDriver(web_of(config))
    if isinstance(wanted, S3Store):
        return S3Driver(wanted, clock)
    if isinstance(wanted, SwiftStore):
        return SwiftDriver(wanted, clock)
    return RbdDriver(wanted)
