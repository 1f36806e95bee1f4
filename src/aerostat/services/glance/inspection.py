"""Looks at one image file, given as standard input, and says in JSON what it is.

Runs as its own short-lived process (`python -I -S inspection.py`), so it imports nothing of the
project: a header that breaks it breaks nothing else. It never follows what a header points at.
Source: OSSA-2024-001 and -002 (external data files), OSSA-2023-002 (VMDK descriptors).
"""

import os
import resource
import struct
import sys

SECTOR = 512
HEAD_BYTES = 64 << 10
DESCRIPTOR_MAX = 64 << 10
QCOW2_INCOMPATIBLE_KNOWN = 0b11111
QCOW2_CORRUPT = 0b00010
QCOW2_EXTERNAL_DATA = 0b00100
QCOW2_DATA_FILE_NAME = 0x44415441
VMDK_ALLOWED = ("streamOptimized", "monolithicSparse")
VMDK_FOOTER = 0xFFFFFFFFFFFFFFFF
ISO_MAGIC_AT = 0x8001
SIZES_MAX = 1 << 62


class Hostile(Exception):
    """The file is one that must never be opened."""


class Reader:
    """Reads parts of a file by offset, short ones padded with nothing."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.size = os.fstat(fd).st_size
        self.head = self.at(0, HEAD_BYTES)

    def at(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset`."""
        return os.pread(self.fd, length, offset) if 0 <= offset < SIZES_MAX else b""


Found = tuple[str, int]
"""The name of the format, as disk_format calls it, and the virtual size in bytes."""


def detect(file: Reader) -> list[str]:
    """Return every format whose signature the file bears; raw if there is none."""
    head, found = file.head, []
    for magic, name in (
        (b"QFI\xfb", "qcow2"),
        (b"QED\0", "qed"),
        (b"KDMV", "vmdk"),
        (b"COWD", "vmdk"),
        (b"vhdxfile", "vhdx"),
        (b"conectix", "vhd"),
        (b"LUKS\xba\xbe", "luks"),
        (b"WithoutFreeSpace", "ploop"),
        (b"WithouFreSpacExt", "ploop"),
    ):
        if head.startswith(magic):
            found.append(name)
    if head.lstrip()[:512].lower().startswith(b"# disk descriptorfile"):
        found.append("vmdk")
    if head[0x40:0x44] == b"\x7f\x10\xda\xbe":
        found.append("vdi")
    if "vhd" not in found and _footer_is_vhd(file):
        found.append("vhd")
    if file.at(ISO_MAGIC_AT, 5) == b"CD001":
        found.append("iso")
    return found or ["raw"]


def _footer_is_vhd(file: Reader) -> bool:
    return file.size >= SECTOR and file.at(file.size - SECTOR, 8) == b"conectix"


def inspect(file: Reader) -> Found:
    """Return what the file is. Raises: Hostile."""
    found = detect(file)
    if len(set(found)) > 1:
        raise Hostile("it bears the signatures of several formats: " + ", ".join(found))
    name = found[0]
    return name, SIZE_OF.get(name, raw_size)(file)


def raw_size(file: Reader) -> int:
    """Return the size of the file itself."""
    return file.size


def qcow2_size(file: Reader) -> int:
    """Raises: Hostile (a backing file, an external data file, features nobody knows)."""
    head = file.head
    if len(head) < 104:
        raise Hostile("the qcow2 header is cut off")
    version, backing = struct.unpack_from(">IQ", head, 4)
    size, encryption = struct.unpack_from(">QI", head, 24)
    if version not in (2, 3):
        raise Hostile("the qcow2 version is unknown")
    features = struct.unpack_from(">Q", head, 72)[0] if version == 3 else 0
    if backing:
        raise Hostile("it has a backing file")
    if features & QCOW2_EXTERNAL_DATA:
        raise Hostile("it has an external data file")
    if features & ~QCOW2_INCOMPATIBLE_KNOWN:
        raise Hostile("it needs qcow2 features that are unknown")
    if features & QCOW2_CORRUPT or encryption:
        raise Hostile("it is corrupt or encrypted")
    _check_extensions(head, struct.unpack_from(">I", head, 100)[0] if version == 3 else 72)
    return int(size)


def _check_extensions(head: bytes, at: int) -> None:
    while at + 8 <= len(head):
        kind, length = struct.unpack_from(">II", head, at)
        if kind == 0:
            return
        if kind == QCOW2_DATA_FILE_NAME:
            raise Hostile("it names an external data file")
        at += 8 + (length + 7) // 8 * 8


def qed_size(_file: Reader) -> int:
    """Raises: Hostile, always: nobody should use QED."""
    raise Hostile("QED is not supported")


def vmdk_size(file: Reader) -> int:
    """Raises: Hostile (anything but one file that stands alone)."""
    if not file.head.startswith(b"KDMV"):
        raise Hostile("a VMDK descriptor on its own names other files")
    header = file.head
    if struct.unpack_from("<Q", header, 56)[0] == VMDK_FOOTER:
        header = file.at(file.size - 2 * SECTOR, SECTOR)
        if not header.startswith(b"KDMV"):
            raise Hostile("the VMDK footer is missing")
    if len(header) < 79:
        raise Hostile("the VMDK header is cut off")
    capacity, _grain, start, length = struct.unpack_from("<QQQQ", header, 12)
    if not 0 < length * SECTOR <= DESCRIPTOR_MAX:
        raise Hostile("the VMDK descriptor is missing or too large")
    _check_descriptor(file.at(start * SECTOR, length * SECTOR).rstrip(b"\0"))
    return int(capacity * SECTOR)


