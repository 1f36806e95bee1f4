"""The process that speaks to Ceph for drivers/rbd.py, run by Debian's Python, which has librbd.

librbd 16.2 uses memory that it has freed when an image is closed, and now and then the process
ends by that: here it is this one, and what it was about is done again by the next. A request is
a line of JSON ([operation, arguments, bytes that follow]), so is an answer ([what became of it,
bytes that follow]); the end of the input is the end of the process.
"""

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

DONE, ABSENT, BUSY, FULL, FAILED, MISSING = "done", "absent", "busy", "full", "failed", "missing"
SNAPSHOT = "snap"


class Pool:
    """The operations on a pool; each of them may be done again."""

    def __init__(self, config: dict[str, Any]) -> None:
        import rados
        import rbd

        self._rados, self._rbd, self._config = rados, rbd, config
        conf, user = config["rbd_store_ceph_conf"], config["rbd_store_user"]
        self._cluster = rados.Rados(conffile=conf, rados_id=user)
        self._cluster.connect(timeout=config["rados_connect_timeout"])

    def answer(self, operation: str, arguments: list[Any], data: bytes) -> tuple[str, bytes]:
        """Return what became of an operation, and what it says."""
        rados, rbd = self._rados, self._rbd
        try:
            with self._cluster.open_ioctx(self._config["rbd_store_pool"]) as ioctx:
                return DONE, OPERATIONS[operation](self, ioctx, *arguments, data=data)
        except rbd.ImageNotFound:
            return ABSENT, b""
        except rbd.ImageBusy:
            return BUSY, b""
        except (rbd.DiskQuotaExceeded, rados.NoSpace):
            return FULL, b""
        except (rbd.Error, rados.Error) as why:
            return FAILED, repr(why).encode()

    def fsid(self, _ioctx: Any, *, data: bytes) -> bytes:
        return str(self._cluster.get_fsid()).encode()

    def create(self, ioctx: Any, name: str, size: int, *, data: bytes) -> bytes:
        """Make an empty image, in the place of whatever has its name."""
        self.remove(ioctx, name, data=b"")
        order = (self._config["rbd_store_chunk_size"] << 20).bit_length() - 1
        self._rbd.RBD().create(ioctx, name, size, order, old_format=False)
        return b""

    def write(self, ioctx: Any, name: str, at: int, *, data: bytes) -> bytes:
        with self._rbd.Image(ioctx, name) as image:
            image.write(data, at)
            image.flush()
        return b""

    def finish(self, ioctx: Any, name: str, *, data: bytes) -> bytes:
        """Take the snapshot and protect it."""
        with self._rbd.Image(ioctx, name) as image:
            with suppress(self._rbd.ImageExists):
                image.create_snap(SNAPSHOT)
            if not image.is_protected_snap(SNAPSHOT):
                image.protect_snap(SNAPSHOT)
        return b""

    def remove(self, ioctx: Any, name: str, *, data: bytes) -> bytes:
        with suppress(self._rbd.ImageNotFound):
            with self._rbd.Image(ioctx, name) as image:
                for snapshot in image.list_snaps():
                    if image.is_protected_snap(snapshot["name"]):
                        image.unprotect_snap(snapshot["name"])
                    image.remove_snap(snapshot["name"])
            self._rbd.RBD().remove(ioctx, name)
        return b""

    def size(self, ioctx: Any, name: str, *, data: bytes) -> bytes:
        with self._snapshot(ioctx, name) as image:
            return str(image.size()).encode()

    def read(self, ioctx: Any, name: str, start: int, length: int, *, data: bytes) -> bytes:
        with self._snapshot(ioctx, name) as image:
            return bytes(image.read(start, length))

    def clones(self, ioctx: Any, name: str, *, data: bytes) -> bytes:
        """Say whether there are any."""
        with self._snapshot(ioctx, name) as image:
            return b"some" if any(True for _ in image.list_children()) else b""

    def _snapshot(self, ioctx: Any, name: str) -> Any:
        return self._rbd.Image(ioctx, name, snapshot=SNAPSHOT, read_only=True)


OPERATIONS: dict[str, Callable[..., bytes]] = {
    operation.__name__: operation
    for operation in (
        Pool.fsid,
        Pool.create,
        Pool.write,
        Pool.finish,
        Pool.remove,
        Pool.size,
        Pool.read,
        Pool.clones,
    )
}


def main() -> None:
    """Answer until the input ends."""
    pool, trouble = None, (FAILED, b"")
    try:
        pool = Pool(json.loads(sys.argv[1]))
    except ImportError:
        trouble = (MISSING, b"")
    except Exception as why:
        trouble = (FAILED, repr(why).encode())
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while line := source.readline():
        operation, arguments, length = json.loads(line)
        data = source.read(length)
        became, said = pool.answer(operation, arguments, data) if pool else trouble
        sink.write(json.dumps([became, len(said)]).encode() + b"\n" + said)
        sink.flush()


if __name__ == "__main__":
    main()
