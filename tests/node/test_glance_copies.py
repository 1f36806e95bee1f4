"""Two glance-api processes over one database server, with nothing but stores and keys in common.

On MariaDB they know of no database: a process with the role glance-registry owns the rows.
"""

import http.client
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.cluster import Cluster, running

from aerostat.assembly.settings import Settings
from aerostat.cli.cloud import ApiError, Login, log_in

DATA = os.urandom(1 << 20)
OCTETS = {"content-type": "application/octet-stream"}
NEW = {"name": "i", "disk_format": "raw", "container_format": "bare"}
pytestmark = pytest.mark.timeout(300)

TOML = """
[glance]
data_api = "{data_api}"
worker_self_reference_url = "http://127.0.0.1:{port}"
lease_s = 2.0
[glance.enabled_backends.file]
type = "file"
filesystem_store_datadir = "{images}"
"""


class Images(Cluster):
    """A process with keystone and glance-registry, and glance-api copies 1 and 2."""

    def __init__(self, folder: Path, kind: str, data_api: str) -> None:
        super().__init__(folder, kind, copies=1, hosts=0)
        self._data_api = data_api
        self.token = ""

    def start(self) -> None:
        """Start everything and log in."""
        self.database.start()
        self.rabbit.start()
        self.run("db", "migrate")
        for name in ("keys", "images"):
            (self.folder / name).mkdir()
            if os.geteuid() == 0:
                shutil.chown(self.folder / name, Settings().service_user)
        self.own()
        self.wait(self._logged_in)
        for copy in (1, 2):
            self.copy(copy)

    def _logged_in(self) -> bool:
        try:
            password = (self.folder / "state" / "control" / "admin-password").read_text()
            self.token = log_in(Login(self.auth_url, "admin", password, "admin")).id
        except (ApiError, OSError):
            return False
        return True

    def copy(self, number: int) -> None:
        """Start a glance-api with a state directory of its own, and wait until it answers."""
        state = self.folder / f"state-{number}"
        state.mkdir(exist_ok=True)
        values = {"data_api": self._data_api, "port": self.port(number)}
        toml = TOML.format(images=self.folder / "images", **values)
        (state / "aerostat.toml").write_text(toml)
        more = {"AEROSTAT_DATABASE_URL": ""} if self._data_api == "registry" else {}
        self._launch(f"glance-{number}", "glance-api", 100 * number, state, **more)
        self.wait(lambda: self._answers(number))

    def _answers(self, number: int) -> bool:
        try:
            return self.ask(number, "GET", "/v2/images").status_code == 200
        except httpx.HTTPError:
            return False

    def own(self) -> None:
        """Start the process that has the rows."""
        self._launch("owner", "keystone,glance-registry", 0, self.folder / "state")

    def _launch(self, name: str, roles: str, offset: int, state: Path, **more: str) -> None:
        folders = {"AEROSTAT_KEYS_DIR": self.folder / "keys", "AEROSTAT_STATE_DIR": state}
        self.launch(name, roles, offset, **{k: str(v) for k, v in folders.items()}, **more)

    def port(self, number: int) -> int:
        return self.offset + 9292 + 100 * number

    def ask(self, number: int, method: str, path: str, **more: object) -> httpx.Response:
        """Send a request to a copy as the administrator."""
        headers = {"x-auth-token": self.token, **more.pop("headers", {})}  # type: ignore[dict-item]
        url = f"http://127.0.0.1:{self.port(number)}{path}"
        return httpx.request(method, url, headers=headers, timeout=30, **more)  # type: ignore[arg-type]

    def image(self, number: int) -> str:
        return str(self.ask(number, "POST", "/v2/images", json=NEW).json()["id"])

    def status(self, number: int, image_id: str) -> str:
        return str(self.ask(number, "GET", f"/v2/images/{image_id}").json()["status"])

    def staging(self, number: int) -> list[str]:
        folder = self.folder / f"state-{number}" / "control" / "glance" / "staging"
        return [path.name for path in folder.iterdir()]


@pytest.fixture(params=[("postgresql", "sqlalchemy"), ("mariadb", "registry")], ids=lambda p: p[1])
def images(request: pytest.FixtureRequest) -> Iterator[Images]:
    with running(lambda folder: Images(folder, *request.param)) as made:
        yield made


def test_copies_share_their_work(images: Images, tmp_path: Path) -> None:
    first = images.image(1)
    path = f"/v2/images/{first}/file"
    assert images.ask(1, "PUT", path, content=DATA, headers=OCTETS).status_code == 204
    for copy in (1, 2):
        assert images.ask(copy, "GET", path).content == DATA
    staged = images.image(2)
    put = images.ask(1, "PUT", f"/v2/images/{staged}/stage", content=DATA, headers=OCTETS)
    assert put.status_code == 204 and images.staging(1) == [staged] and images.staging(2) == []
    body = {"method": {"name": "glance-direct"}}
    reply = images.ask(2, "POST", f"/v2/images/{staged}/import", json=body)
    assert reply.status_code == 202, reply.text
    images.wait(lambda: images.status(2, staged) == "active")
    for copy in (1, 2):
        assert images.ask(copy, "GET", f"/v2/images/{staged}/file").content == DATA

    (tmp_path / "one.json").write_text('{"namespace": "OS::One", "display_name": "One"}')
    assert "loaded" in images.run("glance", "metadefs", "load", str(tmp_path / "one.json"))
    assert images.ask(2, "GET", "/v2/metadefs/namespaces/OS::One").status_code == 200

    _killed_while_it_uploads(images)
    if images._data_api == "registry":
        images.stop("owner")
        assert images.ask(2, "GET", "/v2/images").status_code in (401, 503)
        images.own()
        images.wait(lambda: images._answers(2))


def _killed_while_it_uploads(images: Images) -> None:
    image_id = images.image(1)
    path = f"/v2/images/{image_id}/file"
    connection = http.client.HTTPConnection("127.0.0.1", images.port(1), timeout=30)
    connection.putrequest("PUT", path)
    headers = {"x-auth-token": images.token, "content-length": str(4 << 20), **OCTETS}
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(DATA)
    images.wait(lambda: images.status(2, image_id) == "saving")
    busy = images.ask(2, "PUT", path, content=DATA, headers=OCTETS)
    assert busy.status_code == 409
    images.kill("glance-1")
    connection.close()
    assert len(images.staging(1)) == 1
    images.wait(lambda: images.status(2, image_id) == "queued")
    assert images.ask(2, "PUT", path, content=DATA[:1000], headers=OCTETS).status_code == 204
    images.copy(1)
    assert images.staging(1) == []
    assert images.ask(1, "GET", path).content == DATA[:1000]
