"""How the cloud grows: hosts and servers, on SQLite, PostgreSQL and MariaDB, with fake hosts.

For each engine and number of hosts: register the hosts, make as many servers at once as there are
hosts (16 clients, one request a server), and measure until the last is ACTIVE. Then the listing of
all servers page by page, and GET /allocation_candidates. `--servers` makes more servers and
`--providers` more resource providers (with inventories, but no host behind them) for those two.
`--plot` draws what `--out` wrote (needs matplotlib).

`--split` runs the roles in three processes over RabbitMQ instead of one `control`.

usage: ./aerostat bench scale [--engines=sqlite,postgresql,mariadb] [--hosts=10,100,1000]
                              [--servers=N] [--providers=N] [--out=FILE.json] [--split]
       ./aerostat bench scale --plot=FILE.svg --out=FILE.json
"""

import argparse
import json
import os
import secrets
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.comers import Comers

from aerostat.assembly import orphans
from aerostat.assembly.engines import MariaDb, PostgreSql, RabbitMq, Server
from aerostat.cli.cloud import ApiError, Cloud, Login

ENGINES: dict[str, type[PostgreSql | MariaDb]] = {"postgresql": PostgreSql, "mariadb": MariaDb}
APIS = "keystone,glance-api,placement-api,nova-api,neutron-server"
REST = "nova-conductor,nova-scheduler,nova-metadata"
CLIENTS = 16
LIMIT_S = 1800.0


class Installation:
    """A cloud of real processes over an engine."""

    def __init__(self, folder: Path, hosts: int, servers: list[Server], *, split: bool) -> None:
        self.state, self.hosts = folder / "state", hosts
        self.offset = secrets.randbelow(8000) + 11000
        inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        self.environment = {
            **inherited,
            "AEROSTAT_STATE_DIR": str(self.state),
            "AEROSTAT_PORT_OFFSET": str(self.offset),
            "AEROSTAT_COMPUTE_DRIVER": "fake",
            "AEROSTAT_FAKE_HOSTS": str(hosts),
            "AEROSTAT_HOST": "h",
            "AEROSTAT_PASSWORD_HASH_ROUNDS": "4",
            "AEROSTAT_LOG_LEVEL": "WARNING",
        }
        for server in servers:
            name = "BUS_URL" if isinstance(server, RabbitMq) else "DATABASE_URL"
            self.environment[f"AEROSTAT_{name}"] = server.url  # type: ignore[attr-defined]
        self.roles = [APIS, REST, "node"] if split else ["control", "node"]
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> float:
        """Start it; return the seconds until every host is up."""
        self.state.mkdir(parents=True)
        run = [sys.executable, "-m", "aerostat.cli"]
        if "AEROSTAT_DATABASE_URL" in self.environment:
            subprocess.run([*run, "db", "migrate"], env=self.environment, check=True, stdout=-3)
        began = time.monotonic()
        for number, roles in enumerate(self.roles):
            log = (self.state.parent / f"process-{number}.log").open("wb")
            words = [*run, "run", roles]
            process = subprocess.Popen(
                words, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
            orphans.watch(process)
            self.processes.append(process)
        while self.hosts_up() < self.hosts:
            assert time.monotonic() - began < LIMIT_S, "the hosts do not come up"
            assert all(p.poll() is None for p in self.processes), "a process died"
            time.sleep(0.2)
        return time.monotonic() - began

    def admin(self) -> Cloud:
        password = (self.state / "control" / "admin-password").read_text()
        return Cloud(Login(f"http://127.0.0.1:{self.offset + 5000}/v3", "admin", password, "admin"))

    def hosts_up(self) -> int:
        try:
            admin = self.admin()
            found = admin.get("compute", "/os-services", binary="nova-compute")["services"]
            return len([s for s in found if s["state"] == "up"])
        except (ApiError, OSError):
            return 0

    def memory_mib(self) -> int:
        """Return the proportional set size of all processes."""
        total = 0
        for process in self.processes:
            rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
            total += int(rollup.partition("Pss:")[2].split()[0])
        return total // 1024

    def close(self) -> None:
        for process in self.processes:
            orphans.end(process, signal.SIGKILL, LIMIT_S)


@contextmanager
def engine(folder: Path, kind: str, *, split: bool) -> Iterator[list[Server]]:
    servers: list[Server] = []
    if kind != "sqlite":
        servers.append(ENGINES[kind](folder / kind))
    if split:
        servers.append(RabbitMq(folder / "rabbitmq"))
    try:
        for server in servers:
            server.start()
        yield servers
    finally:
        for server in servers:
            server.kill()


def measure(kind: str, hosts: int, options: argparse.Namespace) -> dict[str, Any]:
    """Return one row."""
    split = options.split
    folder = Path(tempfile.mkdtemp(prefix="aerostat-scale-"))
    folder.chmod(0o755)
    try:
        with engine(folder, kind, split=split) as servers:
            cloud = Installation(folder, hosts, servers, split=split)
            try:
                row = {"engine": kind, "split": split, "hosts": hosts, "hosts_up_s": cloud.start()}
                row |= burst(cloud, options.servers or hosts)
                add_providers(cloud, options.providers - hosts)
                row["providers"] = max(hosts, options.providers)
                row |= listing(cloud) | candidates(cloud)
                return row | {"pss_mib": cloud.memory_mib()}
            finally:
                cloud.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def burst(cloud: Installation, count: int) -> dict[str, Any]:
    """Make `count` servers at once; times are from the request to ACTIVE, by nova's own clock."""
    comers = Comers(cloud.admin())
    body = {**comers.body, "networks": "none"}

    def make(number: int) -> str:
        made = clouds[number % CLIENTS].post(
            "compute", "/servers", {"server": {"name": f"s{number}", **body}}
        )
        return str(made["server"]["id"])

    clouds = [Cloud(comers.admin.login) for _ in range(CLIENTS)]
    for one in clouds:
        one.get("compute", "/limits")
    began = time.time()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(make, range(count)))
    accepted_s = time.time() - began
    admin = cloud.admin()
    while True:
        busy = admin.list("compute", "servers", "/servers", status="BUILD", limit=1)
        if not busy:
            break
        assert time.time() - began < LIMIT_S
        time.sleep(0.1)
    took = time.time() - began
    found = admin.list("compute", "servers", "/servers/detail")
    bad = [s["status"] for s in found if s["status"] != "ACTIVE"]
    assert not bad, f"{len(bad)} servers are not ACTIVE: {set(bad)}"
    waits = sorted(_moment(s["OS-SRV-USG:launched_at"]) - _moment(s["created"]) for s in found)
    return {
        "servers": count,
        "accepted_per_s": count / accepted_s,
        "active_per_s": count / took,
        "active_p99_s": waits[int(len(waits) * 0.99) - 1] if len(waits) > 1 else waits[0],
    }