def _check_descriptor(raw: bytes) -> None:
    lines = [line.strip() for line in raw.decode("latin-1").splitlines()]
    settings = dict(line.split("=", 1) for line in lines if "=" in line and line[0] != "#")
    settings = {name.strip().lower(): value.strip() for name, value in settings.items()}
    kind = settings.get("createtype", "").strip('"')
    if kind not in VMDK_ALLOWED:
        raise Hostile(f"VMDK of type {kind[:40] or 'unknown'} is not allowed")
    if settings.get("parentcid", "ffffffff").lower() != "ffffffff" or any(
        name.startswith("parentfilenamehint") for name in settings
    ):
        raise Hostile("it has a parent disk")
    extents = [line for line in lines if line.split(" ")[0].upper() in ("RW", "RDONLY", "NOACCESS")]
    for extent in extents:
        words = extent.split('"')
        if "SPARSE" not in words[0].upper().split() or "/" in extent or "\\" in extent:
            raise Hostile("it names other files")
    if len(extents) != 1:
        raise Hostile("it is made of several files")


def vhd_size(file: Reader) -> int:
    """Raises: Hostile (a differencing disk)."""
    footer = file.head if file.head.startswith(b"conectix") else file.at(file.size - SECTOR, SECTOR)
    if len(footer) < SECTOR:
        raise Hostile("the VHD footer is cut off")
    if struct.unpack_from(">I", footer, 60)[0] not in (2, 3):
        raise Hostile("it is a VHD that needs another one")
    return int(struct.unpack_from(">Q", footer, 48)[0])


VHDX_REGIONS = (192 << 10, 256 << 10)
VHDX_METADATA = bytes.fromhex("06a27c8b90479a4bb8fe575f050f886e")
VHDX_SIZE = bytes.fromhex("2442a52f1bcd7648b2115dbed83bf4b8")
VHDX_FILE_PARAMETERS = bytes.fromhex("3767a1ca36fa434db3b633f0aa44e76b")
VHDX_HAS_PARENT = 0b10


def vhdx_size(file: Reader) -> int:
    """Raises: Hostile (a parent disk, tables that make no sense)."""
    table = file.at(VHDX_REGIONS[0], 64 << 10)
    at = _vhdx_find(table, b"regi", 16, VHDX_METADATA, 32)
    if at is None:
        raise Hostile("the VHDX metadata is missing")
    base = struct.unpack_from("<Q", table, at + 16)[0]
    entries = file.at(base, 64 << 10)
    size = _vhdx_item(file, base, entries, VHDX_SIZE, 8)
    parameters = _vhdx_item(file, base, entries, VHDX_FILE_PARAMETERS, 8)
    if struct.unpack_from("<I", parameters, 4)[0] & VHDX_HAS_PARENT:
        raise Hostile("it has a parent disk")
    return int(struct.unpack("<Q", size)[0])


def _vhdx_find(table: bytes, magic: bytes, first: int, guid: bytes, step: int) -> int | None:
    if not table.startswith(magic):
        return None
    for at in range(first, min(len(table) - step, first + step * 2047), step):
        if table[at : at + 16] == guid:
            return at
    return None


def _vhdx_item(file: Reader, base: int, entries: bytes, guid: bytes, length: int) -> bytes:
    at = _vhdx_find(entries, b"metadata", 32, guid, 32)
    found = b"" if at is None else file.at(
        base + struct.unpack_from("<I", entries, at + 16)[0], length
    )  # fmt: skip
    if len(found) != length:
        raise Hostile("the VHDX metadata is cut off")
    return found


def vdi_size(file: Reader) -> int:
    """Raises: Hostile (a differencing disk)."""
    if len(file.head) < SECTOR:
        raise Hostile("the VDI header is cut off")
    if struct.unpack_from("<I", file.head, 0x4C)[0] not in (1, 2):
        raise Hostile("it is a VDI that needs another one")
    return int(struct.unpack_from("<Q", file.head, 0x170)[0])


SIZE_OF = {
    "qcow2": qcow2_size,
    "qed": qed_size,
    "vmdk": vmdk_size,
    "vhd": vhd_size,
    "vhdx": vhdx_size,
    "vdi": vdi_size,
}


def main(memory_bytes: int) -> None:
    """Limit this process, inspect standard input and print one line."""
    resource.setrlimit(resource.RLIMIT_CPU, (5, 5))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    try:
        name, size = inspect(Reader(0))
        if not 0 <= size < SIZES_MAX:
            raise Hostile("its virtual size makes no sense")
        line = f"ok {name} {size}"
    except Hostile as why:
        line = f"hostile {why}"
    except struct.error:
        line = "hostile its header is cut off"
    os.write(1, line.encode())


if __name__ == "__main__":
    main(int(sys.argv[1]))
