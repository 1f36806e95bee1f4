"""Real servers for tests: started once when first asked for, gone with the test run.

AEROSTAT_TEST_DATABASE=postgresql (or mariadb) runs every test's cloud on that engine.
"""

import itertools
import os

from aerostat.assembly.ceph import Ceph
from aerostat.assembly.engines import MariaDb, PostgreSql, RabbitMq, Server
from aerostat.assembly.swift import Swift
from tests.folders import new_folder

KINDS: dict[str, type[Server]] = {
    "postgresql": PostgreSql,
    "mariadb": MariaDb,
    "rabbitmq": RabbitMq,
    "ceph": Ceph,
    "swift": Swift,
}

_running: dict[str, Server] = {}
_count = itertools.count(1)


def server(kind: str) -> Server:
    """Return the server of this test run, started."""
    if kind not in _running:
        made = KINDS[kind](new_folder(kind) / "server")
        made.start()
        _running[kind] = made
    return _running[kind]


def new_database(kind: str) -> str:
    """Return the URL of a new empty database; "" for SQLite."""
    if kind == "sqlite":
        return ""
    found = server(kind)
    assert isinstance(found, PostgreSql | MariaDb)
    return found.create(f"test_{os.getpid()}_{next(_count)}")


def database_url() -> str:
    """Return a new database of the kind that this test run is about."""
    return new_database(os.environ.get("AEROSTAT_TEST_DATABASE", "sqlite"))
