"""How long the cloud is away when a part of it is killed, behind HAProxy with two copies of each.

For each part three probes run all the time: one lists servers, one asks for a server, one makes a
server and waits for ACTIVE. The part gets kill -9 or a polite stop, and the longest time without a
success is the row. With `--spare` the database and RabbitMQ have copies too (assembly/copies.py),
and are not started again while the time is taken; without, they are started again at once.

usage: ./aerostat bench failover [--kind=postgresql|mariadb] [--spare]
"""

import argparse
import itertools
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.cluster import Cluster
from tests.comers import Comers

from aerostat.assembly.copies import PostgresPair, RabbitCluster
from aerostat.cli.cloud import ApiError, Cloud

CALM_S, AFTER_S = 2.0, 10.0


class Prober(threading.Thread):
    """Calls again and again; notes when it succeeded, and what failed."""

    def __init__(self, call: Callable[[], Any], pause_s: float) -> None:
        super().__init__(daemon=True)
        self._call, self._pause_s = call, pause_s
        self.successes: list[float] = []
        self.failures: list[str] = []
        self.over = False

    def run(self) -> None:
        while not self.over:
            try:
                self._call()
                self.successes.append(time.monotonic())
            except (ApiError, AssertionError) as why:
                self.failures.append(str(why))
            time.sleep(self._pause_s)

    def gap_s(self, since: float) -> float:
        """Return the longest time without a success after `since`."""
        times = [since, *[t for t in self.successes if t > since], time.monotonic()]
        return max(b - a for a, b in itertools.pairwise(times))


def make_one(cloud: Cloud, body: Any) -> None:
    """Make a server, wait until it is ACTIVE, delete it."""
    made = cloud.post("compute", "/servers", {"server": {"name": "probe", **body}})["server"]["id"]
    end = time.monotonic() + 60
    while (status := cloud.get("compute", f"/servers/{made}")["server"]["status"]) == "BUILD":
        assert time.monotonic() < end, "a server is stuck in BUILD"
        time.sleep(0.02)
    cloud.delete("compute", f"/servers/{made}")
    assert status == "ACTIVE", status


def ask_for_one(cloud: Cloud, body: Any) -> None:
    """Have a server promised, and take that back."""
    made = cloud.post("compute", "/servers", {"server": {"name": "asked", **body}})["server"]["id"]
    cloud.delete("compute", f"/servers/{made}")


Strike = Callable[[Cluster], None]


def kill(name: str) -> tuple[Strike, Strike]:
    """Return how a process dies at once, and how it comes back."""
    return lambda c: c.kill(name), lambda c: c.spawn(name)


def stop(name: str) -> tuple[Strike, Strike]:
    """Return how a process ends in good order, and how it comes back."""
    return lambda c: c.stop(name), lambda c: c.spawn(name)


def again(name: str) -> tuple[Strike, Strike]:
    """Return how the only server of a kind dies and is started at once."""

    def strike(cluster: Cluster) -> None:
        server = getattr(cluster, name)
        server.kill()
        server.start()

    return strike, lambda _: None


def rabbit_node(choose: Callable[[dict[str, int]], str]) -> tuple[Strike, Strike]:
    """Return how one node of RabbitMQ dies, chosen by the queues that each leads."""
    chosen: list[Any] = []

    def strike(cluster: Cluster) -> None:
        name = choose(cluster.rabbit.leaders())
        chosen[:] = [node for node in cluster.rabbit.nodes if node.name == name]
        chosen[0].kill()

    return strike, lambda _: chosen[0].start()


def database_node(cluster: Cluster) -> None:
    """The database in use dies; PostgreSQL's standby is promoted, as an operator's tool does."""
    cluster.database.nodes[0].kill()
    if isinstance(cluster.database, PostgresPair):
        cluster.database.promote()


def database_back(cluster: Cluster) -> None:
    """Galera's node comes back; a PostgreSQL that was the primary would have to be made anew."""
    if not isinstance(cluster.database, PostgresPair):
        cluster.database.nodes[0].start()


def controller(cluster: Cluster) -> None:
    """A machine with a copy of everything but the database in use dies."""
    cluster.kill("api-0")
    cluster.kill("engine-0")
    cluster.rabbit.nodes[0].kill()


def controller_back(cluster: Cluster) -> None:
    cluster.rabbit.nodes[0].start()
    cluster.spawn("api-0")
    cluster.spawn("engine-0")


PROCESSES: list[tuple[str, tuple[Strike, Strike]]] = [
    ("nothing", (lambda _: None, lambda _: None)),
    ("API copy, stopped", stop("api-0")),
    ("API copy, kill -9", kill("api-1")),
    ("conductor and scheduler, stopped", stop("engine-0")),
    ("conductor and scheduler, kill -9", kill("engine-1")),
]
SINGLE = [
    ("RabbitMQ (one), kill -9 and start", again("rabbit")),
    ("database (one), kill -9 and start", again("database")),
]
SPARE: list[tuple[str, tuple[Strike, Strike]]] = [
    ("RabbitMQ node with most leaders", rabbit_node(lambda n: max(n, key=n.__getitem__))),
    ("RabbitMQ node with fewest leaders", rabbit_node(lambda n: min(n, key=n.__getitem__))),
    ("controller: API, conductor, RabbitMQ", (controller, controller_back)),
    ("database node in use", (database_node, database_back)),
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", default="postgresql", choices=["postgresql", "mariadb"])
    parser.add_argument("--spare", action="store_true")
    parser.add_argument("--only", default="", help="rows whose titles have this in them")
    parser.add_argument("--keep", action="store_true", help="keep the logs")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="aerostat-failover-"))
    folder.chmod(0o755)
    cluster = Cluster(folder / "c", options.kind, spare=options.spare)
    rows = [*PROCESSES, *(SPARE if options.spare else SINGLE)]
    try:
        cluster.start()
        comers = Comers(cluster.admin())
        print(f"{'what':<38} {'list':>9} {'promised':>9} {'ACTIVE':>9} {'failed calls':>13}")
        for title, (strike, back) in rows:
            if options.only in title:
                print(row(cluster, comers, title, strike), flush=True)
                back(cluster)
                cluster.wait(cluster.answers)
                time.sleep(CALM_S)
    finally:
        cluster.close()
        if options.keep:
            print(f"logs: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def row(cluster: Cluster, comers: Comers, title: str, strike: Strike) -> str:
    """Do one thing to the cluster and return the line about it."""
    login, body = comers.admin.login, comers.body
    listing, asking, making = Cloud(login), Cloud(login), Cloud(login)
    probers = [
        Prober(lambda: listing.list("compute", "servers", "/servers"), 0.01),
        Prober(lambda: ask_for_one(asking, body), 0.05),
        Prober(lambda: make_one(making, body), 0.01),
    ]
    for prober in probers:
        prober.start()
    if not isinstance(cluster.rabbit, RabbitCluster):
        cluster.rabbit.sync()
    time.sleep(CALM_S)
    since = time.monotonic()
    strike(cluster)
    time.sleep(AFTER_S)
    gaps = [prober.gap_s(since) for prober in probers]
    for prober in probers:
        prober.over = True
        prober.join(60)
    failures = [why for prober in probers for why in prober.failures]
    for why in sorted(set(failures)):
        print(f"  failed: {why}", file=sys.stderr)
    figures = "".join(f" {gap:>7.2f} s" for gap in gaps)
    return f"{title:<38}{figures} {len(failures):>13}"


if __name__ == "__main__":
    sys.exit(main())
