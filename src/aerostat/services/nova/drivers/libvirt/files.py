"""Files of guests: removed as a whole."""

import shutil
from pathlib import Path


def remove_tree(root: Path) -> None:
    """Let there be nothing at `root`."""
    if root.exists():
        shutil.rmtree(root)
