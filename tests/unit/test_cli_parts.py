"""The command line's own logic: options, pid files, credentials, the client, ports."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from aerostat.assembly.services import MANIFESTS, NOVNC_PORT
from aerostat.assembly.settings import Settings
from aerostat.cli import health, places, processes
from aerostat.cli.arguments import COMMANDS, parse
from aerostat.cli.cloud import ApiError, Cloud, Login, log_in
from aerostat.cli.console import CliError
from aerostat.cli.credentials import exports
from aerostat.cli.places import read_private, write_private

LOGIN = Login("http://127.0.0.1:1/v3", "admin", "secret", "admin")


def test_ports_are_those_of_assembly() -> None:
    assembled = {(m.name, m.port) for m in MANIFESTS} | {("novncproxy", NOVNC_PORT)}
    assert {(name, port) for name, port, _ in health.SERVICES} == assembled


def test_every_command_has_a_module() -> None:
    root = Path(places.__file__).parent
    for module, _, _ in COMMANDS.values():
        assert (root / f"{module.replace('.', '/')}.py").exists()


def test_state_dir_before_and_behind_the_command() -> None:
    assert parse(["--state-dir", "/a", "status"]).state_dir == Path("/a")
    assert parse(["status", "--state-dir", "/b", "--json"]).state_dir == Path("/b")


def test_pytest_gets_its_own_options() -> None:
    assert parse(["test", "-k", "cli", "--lf"]).rest == ["-k", "cli", "--lf"]


def test_an_unknown_command_shows_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as why:
        parse(["fly"])
    assert why.value.code == 2
    assert "invalid choice" in capsys.readouterr().err


def test_exports_are_what_clients_read() -> None:
    lines = exports(LOGIN).splitlines()
    assert "export OS_AUTH_URL='http://127.0.0.1:1/v3'" in lines
    assert "export OS_PROJECT_DOMAIN_NAME='Default'" in lines
    assert all(line.startswith("export OS_") for line in lines)


def test_private_files_are_private(tmp_path: Path) -> None:
    write_private(tmp_path / "p", "one")
    write_private(tmp_path / "p", "two")
    assert read_private(tmp_path / "p") == "two"
    assert (tmp_path / "p").stat().st_mode & 0o777 == 0o600
    with pytest.raises(CliError) as why:
        read_private(tmp_path / "absent")
    assert "aerostat up" in why.value.advice


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "run").mkdir()
    return Settings(state_dir=tmp_path, compute_driver="fake")


@pytest.mark.parametrize(
    ("bus_url", "found"),
    [
        ("", []),
        ("amqp://u:p@a:1/", ["amqp://u:p@a:1/"]),
        (
            "amqps://u:p@a/?cafile=x, amqps://v:q@b/?cafile=y",
            ["amqps://u:p@a/?cafile=x", "amqps://v:q@b/?cafile=y"],
        ),
        ("rabbit://u:p@a:1,v:q@b:2/", ["amqp://u:p@a:1/", "amqp://v:q@b:2/"]),
        ("amqp://u:p@a:1,b:2/vhost", ["amqp://u:p@a:1/vhost", "amqp://u:p@b:2/vhost"]),
    ],
)
def test_the_bus_may_have_several_servers(bus_url: str, found: list[str]) -> None:
    assert Settings(bus_url=bus_url).bus_urls == found


def test_a_pid_file_names_one_process_for_ever(settings: Settings) -> None:
    at = places.places(settings)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    processes._remember(at, "control", child.pid)
    assert processes.running(settings) == [processes.Process("control", child.pid)]
    # another process that got the same number started at another time
    at.pid_file("control").write_text(f"{child.pid} 1\n")
    assert processes.running(settings) == []
    processes._remember(at, "control", child.pid)
    assert processes.stop(settings, processes.Process("control", child.pid), 10)
    assert processes.running(settings) == []
    assert not at.pid_file("control").exists()
    assert child.stdin is not None
    child.stdin.close()


def test_a_pid_file_of_somebody_else_is_not_believed(settings: Settings) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    at = places.places(settings)
    processes._remember(at, "node", os.getpid())
    os.chown(at.pid_file("node"), 12345, 12345)
    assert processes.running(settings) == []


class _Keystone(BaseHTTPRequestHandler):
    """Gives tokens t1, t2, ...; the compute service behind it knows only the newest."""

    issued = 0

    def do_POST(self) -> None:
        type(self).issued += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        url = f"http://127.0.0.1:{self.server.server_address[1]}"  # type: ignore[index]
        endpoint = {"interface": "public", "region": "RegionOne", "url": url}
        catalog = [{"type": "compute", "endpoints": [endpoint]}]
        token = {"expires_at": "2099-01-01T00:00:00.000000Z", "project": {"id": "p"}}
        self._say(201, {"token": {**token, "catalog": catalog}}, f"t{self.issued}")

    def do_GET(self) -> None:
        if self.headers["X-Auth-Token"] != f"t{self.issued}":
            self._say(401, {"error": {"message": "old"}})
        elif "marker" in self.path:
            self._say(200, {"servers": [{"id": "b"}]})
        elif self.path.startswith("/servers"):
            more = [{"rel": "next", "href": f"http://{self.headers['Host']}/servers?marker=a"}]
            self._say(200, {"servers": [{"id": "a"}], "servers_links": more})
        else:
            self._say(409, {"conflictingRequest": {"code": 409, "message": "It is locked."}})

    def _say(self, status: int, doc: object, token: str = "") -> None:
        raw = json.dumps(doc).encode()
        self.send_response(status)
        self.send_header("X-Subject-Token", token)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def login() -> Iterator[Login]:
    _Keystone.issued = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), _Keystone) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield Login(f"http://127.0.0.1:{server.server_address[1]}/v3", "admin", "x", "admin")
        server.shutdown()


def test_lists_follow_pages_and_tokens_are_kept(login: Login, tmp_path: Path) -> None:
    cache = tmp_path / "token"
    assert [s["id"] for s in Cloud(login, cache).list("compute", "servers")] == ["a", "b"]
    assert Cloud(login, cache).project_id == "p"
    assert _Keystone.issued == 1
    assert cache.stat().st_mode & 0o777 == 0o600


def test_a_cached_token_of_an_earlier_cloud_is_renewed(login: Login, tmp_path: Path) -> None:
    cloud = Cloud(login, tmp_path / "token")
    assert cloud.project_id == "p"
    log_in(login)  # the token in the cache is no longer the newest
    assert len(Cloud(login, tmp_path / "token").list("compute", "servers")) == 2


def test_refusals_say_what_the_service_said(login: Login) -> None:
    with pytest.raises(ApiError) as why:
        Cloud(login).get("compute", "/other")
    assert why.value.status == 409
    assert why.value.message.endswith("409 It is locked.")
    with pytest.raises(ApiError) as why:
        Cloud(login).get("volume", "/")
    assert "no volume service" in why.value.message


def test_nobody_there_says_what_to_do() -> None:
    with pytest.raises(ApiError) as why:
        Cloud(LOGIN).get("compute", "/")
    assert why.value.status == 0
    assert "aerostat up" in why.value.advice
