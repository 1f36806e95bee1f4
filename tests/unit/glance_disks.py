"""Disk images made byte by byte: honest ones and hostile ones."""

import struct

SECTOR = 512


def qcow2(
    *,
    backing: int = 0,
    features: int = 0,
    version: int = 3,
    size: int = 1 << 30,
    extension: int = 0,
) -> bytes:
    """Return a qcow2 header."""
    head = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", version, backing, 8 if backing else 0, 16,
                       size, 0, 1, 3 << 16, 1 << 16, 1, 0, 0)  # fmt: skip
    head += struct.pack(">QQQII", features, 0, 0, 4, 104)
    if extension:
        head += struct.pack(">II8s", extension, 8, b"/etc/pwd")
    return head + struct.pack(">II", 0, 0) + bytes(4096)


SPARSE = b'RW 2048 SPARSE "disk.vmdk"'
DESCRIPTOR = b"""# Disk DescriptorFile
version=1
CID=12345678
parentCID=%s
createType="%s"

# Extent description
%s
"""


def vmdk(
    kind: bytes = b"monolithicSparse", extents: bytes = SPARSE, parent: bytes = b"ffffffff"
) -> bytes:
    """Return a sparse VMDK with an embedded descriptor."""
    text = (DESCRIPTOR % (parent, kind, extents)).ljust(2 * SECTOR, b"\0")
    head = struct.pack("<4sIIQQQQIQQQ", b"KDMV", 1, 3, 2048, 128, 1, 2, 512, 0, 0, 128)
    return head.ljust(SECTOR, b"\0") + text + bytes(4096)


def vhd(kind: int = 3, size: int = 1 << 20) -> bytes:
    """Return a VHD: its footer comes first and last."""
    foot = b"conectix" + bytes(32) + struct.pack(">QQ", size, size) + bytes(4)
    foot = (foot + struct.pack(">I", kind)).ljust(SECTOR, b"\0")
    return foot + bytes(4096) + foot


def vdi(kind: int = 1, size: int = 1 << 20) -> bytes:
    """Return a VDI header."""
    head = bytearray(1024)
    head[0x40:0x44] = b"\x7f\x10\xda\xbe"
    struct.pack_into("<I", head, 0x4C, kind)
    struct.pack_into("<Q", head, 0x170, size)
    return bytes(head)


def iso() -> bytes:
    """Return an ISO 9660 volume descriptor where it belongs."""
    return bytes(0x8001) + b"CD001" + bytes(4096)
