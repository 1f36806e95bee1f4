"""Runs ASGI applications on uvicorn inside this process's event loop."""

import asyncio
import socket
import ssl
from dataclasses import dataclass
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from aerostat.kit.http.sending import Sending

GRACE_S = 30
"""Seconds that requests may go on for once the process is asked to stop."""


@dataclass(frozen=True)
class Tls:
    """PEM files of a certificate (and those above it) and of its key.

    `client_ca`: clients may show certificates that these authorities signed.
    """

    cert: str
    key: str
    client_ca: str = ""


class HttpServer:
    """One application on one address; `start` returns once it accepts connections."""

    def __init__(self, app: Any, host: str, port: int, tls: Tls | None = None) -> None:
        self._app = Sending(app)
        config = uvicorn.Config(
            self._app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # It would believe whoever comes from this machine.
            date_header=True,
            lifespan="off",
            ws="none",
            http=_protocol(tls),
            timeout_keep_alive=75,
            timeout_graceful_shutdown=GRACE_S,
            backlog=1024,
            ssl_certfile=tls.cert if tls else None,
            ssl_keyfile=tls.key if tls else None,
            ssl_ca_certs=(tls.client_ca or None) if tls else None,
            ssl_cert_reqs=ssl.CERT_OPTIONAL if tls and tls.client_ca else ssl.CERT_NONE,
        )
        self._server = _Quiet(config)
        self._host, self._port = host, port
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Bind and serve; return the port (useful with port 0). Raises: OSError."""
        sock = socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((self._host, self._port))
        except OSError as why:
            sock.close()
            where = f"cannot listen on {self._host}:{self._port}: {why.strerror}"
            raise OSError(why.errno, where) from why
        self._task = asyncio.create_task(self._server.serve(sockets=[sock]))
        while not self._server.started:
            if self._task.done():
                self._task.result()
            await asyncio.sleep(0.001)
        port: int = sock.getsockname()[1]
        return port

    async def stop(self) -> None:
        """Finish what is under way, for `GRACE_S` at most."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        self._app.close()


def _protocol(tls: Tls | None) -> Any:
    if tls is None:
        return "httptools"
    return _WithCertificate if tls.client_ca else _OverTls


class _OverTls(HttpToolsProtocol):
    """Waits for no idle client at the end: none answers that TLS is over, for up to 30 s."""

    def shutdown(self) -> None:
        idle = self.cycle is None or self.cycle.response_complete
        if idle and not self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().shutdown()


class _WithCertificate(_OverTls):
    """Tells applications which certificate a client showed. Source: ASGI, "TLS Extension"."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        shown = self.transport.get_extra_info("ssl_object").getpeercert(True)
        chain = [ssl.DER_cert_to_PEM_cert(shown)] if shown else []
        self.scope["extensions"] = {"tls": {"client_cert_chain": chain}}


class _Quiet(uvicorn.Server):
    """uvicorn without its own signal handlers: the process decides when to stop."""

    def capture_signals(self) -> Any:
        import contextlib

        return contextlib.nullcontext()
