"""What a process is told when it starts; the defaults run the whole cloud.

Read from `aerostat.toml` in the state directory if it is there; AEROSTAT_<FIELD> in the
environment goes above it.
"""

import os
import re
import socket
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import msgspec

from aerostat.kit.errors import BadRequest
from aerostat.kit.places import unusable

T = TypeVar("T")

DEFAULT_STATE_DIR = "/var/lib/aerostat"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one installation. Ports are upstream's plus `port_offset`."""

    state_dir: Path = Path(DEFAULT_STATE_DIR)
    """Where everything lives: databases, images, guests, keys, logs."""

    host: str = ""
    """The name of this host for the cloud; the machine's host name if empty."""

    listen: str = "127.0.0.1"
    """The address that the APIs listen on, and the one in the catalogue."""

    port_offset: int = 0
    """Added to every port, so that several clouds fit one machine."""

    listen_offset: int = 0
    """Added to the ports that this process listens on, not to those of the catalogue.

    For several copies of a role on one host, behind a load balancer.
    """

    public_host: str = ""
    """The host in the catalogue's URLs (a load balancer's name, say); `listen` if empty."""

    tls_cert: str = ""
    """A PEM file: the APIs speak TLS with this certificate (and those that follow it)."""

    tls_key: str = ""
    """A PEM file: the key of `tls_cert`."""

    tls_ca: str = ""
    """A PEM file: who signed `tls_cert`, for this installation's own clients."""

    tls_client_ca: str = ""
    """A PEM file: clients may show certificates of these authorities (OAuth 2.0 mutual TLS)."""

    trusted_proxies: str = ""
    """Addresses and networks of load balancers, with commas: their word about clients counts.

    That is X-Forwarded-For, X-Forwarded-Proto and `client_certificate_header`; of others none
    counts, and links say what the API itself speaks.
    """

    client_certificate_header: str = "Client-Cert"
    """In which header load balancers pass on the certificate that a client showed to them.

    Source: RFC 9440; what HAProxy and nginx can write is understood too.
    """

    public_tls: bool = False
    """The catalogue's URLs say https although the APIs do not: a load balancer speaks TLS.

    Links in answers do so too if it is one of `trusted_proxies` and says X-Forwarded-Proto.
    """

    database_url: str = ""
    """postgresql://user:password@host:port/name or mariadb://...; SQLite in `control` if empty.

    Several hosts with commas (`@db1:5432,db2:5432/name`): the first one that can be written to is
    used. The same order everywhere, for Galera wants one writer. Source: libpq, 34.1.1.3.
    """

    bus_url: str = ""
    """amqp[s]://user:password@host:port/vhost; a Unix socket if empty.

    Several with commas, or several `user:password@host:port` in one, as oslo.messaging writes its
    transport_url (rabbit:// is amqp:// too). `?cafile=&certfile=&keyfile=` name PEM files.
    """

    bus_admin_url: str = ""
    """http[s]://user:password@host:15672 of RabbitMQ's management API: makes the users of nodes.

    Several with commas: the first that answers is asked.
    """

    roles: str = "control,node"
    """What `aerostat up` runs on this machine; a host that joined a cloud has `node` alone."""

    keys_dir: str = ""
    """Where keystone's keys are: the same on every host with an API; `control/keystone` if empty.

    Source: keystone [fernet_tokens] key_repository.
    """

    policy_dir: str = ""
    """Where an operator's rules are: nova.yaml, neutron.yaml, ...; `policy` in the state directory
    if empty. Changes count within a second; a file with mistakes changes nothing.

    Source: [oslo_policy] policy_file.
    """

    gateway_port: int = 8000
    """The one port that serves every API under /identity, /compute, ..."""

    region: str = "RegionOne"
    """The region of the catalogue."""

    compute_driver: str = "libvirt"
    """libvirt, or fake: guests without a hypervisor and networks without a kernel."""

    fake_hosts: int = 1
    """Compute hosts that a node with the fake driver plays."""

    my_ip: str = ""
    """The address at which other nodes reach this one; `listen` if empty. Source: nova my_ip."""

    migration_port: int = 8799
    """Where a node serves the disks of a server that moves to another one."""

    live_migration_scheme: str = ""
    """How running guests come to this node: tls (by itself where node/pki has a key pair), tcp
    (in closed networks only: whoever reaches the port rules the node), or nothing: they cannot.

    Source: nova [libvirt] live_migration_scheme.
    """

    live_migration_inbound_addr: str = ""
    """The address at which this node receives running guests; `my_ip` if empty."""

    hypervisor_silence_s: float = 20.0
    """How long libvirtd may leave this node unanswered (4 s at least): then what waits for it
    fails, new servers go elsewhere, and the compute service is disabled until it answers again."""

    password_hash_rounds: int = 12
    """bcrypt cost of passwords. Source: keystone [identity] password_hash_rounds."""

    keystone: dict[str, Any] = {}
    """The table [keystone] of aerostat.toml: options of KeystoneConfig by their names."""

    nova: dict[str, Any] = {}
    """The table [nova] of aerostat.toml: options of NovaConfig by their names."""

    neutron: dict[str, Any] = {}
    """The table [neutron] of aerostat.toml: options of NeutronConfig by their names."""

    metrics_listen: str = "127.0.0.1"
    """The address of /healthz and /metrics, without authentication."""

    metrics_port: int = 8790
    """The first port of /healthz and /metrics; assembly/roles.py says who has which. 0: none."""

    glance: dict[str, Any] = {}
    """The table [glance] of aerostat.toml: options of GlanceConfig by their names."""

    log_level: str = "INFO"
    """DEBUG shows every request."""

    service_user: str = "aerostat"
    """The unprivileged user that `control` runs as."""

    @property
    def host_name(self) -> str:
        """The name of this host."""
        return self.host or socket.gethostname()

    @property
    def node_ip(self) -> str:
        """The address at which other nodes reach this one."""
        return self.my_ip or self.listen

    @property
    def bus_path(self) -> Path:
        """The Unix socket of the embedded bus."""
        return self.state_dir / "run" / "bus.sock"

    @property
    def control_dir(self) -> Path:
        """What belongs to `control`: database, keys, images."""
        return self.state_dir / "control"

    @property
    def node_dir(self) -> Path:
        """What belongs to `node`: guests, image cache, network state."""
        return self.state_dir / "node"

    @property
    def keystone_dir(self) -> Path:
        """Where keystone's keys are."""
        return Path(self.keys_dir) if self.keys_dir else self.control_dir / "keystone"

    def policy_file(self, service: str) -> Path:
        """Return where an operator may have written rules of a service."""
        folder = Path(self.policy_dir) if self.policy_dir else self.state_dir / "policy"
        return folder / f"{service}.yaml"

    @property
    def bus_urls(self) -> list[str]:
        """The servers of the message bus, one URL each; none for the embedded one."""
        return several(self.bus_url.replace("rabbit://", "amqp://"))

    @property
    def bus_admin_urls(self) -> list[str]:
        """RabbitMQ's management APIs, one URL each."""
        return several(self.bus_admin_url)

    def port(self, standard: int) -> int:
        """Return the port that clients use for upstream's `standard` one."""
        return standard + self.port_offset

    def own_port(self, standard: int) -> int:
        """Return the port that this process listens on for upstream's `standard` one."""
        return self.port(standard) + self.listen_offset

    def url(self, standard: int, path: str = "") -> str:
        """Return the URL of an API."""
        scheme = "https" if self.tls_cert or self.public_tls else "http"
        return f"{scheme}://{self.public_host or self.listen}:{self.port(standard)}{path}"


