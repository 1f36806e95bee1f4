"""Every endpoint speaks TLS when it is told to, and every client of ours speaks it too."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.folders import open_folder
from tests.installation import Installation

from aerostat.assembly.joining import Authority


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder("tls") as folder:
        yield folder


@pytest.mark.root
def test_the_whole_cloud_over_tls(folder: Path) -> None:
    authority = Authority(folder / "pki")
    cert, key = authority.issue("localhost", "127.0.0.1")
    (folder / "cert.pem").write_text(cert)
    (folder / "key.pem").write_text(key)
    (folder / "pki").chmod(0o755)
    for name in ("cert.pem", "key.pem", "pki/ca.pem"):  # `control` is another user.
        (folder / name).chmod(0o644)
    cloud = Installation(folder / "state", 17400, "fake")
    cloud.environment |= {
        "AEROSTAT_TLS_CERT": str(folder / "cert.pem"),
        "AEROSTAT_TLS_KEY": str(folder / "key.pem"),
        "AEROSTAT_TLS_CA": str(folder / "pki" / "ca.pem"),
    }
    try:
        cloud.run("up")
        status = cloud.json("status")
        assert status["healthy"]
        assert all(s["url"].startswith("https://") for s in status["services"])
        image = {"name": "tiny", "disk_format": "raw", "container_format": "bare"}
        admin = cloud.admin()
        made = admin.post("image", "/v2/images", image)["id"]
        admin.upload("image", f"/v2/images/{made}/file", [b"x" * 512])
        listed = subprocess.run(
            [Path(sys.executable).parent / "openstack", "image", "list", "-f", "value", "-c", "ID"],
            env={**os.environ, **_openrc(cloud)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert listed.stdout.split() == [made], listed.stderr
    finally:
        cloud.run("down")


def _openrc(cloud: Installation) -> dict[str, str]:
    lines = cloud.run("openrc", "admin").splitlines()
    pairs = [line.removeprefix("export ").partition("=") for line in lines if "export" in line]
    return {name: value.strip("'") for name, _, value in pairs}
