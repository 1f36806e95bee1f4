"""Where the command line keeps its files below the state directory, and who may read them.

<state>/control       control's database, keys and images       aerostat, 0700
<state>/node          guests, image cache, network state        root, 0711 (QEMU passes through)
<state>/run           bus socket, pid files                     root:aerostat, 1775
<state>/log           control.log, node.log                     root, 0755
<state>/credentials   demo's password, admin's cached token     root, 0700
"""

import os
import pwd
from pathlib import Path

from msgspec import Struct

from aerostat.assembly.settings import Settings
from aerostat.cli.console import CliError
from aerostat.kit.places import unusable

GUEST_IMAGE = Path("/var/cache/aerostat/guest")
"""Where the guest image is built: for every state directory, and beyond `reset`."""


class Places(Struct, frozen=True):
    """Paths below the state directory."""

    state: Path

    @property
    def run(self) -> Path:
        return self.state / "run"

    @property
    def log(self) -> Path:
        return self.state / "log"

    @property
    def credentials(self) -> Path:
        return self.state / "credentials"

    @property
    def demo(self) -> Path:
        return self.state / "demo"

    @property
    def clouds_yaml(self) -> Path:
        return self.state / "clouds.yaml"

    def log_file(self, process: str) -> Path:
        return self.log / f"{process}.log"

    def pid_file(self, process: str) -> Path:
        return self.run / f"{process}.pid"


def places(settings: Settings) -> Places:
    return Places(settings.state_dir)


def service_user(settings: Settings) -> pwd.struct_passwd:
    """Return the user that `control` runs as. Raises: CliError."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    try:
        return pwd.getpwnam(settings.service_user)
    except KeyError as why:
        name = settings.service_user
        raise CliError(
            f"the system user {name} does not exist", f"useradd --system --user-group {name}"
        ) from why


def prepare(settings: Settings) -> Places:
    """Have every directory with its owner and mode; safe to repeat.

    Raises: CliError (no such user), BadRequest (a path that cannot be used).
    """
    at, user, me = places(settings), service_user(settings), os.geteuid()
    try:
        _prepare(at, settings, user, me)
    except OSError as why:
        raise unusable("state_dir", Path(str(why.filename)), why) from why
    return at


def _prepare(at: Places, settings: Settings, user: pwd.struct_passwd, me: int) -> None:
    at.state.mkdir(parents=True, exist_ok=True)
    _folder(at.state, me, 0, 0o755)
    _folder(settings.control_dir, user.pw_uid, user.pw_gid, 0o700)
    _folder(settings.node_dir, me, 0, 0o711)
    _folder(at.run, me, user.pw_gid, 0o1775)
    _folder(at.log, me, 0, 0o755)
    _folder(at.credentials, me, 0, 0o700)


def _folder(path: Path, uid: int, gid: int, mode: int) -> None:
    path.mkdir(exist_ok=True)
    if os.geteuid() == 0:
        os.chown(path, uid, gid)
    if path.stat().st_mode & 0o7777 != mode:
        path.chmod(mode)


def write_private(path: Path, text: str) -> None:
    """Let `path` hold `text`, readable by its owner only, wholly or as before."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    part.replace(path)


def read_private(path: Path) -> str:
    """Return what a file holds. Raises: CliError when it is not there or not for us."""
    try:
        return path.read_text().strip()
    except FileNotFoundError as why:
        raise CliError(f"{path} is not there yet", "start the cloud: ./aerostat up") from why
    except PermissionError as why:
        raise CliError(f"you may not read {path}", "run this as root") from why


def become_owner(folder: Path) -> None:
    """Go on as the user whom a folder belongs to, if root asks: what is written is theirs."""
    owner = folder.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.setgroups([])
        os.setgid(owner.st_gid)
        os.setuid(owner.st_uid)
