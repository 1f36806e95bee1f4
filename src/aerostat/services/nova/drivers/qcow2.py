"""An empty qcow2 file without any program: what the snapshot of a fake guest holds.

Source: QEMU documentation, "The QCOW2 image format", version 3.
"""

import struct

CLUSTER_BITS = 16
CLUSTER = 1 << CLUSTER_BITS
HEADER = struct.Struct(">4sIQIIQIIQQIIQQQQII")


def empty_qcow2(size_bytes: int) -> bytes:
    """Return a qcow2 file of `size_bytes` (virtual) with nothing in it; 512 MiB at most.

    Its clusters: header, refcount table, refcount block, L1 table.
    """
    header = HEADER.pack(
        *(b"QFI\xfb", 3, 0, 0, CLUSTER_BITS, size_bytes, 0),
        *(1, 3 * CLUSTER, CLUSTER, 1),  # L1 entries and where, refcount table and its clusters
        *(0, 0),  # no snapshots
        *(0, 0, 0, 4, HEADER.size),  # features, refcount order, length of this header
    )
    table = struct.pack(">Q", 2 * CLUSTER)
    counts = struct.pack(">4H", 1, 1, 1, 1)
    return b"".join(part.ljust(CLUSTER, b"\0") for part in (header, table, counts, b""))
