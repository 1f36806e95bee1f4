"""The tiny guest: built once from Debian packages, uploaded as a public image."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aerostat.cli.cloud import Cloud
from aerostat.cli.command import repository
from aerostat.cli.console import CliError, Console
from aerostat.cli.demo import names

BUILD_TIMEOUT_S = 600
CHUNK_BYTES = 1 << 20


def build(folder: Path) -> Path:
    """Return the image file, built if need be. Raises: CliError."""
    folder.mkdir(parents=True, exist_ok=True)
    script = repository() / "guest" / "build.sh"
    done = subprocess.run(
        ["/bin/bash", script, folder],
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        tail = "\n".join(f"    {line}" for line in (done.stdout + done.stderr).splitlines()[-12:])
        raise CliError(
            f"the guest image could not be built\n{tail}",
            f"see what {script} {folder} says; it needs 'apt-get update' to work",
        )
    return folder / "aerostat-guest.qcow2"


def ensure(admin: Cloud, console: Console, folder: Path) -> Any:
    """Return the image, uploaded if the cloud does not have it yet."""
    for found in admin.list("image", "images", "/v2/images", name=names.IMAGE):
        if found["status"] == "active":
            return found
        admin.delete("image", f"/v2/images/{found['id']}")
    with console.step("build the guest image"):
        file = build(folder)
    with console.step("upload it") as step:
        image = admin.post(
            "image",
            "/v2/images",
            {
                "name": names.IMAGE,
                "disk_format": "qcow2",
                "container_format": "bare",
                "visibility": "public",
                "min_ram": 128,
                "min_disk": 1,
                "os_distro": "aerostat",
            },
        )
        admin.upload("image", f"/v2/images/{image['id']}/file", _chunks(file))
        step.note = f"{file.stat().st_size / 1e6:.1f} MB"
    return admin.get("image", f"/v2/images/{image['id']}")


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as data:
        while chunk := data.read(CHUNK_BYTES):
            yield chunk
