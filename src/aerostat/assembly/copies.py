"""Second and third copies of the servers of engines.py, as an operator who wants no pause has them.

A RabbitMQ cluster, a Galera cluster of MariaDB, a PostgreSQL primary with a synchronous standby:
for tests, labs and benchmarks, on loopback. Each offers one `url` that names all of its members.
"""

import secrets
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from aerostat.assembly.engines import READY_S, MariaDb, PostgreSql, RabbitMq, Server, free_port
from aerostat.kit.errors import DeadlineExceeded

GALERA = Path("/usr/lib/galera/libgalera_smm.so")
NODES = 3
HASTE = {
    "evs.keepalive_period": "PT0.2S",
    "evs.inactive_check_period": "PT0.1S",
    "evs.join_retrans_period": "PT0.2S",
    "evs.suspect_timeout": "PT0.7S",
    "evs.inactive_timeout": "PT2S",
    "evs.install_timeout": "PT2S",
}
"""A member of Galera that is silent for 0.7 s is put out; after five seconds unless told."""


def _several(urls: list[str]) -> str:
    """Return the URL that names all of the hosts."""
    parts = urlsplit(urls[0])
    places = [urlsplit(url).netloc.rpartition("@")[2] for url in urls]
    return parts._replace(netloc=f"{parts.username}:{parts.password}@{','.join(places)}").geturl()


def _passable(folder: Path) -> None:
    """Have a folder that the servers' users get through."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)


def _start(members: list[Server]) -> None:
    """Start servers side by side."""
    with ThreadPoolExecutor(len(members)) as pool:
        for one in [pool.submit(member.start) for member in members]:
            one.result()


class RabbitCluster:
    """Three RabbitMQ nodes; those in a minority stop. Source: RabbitMQ manual, clustering."""

    def __init__(self, folder: Path, nodes: int = NODES) -> None:
        self.folder = folder
        self.nodes = [RabbitMq(folder / f"rabbitmq-{n}") for n in range(nodes)]
        epmd, cookie = free_port(), secrets.token_hex(16)
        for node in self.nodes:
            node.join(epmd, cookie, [other.name for other in self.nodes])

    @property
    def url(self) -> str:
        return _several([node.url for node in self.nodes])

    @property
    def admin_url(self) -> str:
        return ",".join(node.admin_url for node in self.nodes)

    def start(self) -> None:
        """Start the first, which is the cluster, and let the others join it."""
        _passable(self.folder)
        self.nodes[0].start()
        _start([*self.nodes[1:]])

    def leaders(self) -> dict[str, int]:
        """Return how many queues each node leads, by its name."""
        counts = {node.name: 0 for node in self.nodes}
        said = next(n for n in self.nodes if n.process).control(
            "list_queues", "type", "leader", "--silent"
        )
        for line in said.splitlines():
            kind, _, leader = line.partition("\t")
            if "quorum" in kind and leader in counts:
                counts[leader] += 1
        return counts

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()


class GaleraNode(MariaDb):
    """A MariaDB server that certifies its commits with the others."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.group, self.transfer, self.increments = free_port(), free_port(), free_port()
        self.founds, self.members = False, ""

    def initialise(self) -> None:
        """Make a data directory for the first one; the others are sent theirs."""
        if self.founds:
            super().initialise()

    def command(self) -> list[str]:
        first = self.founds and not (self.folder / "data" / "grastate.dat").exists()
        here = f"127.0.0.1:{self.group}"
        provider = {
            "base_port": self.group,
            "gmcast.listen_addr": f"tcp://{here}",
            "ist.recv_addr": f"127.0.0.1:{self.increments}",
            "gcache.size": "32M",
            **HASTE,
        }
        return [
            *super().command(),
            *(["--wsrep-new-cluster"] if first else []),
            *("--wsrep-on=ON", f"--wsrep-provider={GALERA}", "--wsrep-cluster-name=aerostat"),
            f"--wsrep-cluster-address=gcomm://{self.members}",
            *(f"--wsrep-node-address={here}", f"--wsrep-node-name={self.folder.name}"),
            *("--wsrep-sst-method=rsync", f"--wsrep-sst-receive-address=127.0.0.1:{self.transfer}"),
            "--wsrep-provider-options=" + ";".join(f"{k}={v}" for k, v in provider.items()),
            *("--binlog-format=ROW", "--innodb-autoinc-lock-mode=2"),
            "--innodb-flush-log-at-trx-commit=2",
        ]

    def prepare(self) -> None:
        if self.founds:
            super().prepare()


class GaleraCluster:
    """Three MariaDB servers, each of which has everything. Source: Galera documentation."""

    def __init__(self, folder: Path, nodes: int = NODES) -> None:
        self.folder = folder
        self.nodes = [GaleraNode(folder / f"mariadb-{n}") for n in range(nodes)]
        self.nodes[0].founds = True
        for node in self.nodes:
            node.members = ",".join(f"127.0.0.1:{other.group}" for other in self.nodes)

    @property
    def url(self) -> str:
        return _several([node.url for node in self.nodes])

    def start(self) -> None:
        """Start the first, which is the cluster, and let the others join it."""
        _passable(self.folder)
        for node in self.nodes:
            node.start()

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()


class PostgresPair:
    """A PostgreSQL server, and a standby that has every commit before it is confirmed.

    Source: PostgreSQL manual, 27.2 and 27.3.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nodes = [PostgreSql(folder / "postgresql-0"), _Standby(folder / "postgresql-1")]
        assert isinstance(self.nodes[1], _Standby)
        self.nodes[1].primary = self.nodes[0]

    @property
    def url(self) -> str:
        return _several([node.url for node in self.nodes])

    def start(self) -> None:
        """Start the primary, copy it, and let it wait for its standby from then on."""
        _passable(self.folder)
        first, second = self.nodes
        first.start()
        second.start()
        first.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
        first.sql("SELECT pg_reload_conf()")
        end = time.monotonic() + READY_S
        while "sync" not in first.sql("SELECT sync_state FROM pg_stat_replication").split():
            if time.monotonic() > end:
                raise DeadlineExceeded("the standby does not follow")
            time.sleep(0.05)

    def promote(self) -> None:
        """Make the standby the primary, as the operator's tool does when the primary is dead."""
        second = self.nodes[1]
        second.run(second.home / "pg_ctl", "promote", "-W", "-D", second.folder / "data")

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()


class _Standby(PostgreSql):
    """Follows the primary until it is promoted."""

    primary: PostgreSql

    def initialise(self) -> None:
        shutil.rmtree(self.folder / "data")
        where = f"host=127.0.0.1 port={self.primary.port} user=postgres"
        data = self.folder / "data"
        self.run(
            self.home / "pg_basebackup", "-R", "-c", "fast", "-X", "stream", "-D", data, "-d", where
        )

    def prepare(self) -> None:
        """It has what the primary has."""

    def command(self) -> list[str]:
        """It looks often: a promotion waits until the next look (5 s by default)."""
        return [*super().command(), "-c", "wal_retrieve_retry_interval=100ms"]
