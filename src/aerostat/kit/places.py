"""Folders and files that a process needs: it says at its start which setting names a bad one."""

import errno
import os
import tempfile
from pathlib import Path

from aerostat.kit.errors import BadRequest

FULL = (errno.ENOSPC, errno.EDQUOT)


def usable_folder(folder: Path, setting: str, mode: int = 0o777) -> None:
    """Have a folder that this process can write into; one that is full is no reason not to start.

    Raises: BadRequest, naming the setting and the path.
    """
    try:
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as why:
        if why.errno not in FULL:
            raise unusable(setting, folder, why) from why


def usable_file(file: Path, setting: str, *, writable: bool = False) -> None:
    """Return if this process can read a file, and write it. Raises: BadRequest."""
    try:
        os.close(os.open(file, os.O_RDWR if writable else os.O_RDONLY))
    except OSError as why:
        raise unusable(setting, file, why) from why


def unusable(setting: str, path: Path, why: OSError) -> BadRequest:
    """Return what is to be said of a path that cannot be used."""
    text = f"{setting}: {path} cannot be used: {why.strerror or why}"
    return BadRequest(text, field="aerostat.toml")