def _moment(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text.rstrip("Z")).timestamp()


def add_providers(cloud: Installation, count: int) -> None:
    """Have `count` more resource providers, alike to those of the fake hosts."""
    admin = cloud.admin()
    inventories = {name: {"total": total} for name, total in (("VCPU", 64), ("MEMORY_MB", 262144))}

    def make(number: int) -> None:
        one = clouds[number % CLIENTS]
        body = {"name": f"provider-{number}", "uuid": str(uuid.uuid4())}
        one.post("placement", "/resource_providers", body)
        path = f"/resource_providers/{body['uuid']}/inventories"
        wanted = {"resource_provider_generation": 0, "inventories": inventories}
        one.call("PUT", "placement", path, wanted)

    clouds = [Cloud(admin.login) for _ in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(make, range(count)))


def listing(cloud: Installation) -> dict[str, Any]:
    """Time a walk through all servers with details, 1,000 a page at most."""
    admin, marker, pages = cloud.admin(), "", list[float]()
    count = 0
    while True:
        began = time.monotonic()
        more = {"marker": marker} if marker else {}
        found = admin.get("compute", "/servers/detail", limit=1000, **more)["servers"]
        pages.append((time.monotonic() - began) * 1000)
        if not found:
            break
        count, marker = count + len(found), found[-1]["id"]
    shown = {"page_first_ms": pages[0], "page_slowest_ms": max(pages)}
    return {"listed": count, "list_all_s": sum(pages) / 1000, **shown}


def candidates(cloud: Installation) -> dict[str, Any]:
    """Time allocation candidates: all of them, and the first ten."""
    admin, row = cloud.admin(), {}
    for limit in (10, 1000):
        times = []
        for _ in range(30):
            began = time.monotonic()
            resources = "VCPU:1,MEMORY_MB:64"
            admin.get("placement", "/allocation_candidates", resources=resources, limit=limit)
            times.append((time.monotonic() - began) * 1000)
        row[f"candidates_{limit}_p50_ms"] = statistics.median(times)
        row[f"candidates_{limit}_p99_ms"] = max(times)
    return row


PLOTTED = {
    "active_per_s": "servers to ACTIVE per second, burst of one per host",
    "active_p99_s": "p99 from request to ACTIVE (s), same burst",
    "candidates_10_p50_ms": "allocation candidates, limit=10, p50 (ms)",
    "candidates_1000_p50_ms": "allocation candidates, limit=1000, p50 (ms)",
}


def plot(rows: list[dict[str, Any]], file: Path) -> None:
    """Draw how figures grow with hosts, a line for each engine; of a size the last row counts."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(10, 7))
    for axis, (name, title) in zip(axes.flat, PLOTTED.items(), strict=True):
        asked = name.startswith("candidates")
        over = "providers" if asked else "hosts"
        shown = [r for r in rows if asked or r["servers"] == r["hosts"]]
        for kind in dict.fromkeys(row["engine"] for row in rows):
            points = sorted({r[over]: r[name] for r in shown if r["engine"] == kind}.items())
            axis.plot(*zip(*points, strict=True), marker="o", label=kind)
        axis.set(xscale="log", yscale="log", xlabel=over, title=title)
        axis.grid(visible=True, which="both", alpha=0.3)
    axes.flat[0].legend()
    figure.tight_layout()
    figure.savefig(file)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engines", default="sqlite,postgresql,mariadb")
    parser.add_argument("--hosts", default="10,100,1000")
    parser.add_argument("--split", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--servers", type=int, default=0)
    parser.add_argument("--providers", type=int, default=0)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    if options.plot:
        plot(json.loads(options.out.read_text()), options.plot)
        return 0
    rows = json.loads(options.out.read_text()) if options.out and options.out.exists() else []
    for kind in options.engines.split(","):
        for hosts in map(int, options.hosts.split(",")):
            rows.append(measure(kind, hosts, options))
            shown = {k: round(v, 3) if isinstance(v, float) else v for k, v in rows[-1].items()}
            print(json.dumps(shown), flush=True)
            if options.out:
                options.out.write_text(json.dumps(rows, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
