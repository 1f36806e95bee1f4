"""Opens the stores of the image service that an operator named."""

import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

from aerostat.kit.clock import Clock
from aerostat.kit.errors import BadRequest, Unsupported
from aerostat.services.glance.config import (
    FileStore,
    GlanceConfig,
    HttpStore,
    RbdStore,
    S3Store,
    StoreConfig,
    SwiftStore,
)
from aerostat.services.glance.drivers.file import FileDriver
from aerostat.services.glance.drivers.http import HttpDriver
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
    return _rbd(wanted)


DEBIAN = Path("/usr/lib/python3/dist-packages")
"""Where Debian has Ceph's libraries, which are on no index: a virtual environment looks past it."""


def _rbd(wanted: RbdStore) -> Store:
    for name in ("rados", "rbd"):
        _load(name)
    from aerostat.services.glance.drivers.rbd import RbdDriver

    opened: Callable[[RbdStore], Store] = RbdDriver
    return opened(wanted)


def _load(name: str) -> None:
    """Have one of Ceph's modules. Raises: Unsupported (it is not installed)."""
    if name in sys.modules or importlib.util.find_spec(name) is not None:
        return
    found = [DEBIAN / f"{name}{suffix}" for suffix in importlib.machinery.EXTENSION_SUFFIXES]
    for path in found:
        if path.exists():
            spec = importlib.util.spec_from_file_location(name, path)
            assert spec is not None and spec.loader is not None
            sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])
            return
    raise Unsupported(
        "The rbd store needs Ceph's libraries: apt-get install python3-rados python3-rbd"
    )
