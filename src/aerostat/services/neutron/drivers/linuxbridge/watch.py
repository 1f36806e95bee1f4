"""Tells when devices come and go: the kernel's own notices, read in the event loop."""

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator

RTMGRP_LINK = 1
NEWLINK, DELLINK, IFNAME = 16, 17, 3
HEADER, INFO = 16, 16
RECEIVE_MAX = 1 << 16


def devices(on_device: Callable[[str], None]) -> Callable[[], None]:
    """Call `on_device(name)` for each notice, until the returned function is called."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    sock.bind((0, RTMGRP_LINK))
    loop = asyncio.get_running_loop()

    def read() -> None:
        try:
            data = sock.recv(RECEIVE_MAX)
        except BlockingIOError:
            return
        except OSError:  # notices were lost (ENOBUFS): let the reader look at everything
            on_device("tap")
            return
        for name in names(data):
            on_device(name)

    def stop() -> None:
        loop.remove_reader(sock)
        sock.close()

    loop.add_reader(sock, read)
    return stop


def names(data: bytes) -> Iterator[str]:
    """Yield the device names in a run of netlink messages. Source: rtnetlink(7)."""
    at = 0
    while at + HEADER <= len(data):
        length, kind = struct.unpack_from("=IH", data, at)
        if length < HEADER:
            return
        if kind in (NEWLINK, DELLINK):
            yield from _name(data[at + HEADER + INFO : at + length])
        at += (length + 3) & ~3


def _name(attributes: bytes) -> Iterator[str]:
    at = 0
    while at + 4 <= len(attributes):
        length, kind = struct.unpack_from("=HH", attributes, at)
        if length < 4:
            return
        if kind == IFNAME:
            yield attributes[at + 4 : at + length].rstrip(b"\0").decode(errors="replace")
        at += (length + 3) & ~3
