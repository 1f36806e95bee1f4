"""A Swift of one's own for tests: one proxy, one server of each kind, one replica, one device.

Its tokens are checked by a keystone that need not be there yet when it starts.
"""

import http.client
import shutil
import signal
import subprocess
from pathlib import Path

from aerostat.assembly import orphans
from aerostat.assembly.engines import READY_S, Server, free_port

KINDS = ("account", "container", "object")
PIPELINE = "catch_errors healthcheck listing_formats authtoken keystoneauth slo dlo proxy-server"


class Swift(Server):
    """The object store; `prepare_for` tells it which keystone it believes."""

    user, package = (
        "swift",
        ("swift-proxy swift-account swift-container swift-object python3-keystonemiddleware"),
    )
    program = Path("/usr/bin/swift-proxy-server")

    def __init__(self, folder: Path, port: int = 0) -> None:
        super().__init__(folder, port)
        self.keystone_port = free_port()
        self._ports = {kind: free_port() for kind in KINDS}
        self._others: list[subprocess.Popen[bytes]] = []

    def initialise(self) -> None:
        device = self.folder / "data" / "d1"
        device.mkdir(mode=0o700)
        shutil.chown(device, self.user, self.user)
        for kind, port in self._ports.items():
            builder = f"{kind}.builder"
            for words in (
                ["create", "4", "1", "1"],
                ["add", f"r1z1-127.0.0.1:{port}/d1", "1"],
                ["rebalance"],
            ):
                self.run("/usr/bin/swift-ring-builder", builder, *words)
            self._write(kind, port, f"healthcheck {kind}-server", f"[app:{kind}-server]")
        self._write("proxy", self.port, PIPELINE, self._proxy())

    def _write(self, kind: str, port: int, pipeline: str, rest: str) -> None:
        app = "" if kind == "proxy" else f"use = egg:swift#{kind}\n"
        self._file(kind).write_text(
            f"[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = {port}\nworkers = 0\nuser = {self.user}\n"
            f"devices = {self.folder / 'data'}\nmount_check = false\nfallocate_reserve = 0\n"
            f"swift_dir = {self.folder}\nlog_address = {self.folder / 'no-syslog'}\n"
            f"[pipeline:main]\npipeline = {pipeline}\n"
            f"[filter:healthcheck]\nuse = egg:swift#healthcheck\n{rest}\n{app}"
        )

    def _proxy(self) -> str:
        filters = ("catch_errors", "listing_formats", "slo", "dlo", "keystoneauth")
        lines = [f"[filter:{name}]\nuse = egg:swift#{name}" for name in filters]
        return "\n".join(
            [
                "[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true",
                *lines,
                "operator_roles = admin, member",
                "[filter:authtoken]",
                "paste.filter_factory = keystonemiddleware.auth_token:filter_factory",
                f"www_authenticate_uri = http://127.0.0.1:{self.keystone_port}/v3",
                f"auth_url = http://127.0.0.1:{self.keystone_port}/v3",
                "auth_type = password",
                "username = admin",
                f"password = {self.secret}",
                "project_name = admin",
                "user_domain_id = default",
                "project_domain_id = default",
                "delay_auth_decision = false",
            ]
        )

    secret = "secret-of-the-test"
    """The password of that keystone's administrator."""

    def _file(self, kind: str) -> Path:
        return self.folder / f"{kind}-server.conf"

    def command(self) -> list[str]:
        return [str(self.program), str(self._file("proxy"))]

    def launch(self) -> None:
        """Start the proxy and the servers behind it."""
        super().launch()
        for kind in KINDS:
            command = [f"/usr/bin/swift-{kind}-server", str(self._file(kind))]
            self._others.append(self.spawn(command))

    def answers(self) -> bool:
        return all(_healthy(port) for port in (self.port, *self._ports.values()))

    def objects(self) -> list[str]:
        """Return the files that hold the data of objects, wherever they are."""
        found = (self.folder / "data" / "d1").rglob("*.data")
        return sorted(str(path) for path in found if "/objects/" in str(path))

    def _end(self, number: signal.Signals) -> None:
        others, self._others = self._others, []
        for one in others:
            orphans.end(one, number, READY_S)
        super()._end(number)


def _healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/healthcheck")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
