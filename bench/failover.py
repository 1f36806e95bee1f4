"""How long the cloud is away when a part of it is killed, behind HAProxy with two copies of each.

For each part: two probes run all the time, one that lists servers and one that makes a server and
waits for ACTIVE; the part gets kill -9 (RabbitMQ and the database are started again at once: there
is one of each here) or a polite restart, and the longest time without a success is the row.

usage: ./aerostat bench failover [--kind=postgresql|mariadb]
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

from aerostat.cli.cloud import ApiError, Cloud

CALM_S, AFTER_S = 2.0, 12.0


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


def killed(cluster: Cluster, name: str) -> None:
    cluster.kill(name)


def restarted(cluster: Cluster, name: str) -> None:
    cluster.stop(name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", default="postgresql", choices=["postgresql", "mariadb"])
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="aerostat-failover-"))
    folder.chmod(0o755)
    cluster = Cluster(folder / "c", options.kind)
    try:
        cluster.start()
        comers = Comers(cluster.admin())
        print(f"{'what':<34} {'list servers':>14} {'server ACTIVE':>14} {'failed calls':>13}")
        for title, act, name in (
            ("nothing", None, ""),
            ("API copy, stopped politely", restarted, "api-0"),
            ("API copy, kill -9", killed, "api-1"),
            ("conductor and scheduler, stopped", restarted, "engine-0"),
            ("conductor and scheduler, kill -9", killed, "engine-1"),
            ("RabbitMQ (one), kill -9 and start", "rabbit", ""),
            (f"{options.kind} (one), kill -9 and start", "database", ""),
        ):
            print(row(cluster, comers, title, act, name), flush=True)
    finally:
        cluster.close()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def row(cluster: Cluster, comers: Comers, title: str, act: Any, name: str) -> str:
    """Do one thing to the cluster and return the line about it."""
    cloud = Cloud(comers.admin.login)
    listing = Prober(lambda: cloud.list("compute", "servers", "/servers"), 0.01)
    making = Prober(lambda: make_one(Cloud(comers.admin.login), comers.body), 0.01)
    for prober in (listing, making):
        prober.start()
    time.sleep(CALM_S)
    since = time.monotonic()
    if act == "rabbit":
        cluster.rabbit.sync()
        since = time.monotonic()
        cluster.rabbit.kill()
        cluster.rabbit.start()
    elif act == "database":
        cluster.database.kill()
        cluster.database.start()
    elif act is not None:
        act(cluster, name)
    time.sleep(AFTER_S)
    gaps = [prober.gap_s(since) for prober in (listing, making)]
    for prober in (listing, making):
        prober.over = True
        prober.join(60)
    if act in (killed, restarted):
        cluster.spawn(name)
        cluster.wait(cluster.answers)
        time.sleep(CALM_S)
    failed = len(listing.failures) + len(making.failures)
    return f"{title:<34} {gaps[0]:>12.2f} s {gaps[1]:>12.2f} s {failed:>13}"


if __name__ == "__main__":
    sys.exit(main())
