"""Lets the unprivileged user read the program even if the checkout is closed to it.

Someone clones into /root: `control` cannot read that. Then a copy of src/ goes below /opt, made
anew when a file has changed. (The bootstrap script puts the virtual environment there as well.)
"""

import compileall
import hashlib
import os
import pwd
import shutil
import sys
from pathlib import Path

from aerostat.cli.command import repository
from aerostat.cli.console import CliError

PUBLIC = Path("/opt/aerostat")


def source_for(user: str) -> Path | None:
    """Return where `user` reads the sources, or None if the checkout itself will do.

    Raises: CliError when the virtual environment is closed to the user.
    """
    account = pwd.getpwnam(user)
    venv = Path(sys.prefix)
    if not _open_to(venv / "bin", account):
        raise CliError(
            f"the user {user} cannot reach {venv}",
            "set AEROSTAT_VENV to a directory that everybody may enter, e.g. /opt/aerostat/venv",
        )
    source = repository() / "src"
    return None if _open_to(source / "aerostat", account) else _copy(source)


def _open_to(path: Path, account: pwd.struct_passwd) -> bool:
    """Tell whether a user may enter a directory and all those above it."""
    return all(_enters(folder, account) for folder in (path, *path.parents))


def _enters(folder: Path, account: pwd.struct_passwd) -> bool:
    found = folder.stat()
    if found.st_uid == account.pw_uid:
        return bool(found.st_mode & 0o100)
    if found.st_gid == account.pw_gid:
        return bool(found.st_mode & 0o010)
    return bool(found.st_mode & 0o001)


def _copy(source: Path) -> Path:
    files = sorted(p for p in source.rglob("*") if p.is_file() and p.suffix != ".pyc")
    state = hashlib.sha256()
    for file in files:
        found = file.stat()
        state.update(f"{file} {found.st_size} {found.st_mtime_ns}\n".encode())
    target = PUBLIC / f"src-{state.hexdigest()[:16]}"
    if not target.exists():
        part = target.with_name(f"{target.name}.{os.getpid()}")
        _copy_files(source, files, part)
        for old in PUBLIC.glob("src-*"):
            if old != part:
                shutil.rmtree(old, ignore_errors=True)
        compileall.compile_dir(part, quiet=2, stripdir=part, prependdir=target)
        part.rename(target)
    return target


def _copy_files(source: Path, files: list[Path], target: Path) -> None:
    mask = os.umask(0o022)
    try:
        for file in files:
            to = target / file.relative_to(source)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, to)
    finally:
        os.umask(mask)
