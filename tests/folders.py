"""Folders for servers and clouds that run as other users."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def open_folder(name: str) -> Iterator[Path]:
    """Make a folder that other users may enter, as they may not pytest's; remove it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix=f"aerostat-{name}-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
