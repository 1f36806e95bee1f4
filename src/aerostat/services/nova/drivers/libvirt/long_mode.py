"""A boot sector that reaches 64-bit mode and says so: what a KVM that works must be able to run.

It builds page tables at 0x1000 (one 2 MiB page at 0), sets CR4.PAE, CR3, EFER.LME and CR0.PG|PE,
jumps into a 64-bit segment, pushes and pops a 64-bit word through the new tables, and writes 0x10
to port 0xf4. QEMU's isa-debug-exit turns that into exit status 0x10 << 1 | 1.
"""

EXIT_STATUS = 0x10 << 1 | 1
DEBUG_EXIT_PORT = 0xF4

_CODE = bytes.fromhex(
    "fa 31c0 8ed8 8ec0 8ed0 fc"  # cli; ax = ds = es = ss = 0; cld
    "bf0010 b90018 f3ab"  # clear the tables: di = 0x1000, cx = 0x1800, rep stosw
    "c70600100320 c70600200330 c70600308300"  # PML4[0], PDPT[0], PD[0]
    "0f20e0 6683c820 0f22e0"  # cr4 |= PAE
    "66b800100000 0f22d8"  # cr3 = 0x1000
    "66b9800000c0 0f32 660d00010000 0f30"  # EFER |= LME
    "660f0116907c"  # lgdt [0x7c90]
    "0f20c0 660d01000080 0f22c0"  # cr0 |= PG | PE
    "66ea617c00000800"  # jmp 8:0x7c61
    "48b8f0debc9a78563412 50 5b 4839c3 7507"  # rax = pattern; push; pop rbx; equal?
    "b810000000 e7f4"  # out 0xf4, 0x10
    "f4 ebfd"  # hlt for ever
)
_GDT_AT = 0x80
_GDT = bytes.fromhex("0000000000000000 00000000009a2000 0f00807c0000")


def boot_sector() -> bytes:
    """Return the 512 bytes."""
    return (_CODE.ljust(_GDT_AT, b"\0") + _GDT).ljust(510, b"\0") + b"\x55\xaa"
