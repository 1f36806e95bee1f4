"""A Ceph cluster of one's own for tests: one monitor, one OSD of 4 GiB in a file, one pool."""

import json
import shutil
import signal
import subprocess
from pathlib import Path

from aerostat.assembly import orphans
from aerostat.assembly.engines import READY_S, Server
from aerostat.kit.errors import Unsupported
from aerostat.kit.ids import new_uuid

POOL = "images"
USER = "glance"
OPTIONS = {
    "auth cluster required": "cephx",
    "auth service required": "cephx",
    "auth client required": "cephx",
    "osd pool default size": "1",
    "osd pool default min size": "1",
    "osd crush chooseleaf type": "0",
    "mon allow pool size one": "true",
    "mon data avail crit": "1",
    "ms bind msgr1": "false",
    "osd objectstore": "bluestore",
    "bluestore block size": str(4 << 30),
    "osd memory target": str(896 << 20),
    "rados osd op timeout": "30",
}
"""Source: Ceph documentation, "Manual Deployment" and configuration references."""


class Ceph(Server):
    """The cluster, with the pool `images` and the user `glance` who may use it.

    It has no manager: nothing that RBD needs. `config` is what a client reads.
    """

    user, package = "ceph", "ceph-mon ceph-osd ceph-common"
    program = Path("/usr/bin/ceph-mon")
    osd_program = Path("/usr/bin/ceph-osd")

    def __init__(self, folder: Path, port: int = 0) -> None:
        super().__init__(folder, port)
        self._osd: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        """The configuration file; the keys of the clients are beside it."""
        return self.folder / "ceph.conf"

    def initialise(self) -> None:
        if not self.osd_program.exists():
            raise Unsupported(f"{self.osd_program} is not there: apt-get install {self.package}")
        fsid, data = new_uuid(), self.folder / "data"
        self._configure(fsid)
        for name, caps in (("mon.", ["mon"]), ("client.admin", ["mon", "osd"])):
            words = [word for cap in caps for word in ("--cap", cap, "allow *")]
            keys = ["--create-keyring", str(self._keyring(name)), "--gen-key", "-n", name]
            self.run("/usr/bin/ceph-authtool", *keys, *words)
        mine = self._keyring("mon.")
        self.run("/usr/bin/ceph-authtool", mine, "--import-keyring", self._keyring("client.admin"))
        place = f"[v2:127.0.0.1:{self.port}]"
        monmap = self.folder / "monmap"
        words = ["--create", "--fsid", fsid, "--addv", "a", place, str(monmap)]
        self.run("/usr/bin/monmaptool", *words)
        self.run(*self._daemon("mon"), "--mkfs", "--monmap", monmap, "--keyring", mine)
        self.run("/usr/bin/install", "-m", "600", mine, data / "mon" / "keyring")

    def _configure(self, fsid: str) -> None:
        for name in ("mon", "osd"):
            folder = self.folder / "data" / name
            folder.mkdir(mode=0o700)
            shutil.chown(folder, self.user, self.user)
        options = {
            **OPTIONS,
            "fsid": fsid,
            "mon initial members": "a",
            "mon host": f"[v2:127.0.0.1:{self.port}]",
            "public addr": "127.0.0.1",
            "cluster addr": "127.0.0.1",
            "run dir": str(self.folder),
            "admin socket": "",
            "log file": "",
            "mon data": str(self.folder / "data" / "mon"),
            "osd data": str(self.folder / "data" / "osd"),
            "keyring": str(self.folder / "$name.keyring"),
        }
        lines = ["[global]", *(f"{name} = {value}" for name, value in options.items())]
        self.config.write_text("\n".join(lines) + "\n")

    def _keyring(self, name: str) -> Path:
        return self.folder / f"{name}.keyring"

    def _daemon(self, kind: str) -> list[str]:
        program, number = {"mon": (self.program, "a"), "osd": (self.osd_program, "0")}[kind]
        return [str(program), "-c", str(self.config), "-i", number]

    def command(self) -> list[str]:
        return [*self._daemon("mon"), "-f"]

    def launch(self) -> None:
        """Start the monitor, and the OSD, which waits for it."""
        super().launch()
        keyring = self.folder / "data" / "osd" / "keyring"
        if not keyring.exists():
            self._make_osd(keyring)
        self._osd = self.spawn([*self._daemon("osd"), "-f", "--keyring", str(keyring)])

    def _make_osd(self, keyring: Path) -> None:
        secret = self.run("/usr/bin/ceph-authtool", "--gen-print-key").strip()
        uuid = new_uuid()
        self.ceph("osd", "new", uuid, "-i", "-", stdin=json.dumps({"cephx_secret": secret}))
        words = ["--create-keyring", str(keyring), "--name", "osd.0", "--add-key", secret]
        self.run("/usr/bin/ceph-authtool", *words)
        self.run(*self._daemon("osd"), "--mkfs", "--osd-uuid", uuid, "--keyring", keyring)

    def answers(self) -> bool:
        found: int = json.loads(self.ceph("osd", "stat", "-f", "json"))["num_up_osds"]
        return found == 1

    def prepare(self) -> None:
        if POOL in self.ceph("osd", "pool", "ls").split():
            return
        self.ceph("osd", "pool", "create", POOL, "4", "4")
        self.ceph("osd", "pool", "application", "enable", POOL, "rbd")
        caps = ["mon", "profile rbd", "osd", f"profile rbd pool={POOL}"]
        keyring = self._keyring(f"client.{USER}")
        self.ceph("auth", "get-or-create", f"client.{USER}", *caps, "-o", str(keyring))
        keyring.chmod(0o644)

    def ceph(self, *words: str, stdin: str | None = None) -> str:
        """Run the administrator's command; waits for the monitor."""
        return self.run("/usr/bin/ceph", "-c", self.config, *words, stdin=stdin)

    def rbd(self, *words: str) -> str:
        """Run the command for images."""
        return self.run("/usr/bin/rbd", "-c", self.config, *words)

    def _end(self, number: signal.Signals) -> None:
        osd, self._osd = self._osd, None
        if osd is not None:
            orphans.end(osd, number, READY_S)
        super()._end(number)
