"""A cloud of many real processes over real servers: roles started, killed and started again."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from aerostat.assembly import orphans
from aerostat.assembly.copies import GaleraCluster, PostgresPair, RabbitCluster
from aerostat.assembly.engines import HaProxy, MariaDb, PostgreSql, RabbitMq
from aerostat.assembly.roles import metrics_place, roles_of
from aerostat.cli.cloud import ApiError, Cloud, Login, log_in, send
from tests.folders import open_folder

PORTS = (5000, 9292, 8778, 8774, 9696)
METRICS = (8790, 8791, 8792)
CONTROL = "keystone,glance-api,placement-api,nova-api,neutron-server"
ENGINES = "nova-conductor,nova-scheduler,nova-metadata"
ROLES = {"api": CONTROL, "engine": ENGINES, "node": "node"}
READY_S = 60.0
TOML = """
[nova]
leftovers_interval_s = 3.0
"""


class Cluster:
    """One database, one RabbitMQ, HAProxy before `copies` of the APIs, engines and fake hosts.

    With `spare`, also the database and RabbitMQ have copies.
    """

    def __init__(
        self,
        folder: Path,
        kind: str,
        *,
        copies: int = 2,
        hosts: int = 3,
        spare: bool = False,
        source: Path | None = None,
    ) -> None:
        self.folder, self.copies, self.hosts = folder, copies, hosts
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        self.database: Any = _database(kind, spare)(folder / "database")
        self.rabbit: Any = (RabbitCluster if spare else RabbitMq)(folder / "rabbitmq")
        self.offset = _free_offset(copies)
        self.proxy: HaProxy | None = None
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.source = source
        """Where the program is that is started from now on, if it is not this one."""

    def start(self) -> None:
        """Start everything and wait until hosts are up."""
        self.database.start()
        self.rabbit.start()
        (self.folder / "state").mkdir()
        (self.folder / "state" / "aerostat.toml").write_text(TOML)
        self.run("db", "migrate")
        if self.copies > 1:
            ports = {
                self.offset + p: [self.offset + 100 * (n + 1) + p for n in range(self.copies)]
                for p in PORTS
            }
            self.proxy = HaProxy(self.folder / "haproxy", ports)
            self.proxy.start()
        for copy in range(self.copies):
            self.spawn(f"api-{copy}")
        self.wait(self.answers)
        for copy in range(self.copies):
            self.spawn(f"engine-{copy}")
        self.spawn("node-0")
        self.wait(lambda: self.hosts_up() >= self.hosts)

    def _offset(self, name: str) -> int:
        """Return the listen_offset of a process."""
        kind, _, number = name.partition("-")
        behind = {"api": 0, "engine": self.copies, "node": 2 * self.copies}[kind]
        alone = kind == "api" and self.copies == 1
        return 0 if alone else 100 * (behind + int(number) + 1)

    def healthy(self, name: str) -> bool:
        """Tell whether a process says that it is well."""
        place = metrics_place(roles_of(ROLES[name.partition("-")[0]].split(",")))
        port = METRICS[place] + self.offset + self._offset(name)
        try:
            return send("GET", f"http://127.0.0.1:{port}/healthz")[0] == 200
        except ApiError:
            return False

    def spawn(self, name: str) -> None:
        """Start a process: api-N, engine-N or node-N."""
        self.launch(name, ROLES[name.partition("-")[0]], self._offset(name))

    def launch(self, name: str, roles: str, listen_offset: int, **more: str) -> None:
        """Start a process with these roles; `more` is what its environment has beside."""
        extra = {"AEROSTAT_LISTEN_OFFSET": str(listen_offset), "AEROSTAT_HOST": f"{name}.test"}
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "aerostat.cli", "run", roles],
                env={**self.environment(), **extra, **more},
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        orphans.watch(process)
        self.processes[name] = process

    def environment(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        return {
            **inherited,
            **({"PYTHONPATH": str(self.source)} if self.source else {}),
            "AEROSTAT_STATE_DIR": str(self.folder / "state"),
            "AEROSTAT_PORT_OFFSET": str(self.offset),
            "AEROSTAT_COMPUTE_DRIVER": "fake",
            "AEROSTAT_FAKE_HOSTS": str(self.hosts),
            "AEROSTAT_DATABASE_URL": self.database.url,
            "AEROSTAT_BUS_URL": self.rabbit.url,
            "AEROSTAT_BUS_ADMIN_URL": self.rabbit.admin_url,
            "AEROSTAT_PASSWORD_HASH_ROUNDS": "4",
        }

    def run(self, *words: str, code: int | None = 0) -> str:
        """Run a command of the program; return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "aerostat.cli", *words],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=READY_S,
            check=False,
        )
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def kill(self, name: str) -> None:
        """kill -9 a process."""
        orphans.end(self.processes[name], signal.SIGKILL, READY_S)

    def stop(self, name: str) -> None:
        """End a process in good order."""
        orphans.end(self.processes[name], signal.SIGTERM, READY_S)

    @property
    def auth_url(self) -> str:
        return f"http://127.0.0.1:{self.offset + 5000}/v3"

    def admin(self) -> Cloud:
        """Return the cloud as the administrator sees it, through HAProxy if there is one."""
        password = (self.folder / "state" / "control" / "admin-password").read_text()
        return Cloud(Login(self.auth_url, "admin", password, "admin"))

    def answers(self) -> bool:
        try:
            password = (self.folder / "state" / "control" / "admin-password").read_text()
            log_in(Login(self.auth_url, "admin", password, "admin"))
            self.admin().list("compute", "services", "/os-services")
        except (ApiError, OSError):
            return False
        return True

    def hosts_up(self) -> int:
        """Return how many hosts are up with their network agents."""
        try:
            admin = self.admin()
            services = admin.list("compute", "services", "/os-services")
            agents = admin.list("network", "agents", "/v2.0/agents")
        except ApiError:
            return 0
        wired = {a["host"] for a in agents if a["alive"]}
        found = [s for s in services if s["binary"] == "nova-compute" and s["state"] == "up"]
        return len([s for s in found if s["host"] in wired])

    def wait(self, condition: Callable[[], Any], timeout_s: float = READY_S) -> None:
        """Wait for a condition; a process that died meanwhile fails the test."""
        end = time.monotonic() + timeout_s
        while not condition():
            dead = [n for n, p in self.processes.items() if p.poll() not in (None, -9, -15, 0)]
            assert not dead, f"{dead} died:\n{self.log(dead[0])}"
            assert time.monotonic() < end, f"not in time: {self.tails()}"
            time.sleep(0.02)

    def wait_empty(self, remaining: Callable[[], list[str]], timeout_s: float) -> None:
        """Wait until nothing remains of what `remaining` lists."""
        end = time.monotonic() + timeout_s
        while left := remaining():
            assert time.monotonic() < end, f"still there: {left}; logs: {self.folder}"
            time.sleep(0.1)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")[-3000:]

    def tails(self) -> str:
        return "\n".join(f"== {name}\n{self.log(name)}" for name in self.processes)

    def close(self) -> None:
        """End everything."""
        for process in self.processes.values():
            orphans.end(process, signal.SIGKILL, READY_S)
        for server in (self.proxy, self.rabbit, self.database):
            if server is not None:
                server.kill()


def _database(kind: str, spare: bool) -> Any:
    alone: dict[str, Any] = {"postgresql": PostgreSql, "mariadb": MariaDb}
    return {"postgresql": PostgresPair, "mariadb": GaleraCluster}[kind] if spare else alone[kind]


def _free_offset(copies: int) -> int:
    """Return an offset at which nobody listens on any of our ports (see engines.free_port)."""
    while True:
        offset = secrets.randbelow(8000) + 11000
        ports = [offset + 100 * n + p for n in range(3 * copies + 1) for p in (*PORTS, *METRICS)]
        if all(_free(port) for port in ports):
            return offset


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


C = TypeVar("C", bound=Cluster)


@contextmanager
def running(make: Callable[[Path], C]) -> Iterator[C]:
    """Run the cluster that `make` returns for a new folder; afterwards nothing is left of it."""
    with open_folder("cluster") as folder:
        made = make(folder / "c")
        try:
            made.start()
            yield made
        finally:
            made.close()
