"""Folders for servers and clouds that run as other users."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aerostat.assembly import orphans


def new_folder(name: str) -> Path:
    """Make a folder that other users may enter, as they may not pytest's; gone with this run."""
    folder = Path(tempfile.mkdtemp(prefix=f"aerostat-{name}-"))
    folder.chmod(0o755)
    orphans.watch_folder(folder)
    return folder


@contextmanager
def open_folder(name: str) -> Iterator[Path]:
    """Make such a folder; remove it afterwards."""
    folder = new_folder(name)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
