"""How long a connection waits for a machine that has gone without a word."""

import socket
from typing import Any

SILENT_S = 3
"""A machine that acknowledges nothing for about this long is gone: the kernel says so.

A process that is only busy, or stopped, still acknowledges: that is its kernel's work.
"""


def notice_silence(connection: Any) -> None:
    """Have the kernel end a connection to a machine that has gone. Source: tcp(7)."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        (socket.TCP_KEEPIDLE, 1),
        (socket.TCP_KEEPINTVL, 1),
        (socket.TCP_KEEPCNT, SILENT_S - 1),
        (socket.TCP_USER_TIMEOUT, SILENT_S * 1000),
    ):
        connection.setsockopt(socket.IPPROTO_TCP, option, value)