def load(state_dir: Path | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings. Raises: BadRequest, naming the setting that is wrong."""
    root = state_dir or Path(environment.get("AEROSTAT_STATE_DIR", DEFAULT_STATE_DIR))
    values: dict[str, Any] = {}
    file = root / "aerostat.toml"
    try:
        values.update(tomllib.loads(file.read_text()))
    except FileNotFoundError:
        pass
    except OSError as why:
        raise unusable("state_dir", file, why) from why
    except ValueError as why:  # TOML, or UTF-8
        raise BadRequest(f"{file} cannot be read: {why}", field=str(file)) from why
    for name in Settings.__struct_fields__:
        if (given := environment.get(f"AEROSTAT_{name.upper()}")) is not None:
            values[name] = given
    values["state_dir"] = str(root)
    try:
        return msgspec.convert(values, Settings, strict=False, dec_hook=_path)
    except msgspec.ValidationError as why:
        raise BadRequest(f"A setting is wrong: {why}", field="aerostat.toml") from why


def several(urls: str) -> list[str]:
    """Return one URL for each place in URLs with commas between them, or between their hosts.

    A host without user and password has those of the one before it.
    """
    found: list[str] = []
    for text in filter(None, (part.strip() for part in re.split(r",(?=\s*\w+://)", urls))):
        parts = urlsplit(text)
        account = ""
        for place in parts.netloc.split(","):
            own, at, host = place.strip().rpartition("@")
            account = own + at if at else account
            found.append(urlunsplit(parts._replace(netloc=account + host)))
    return found


def options(values: dict[str, Any], kind: type[T], table: str) -> T:
    """Return a service's options as `kind`. Raises: BadRequest, naming the one that is wrong."""
    try:
        return msgspec.convert(values, kind, dec_hook=_path)
    except msgspec.ValidationError as why:
        raise BadRequest(f"An option of [{table}] is wrong: {why}", field=table) from why


def _path(kind: type, value: Any) -> Any:
    return kind(value)
