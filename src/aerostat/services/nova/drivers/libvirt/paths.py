"""Where things lie on a compute host, named as operators know them."""

import hashlib
from pathlib import Path

from msgspec import Struct

ASIDE = "_resize"
PROBE = ".probe-"


class InstancePaths(Struct, frozen=True):
    """The files of one guest, below `instances/<uuid>`."""

    root: Path

    @property
    def disk(self) -> Path:
        return self.root / "disk"

    @property
    def disk_info(self) -> Path:
        return self.root / "disk.info"

    @property
    def ephemeral(self) -> Path:
        return self.root / "disk.eph0"

    @property
    def swap(self) -> Path:
        return self.root / "disk.swap"

    @property
    def config_drive(self) -> Path:
        return self.root / "disk.config"

    @property
    def rescue(self) -> Path:
        """The root disk of the rescue system, there as long as the server is rescued."""
        return self.root / "disk.rescue"

    @property
    def console_log(self) -> Path:
        return self.root / "console.log"

    @property
    def libvirt_xml(self) -> Path:
        return self.root / "libvirt.xml"

    @property
    def spawning(self) -> Path:
        """Is there from the first step of a spawn until its last."""
        return self.root / "spawning"


class StatePaths(Struct, frozen=True):
    """The directories of nova-compute below its state directory."""

    state: Path

    @property
    def instances(self) -> Path:
        return self.state / "instances"

    @property
    def base(self) -> Path:
        return self.instances / "_base"

    @property
    def self_test(self) -> Path:
        return self.state / "kvm-self-test.json"

    def instance(self, server_id: str) -> InstancePaths:
        return InstancePaths(self.instances / server_id)

    def aside(self, server_id: str) -> InstancePaths:
        """Return where the files of a guest wait for the end of its move."""
        return InstancePaths(self.instances / (server_id + ASIDE))

    def probe(self, name: str) -> Path:
        """Return a file that tells whether two hosts see the same directory."""
        return self.instances / name

    def image(self, image_id: str) -> Path:
        """Return the cache entry of an image: upstream's `_base/<sha1 of the id>`."""
        name = hashlib.sha1(image_id.encode(), usedforsecurity=False).hexdigest()
        return self.base / name


def partial(path: Path) -> Path:
    """Return the name a file has until it is whole."""
    return path.with_name(path.name + ".part")


def write_whole(path: Path, data: bytes) -> None:
    """Let `path` hold `data`, wholly or as before."""
    part = partial(path)
    part.write_bytes(data)
    part.replace(path)
