"""What load balancers that end TLS say of their clients: certificates, addresses, schemes.

Headers are believed of the balancers alone: anybody else could write them too.
"""

import base64
import binascii
import re
import ssl
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import unquote

from cryptography import x509

from aerostat.kit.errors import BadRequest

SCHEMES = ("http", "https")
Networks = Sequence[IPv4Network | IPv6Network]
PEM_FRAME = re.compile(r"-----(BEGIN|END) CERTIFICATE-----|\s|^:|:$")
"""What is around the base64 of a certificate: in PEM, and in RFC 9440."""


def networks(text: str) -> Networks:
    """Return addresses and networks that are written with commas. Raises: BadRequest."""
    try:
        return [ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip()]
    except ValueError as why:
        raise BadRequest(f"trusted_proxies: {why}", field="trusted_proxies") from why


def certificate_in(value: str) -> str:
    """Return the certificate of a header in PEM; "" if it is none.

    It may be `:base64 of DER:` (RFC 9440), base64 alone (HAProxy: ssl_c_der,base64), or PEM whose
    special characters are escaped (nginx: ssl_client_escaped_cert).
    """
    try:
        der = base64.b64decode(PEM_FRAME.sub("", unquote(value)), validate=True)
        x509.load_der_x509_certificate(der)
    except (binascii.Error, ValueError):
        return ""
    return ssl.DER_cert_to_PEM_cert(der)


class BehindProxies:
    """An application whose clients come through load balancers, some of them.

    To the application it looks as if there were none: the client's address is what the nearest
    balancer saw (X-Forwarded-For), its certificate what it showed there, and links begin with the
    scheme that it spoke (X-Forwarded-Proto).
    """

    def __init__(self, app: Any, proxies: Networks, certificate_header: str) -> None:
        self._app, self._proxies = app, proxies
        self._header = certificate_header.lower().encode("latin-1")

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        client = scope.get("client")
        if scope["type"] == "http" and client and self._trusted(client[0]):
            scope = {**scope, "client": (self._origin(scope["headers"], client[0]), 0)}
            scheme = _only(scope["headers"], b"x-forwarded-proto")
            if scheme in SCHEMES:
                scope["scheme"] = scheme
            shown = certificate_in(_only(scope["headers"], self._header))
            chain = [shown] if shown else []
            scope["extensions"] = {
                **scope.get("extensions", {}),
                "tls": {"client_cert_chain": chain},
            }
        await self._app(scope, receive, send)

    def _trusted(self, address: str) -> bool:
        if not _is_address(address):
            return False
        found = ip_address(address)
        return any(found in network for network in self._proxies)

    def _origin(self, headers: Iterable[tuple[bytes, bytes]], nearest: str) -> str:
        """Return the last address that no balancer of ours has: what is before it may be a lie."""
        said = b",".join(v for name, v in headers if name == b"x-forwarded-for").decode("latin-1")
        for text in (part.strip() for part in reversed(said.split(","))):
            if not _is_address(text):
                break
            if not self._trusted(text):
                return text
        return nearest


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _only(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> str:
    """Return a header that is there once; "" if it is not, or somebody added another one."""
    found = [value for name, value in headers if name == wanted]
    return found[0].decode("latin-1") if len(found) == 1 else ""
