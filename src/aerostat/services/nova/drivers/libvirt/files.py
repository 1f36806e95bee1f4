"""Files of guests: removed as a whole; and whether other hosts see them too."""

import shutil
from pathlib import Path


def remove_tree(root: Path) -> None:
    """Let there be nothing at `root`."""
    if root.exists():
        shutil.rmtree(root)


NETWORK_FILESYSTEMS = ("nfs", "ceph", "cifs", "smb", "gluster", "lustre", "gfs2", "ocfs2", "gpfs")


def is_on_network(path: Path, mounts: str) -> bool:
    """Tell whether several hosts may see a directory. `mounts`: what /proc/mounts says."""
    best = ("", "")
    for line in mounts.splitlines():
        _, where, kind, *_ = line.split(" ")
        inside = path == Path(where) or Path(where) in path.parents
        if inside and len(where) >= len(best[0]):
            best = (where, kind)
    kind = best[1].removeprefix("fuse.")
    return kind.startswith(NETWORK_FILESYSTEMS)
