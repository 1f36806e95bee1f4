"""How a host joins: a token made on a controller holds all that the host's node needs.

The token carries the host's own RabbitMQ user, which may call the control plane and read the
host's own queues and nothing else (kit/bus/amqp.py), and a key pair signed by the installation's
own authority, with which nodes know each other when disks and guests move. It is a secret until
the host has joined; `remove` makes it worthless.
"""

import base64
import ipaddress
import json
import os
import secrets
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from aerostat.assembly.settings import Settings
from aerostat.kit.bus.amqp import node_permissions, node_user
from aerostat.kit.errors import BadRequest, Unavailable

PREFIX = "aerostat-node-1."
AUTHORITY_DAYS, CERTIFICATE_DAYS = 3650, 825
ADMIN_TIMEOUT_S = 10.0
CARRIED = ("region", "port_offset", "public_tls", "compute_driver", "log_level")
"""Settings of the controller that hold on the host too."""


class BusUsers:
    """The users of RabbitMQ, by its management API. Source: RabbitMQ HTTP API, users."""

    def __init__(self, urls: list[str]) -> None:
        if not urls:
            raise BadRequest(
                "set bus_admin_url to RabbitMQ's management API", field="bus_admin_url"
            )
        self._http = [_management(url) for url in urls]

    def add(self, host: str) -> str:
        """Have a user for the host with a new password; return that."""
        password = secrets.token_urlsafe(24)
        user = node_user(host)
        self._do("PUT", f"/users/{user}", {"password": password, "tags": ""})
        configure, write, read = node_permissions(host)
        grant = {"configure": configure, "write": write, "read": read}
        self._do("PUT", f"/permissions/%2F/{user}", grant)
        return password

    def remove(self, host: str) -> None:
        """Remove the user of the host and hang its connections up; absence is no error."""
        self._do("DELETE", f"/users/{node_user(host)}", None, absent=True)

    def _do(self, method: str, path: str, body: Any, *, absent: bool = False) -> None:
        reply, why = None, None
        for http in self._http:
            try:
                reply = http.request(method, path, json=body)
                break
            except httpx.HTTPError as failed:
                why = failed
        if reply is None:
            raise Unavailable(f"RabbitMQ's management API does not answer: {why}") from why
        if reply.status_code >= 300 and not (absent and reply.status_code == 404):
            raise Unavailable(f"RabbitMQ's management API: {reply.status_code} {reply.text[:200]}")


def _management(url: str) -> httpx.Client:
    parts = urlsplit(url)
    host = f"{parts.hostname}:{parts.port or 15672}"
    auth = (parts.username or "guest", parts.password or "guest")
    base = urlunsplit((parts.scheme, host, "/api", "", ""))
    return httpx.Client(base_url=base, auth=auth, timeout=ADMIN_TIMEOUT_S)


def make_token(settings: Settings, host: str, address: str) -> str:
    """Return the token of a host. Raises: BadRequest (settings or names that do not do)."""
    if not settings.bus_urls:
        raise BadRequest("a cloud of many hosts needs bus_url", field="bus_url")
    if not host or not all(c.isalnum() or c in "-." for c in host):
        raise BadRequest(f"not a host name: {host}", field="host")
    password = BusUsers(settings.bus_admin_urls).add(host)
    authority = Authority(settings.control_dir / "pki")
    cert, key = authority.issue(host, address)
    document = {
        "settings": {
            "host": host,
            "roles": "node",
            "my_ip": address,
            "public_host": settings.public_host or settings.listen,
            "bus_url": ",".join(_as_node(url, host, password) for url in settings.bus_urls),
            **{name: getattr(settings, name) for name in CARRIED},
        },
        "pki": {"ca.pem": authority.certificate, "cert.pem": cert, "key.pem": key},
    }
    if settings.tls_ca:
        document["pki"]["api-ca.pem"] = Path(settings.tls_ca).read_text()
        document["settings"]["public_tls"] = True
    raw = zlib.compress(json.dumps(document).encode(), 9)
    return PREFIX + base64.urlsafe_b64encode(raw).decode().rstrip("=")


def join(settings: Settings, token: str) -> str:
    """Write down what the token says; return the host's name. Raises: BadRequest."""
    document = _read(token)
    file = settings.state_dir / "aerostat.toml"
    if file.exists():
        raise BadRequest(f"{file} is there already: this host belongs to a cloud", field="token")
    values = dict(document["settings"])
    pki = settings.node_dir / "pki"
    pki.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, text in document["pki"].items():
        write_private(pki / name, text)
    if "api-ca.pem" in document["pki"]:
        values["tls_ca"] = str(pki / "api-ca.pem")
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    write_private(file, "# Written by `aerostat node join`.\n" + "\n".join(lines) + "\n")
    return str(values["host"])


def _read(token: str) -> dict[str, Any]:
    if not token.startswith(PREFIX):
        raise BadRequest("this is not a token of `aerostat node token`", field="token")
    text = token.removeprefix(PREFIX).strip()
    try:
        raw = zlib.decompress(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        document: dict[str, Any] = json.loads(raw)
    except (ValueError, zlib.error) as why:
        raise BadRequest("the token is damaged: copy all of it", field="token") from why
    return document


def _as_node(url: str, host: str, password: str) -> str:
    parts = urlsplit(url)
    place = f"{node_user(host)}:{password}@{parts.hostname}:{parts.port or 5672}"
    return urlunsplit(parts._replace(netloc=place))


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user reads."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


class Authority:
    """The installation's own certificate authority, made when it is first needed."""

    def __init__(self, folder: Path) -> None:
        cert, key = folder / "ca.pem", folder / "ca-key.pem"
        if not key.exists():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            private = ec.generate_private_key(ec.SECP256R1())
            name = _name("Aerostat nodes")
            made = _certificate(name, name, private.public_key(), AUTHORITY_DAYS)
            made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            write_private(cert, _pem(made.sign(private, hashes.SHA256())))
            write_private(key, _key_pem(private))
        self.certificate = cert.read_text()
        self._cert = x509.load_pem_x509_certificate(self.certificate.encode())
        loaded = serialization.load_pem_private_key(key.read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        self._key = loaded

    def issue(self, host: str, address: str) -> tuple[str, str]:
        """Return a certificate for a host at an address, and its key, as PEM."""
        private = ec.generate_private_key(ec.SECP256R1())
        made = _certificate(_name(host), self._cert.subject, private.public_key(), CERTIFICATE_DAYS)
        try:
            names = [x509.DNSName(host), x509.IPAddress(ipaddress.ip_address(address))]
        except ValueError as why:
            raise BadRequest(f"not an address: {address}", field="address") from why
        both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        made = made.add_extension(x509.ExtendedKeyUsage(both), critical=False)
        made = made.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        return _pem(made.sign(self._key, hashes.SHA256())), _key_pem(private)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=days))
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PrivateFormat.PKCS8
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, plain).decode()
