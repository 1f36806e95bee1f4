"""Reads image headers in plain Python, before any program that trusts them may open the file.

Source: OSSA-2024-001 and -002 (external data files), OSSA-2023-002 (VMDK descriptors).
"""

import struct

from aerostat.kit.errors import BadRequest

HEAD_BYTES = 64 * 1024
QCOW2_KNOWN_FEATURES = 0b11111
QCOW2_CORRUPT = 0b00010
QCOW2_EXTERNAL_DATA = 0b00100
VMDK_WHOLE = (b'createType="streamOptimized"', b'createType="monolithicSparse"')
RAW_NAMES = frozenset({"raw", "ami", "aki", "ari", "iso"})
MAGIC = (
    (b"QFI\xfb", "qcow2"),
    (b"QED\0", "qed"),
    (b"KDMV", "vmdk"),
    (b"COWD", "vmdk"),
    (b"# Disk DescriptorFile", "vmdk"),
    (b"vhdxfile", "vhdx"),
    (b"conectix", "vhd"),
)


def check(head: bytes, disk_format: str) -> None:
    """Return if data that begins with `head` is what `disk_format` says, and harmless.

    Raises: BadRequest.
    """
    found = detect(head)
    if disk_format in RAW_NAMES:
        if found != "raw":
            raise _bad(f"The data is {found}, not {disk_format}.")
    elif disk_format == "qcow2":
        qcow2_size(head)
    elif disk_format == "vmdk":
        _check_vmdk(head)
    elif disk_format not in ("vdi", "vhd", "vhdx") or found not in (disk_format, "raw"):
        raise _bad(f"Disk format {disk_format} is not supported.")


def detect(head: bytes) -> str:
    """Return the format whose signature `head` bears, "raw" for none."""
    for magic, name in MAGIC:
        if head.startswith(magic):
            return name
    return "vdi" if head[0x40:0x44] == b"\x7f\x10\xda\xbe" else "raw"


def qcow2_size(head: bytes) -> int:
    """Return the virtual size in bytes of a qcow2 file that stands alone. Raises: BadRequest."""
    if len(head) < 104 or not head.startswith(b"QFI\xfb"):
        raise _bad("The data is not qcow2.")
    version, backing = struct.unpack_from(">IQ", head, 4)
    size, encryption = struct.unpack_from(">QI", head, 24)
    features = struct.unpack_from(">Q", head, 72)[0] if version >= 3 else 0
    if version not in (2, 3) or features & ~QCOW2_KNOWN_FEATURES:
        raise _bad("The qcow2 version or feature is unknown.")
    if backing:
        raise _bad("The image has a backing file.")
    if features & QCOW2_EXTERNAL_DATA:
        raise _bad("The image has an external data file.")
    if features & QCOW2_CORRUPT or encryption:
        raise _bad("The image is corrupt or encrypted.")
    return int(size)


def _check_vmdk(head: bytes) -> None:
    if not head.startswith(b"KDMV") or len(head) < 512:
        raise _bad("Only VMDK files that stand alone are supported.")
    capacity = struct.unpack_from("<Q", head, 12)[0]
    described = any(kind in head for kind in VMDK_WHOLE)
    if not capacity or not described or b"parentFileNameHint" in head:
        raise _bad("Only VMDK files that stand alone are supported.")


def _bad(why: str) -> BadRequest:
    return BadRequest(f"Image is unacceptable: {why}", code="image_unacceptable")
