"""Database and message servers of one's own, from Debian's packages, in a directory on loopback.

For labs, tests and benchmarks. Nothing here is for an operator's servers: those have theirs.
Each server runs as its package's user, keeps everything below its folder, and is ready when
`start` returns; `kill` is kill -9, and `start` again goes on with the same data.
"""

import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections import deque
from pathlib import Path

from aerostat.assembly import orphans
from aerostat.kit.errors import DeadlineExceeded, Unsupported

PACKAGES = (
    *("postgresql-15", "mariadb-server", "rabbitmq-server", "haproxy", "slapd"),
    *("swift-proxy", "swift-account", "swift-container", "swift-object"),
    "python3-keystonemiddleware",
    *("ceph-mon", "ceph-osd", "ceph-common", "python3-rados", "python3-rbd"),
    *("simplesamlphp", "php-cli", "php-xml"),
    *("liblemonldap-ng-portal-perl", "libplack-perl", "libstring-random-perl"),
    *("libio-string-perl", "libconvert-pem-perl", "libcrypt-openssl-rsa-perl"),
    *("libcrypt-openssl-x509-perl", "libcrypt-urandom-perl", "libemail-sender-perl"),
)
READY_S = 60.0
PORTS = range(30000, 32700)
"""Source: ip_local_port_range begins at 32768."""

RESERVED_MAX = 400
_reserved: deque[int] = deque()
"""Descriptors of files: a lock goes with its file, or with the process."""

PASSWORD = "aerostat"
NAME = "aerostat"


def free_port() -> int:
    """Return a TCP port of loopback that nobody listens on, nor was told of it lately.

    It is below those that outgoing connections get: a server that is away for a moment must find
    its port again, and nobody who knocks meanwhile may be connected to himself.
    """
    while True:
        port = PORTS.start + secrets.randbelow(len(PORTS))
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if _reserve(port):
            return port


def _reserve(port: int) -> bool:
    """Tell other processes, while this one lasts, that a port is taken; False if they told us."""
    folder = Path(tempfile.gettempdir(), f"aerostat-ports-{os.geteuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    file = os.open(folder / str(port), os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return False
    _reserved.append(file)
    if len(_reserved) > RESERVED_MAX:
        os.close(_reserved.popleft())
    return True


class Server:
    """A server process that can be started, killed and started again."""

    user = ""
    program = Path("/")
    package = ""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder, self.port = folder, port or free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises: Unsupported (not installed), DeadlineExceeded (60 s; the log is named).
        """
        if not self.program.exists():
            raise Unsupported(f"{self.program} is not there: apt-get install {self.package}")
        if not self.folder.exists():
            self.folder.mkdir(parents=True)
            self.folder.chmod(0o755)
            (self.folder / "data").mkdir(mode=0o700)
            shutil.chown(self.folder / "data", self.user, self.user)
            shutil.chown(self.folder, self.user, self.user)
            self.initialise()
        self.launch()
        self.wait_ready()
        self.prepare()

    def initialise(self) -> None:
        """Make the data directory, once."""

    def launch(self) -> None:
        """Start the process."""
        self.process = self.spawn(self.command())

    def spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        """Start a process as the server's user, with its environment and log.

        It ends with this process at the latest.
        """
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                self._as_user(command),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=self.environment(),
                cwd=self.folder,
                start_new_session=True,
            )
        orphans.watch(process)
        return process

    def command(self) -> list[str]:
        """Return the command that stays in the foreground."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Tell whether it serves."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Make accounts and databases that are missing."""

    def environment(self) -> dict[str, str]:
        return {**os.environ, "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}

    def wait_ready(self) -> None:
        end = time.monotonic() + READY_S
        while not self.answers():
            dead = self.process is None or self.process.poll() is not None
            if dead or time.monotonic() > end:
                tail = (self.folder / "log").read_text(errors="replace")[-1500:]
                raise DeadlineExceeded(f"{self.program.name} does not start: {tail}")
            time.sleep(0.05)

    def run(self, *command: str | Path, stdin: str | None = None) -> str:
        """Run a program of the server's package as its user; return what it printed."""
        done = subprocess.run(
            self._as_user([str(word) for word in command]),
            env=self.environment(),
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=READY_S,
            check=False,
        )
        if done.returncode:
            raise Unsupported(f"{command[0]}: {done.stdout}{done.stderr}")
        return done.stdout

    def _as_user(self, command: list[str]) -> list[str]:
        if os.geteuid() != 0:
            return command
        ids = [f"--reuid={self.user}", f"--regid={self.user}", "--init-groups"]
        return ["/usr/bin/setpriv", *ids, "--", *command]

    def kill(self) -> None:
        """kill -9 it and all of its processes."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in good order."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self.process is not None:
            orphans.end(self.process, number, READY_S)
            self.process = None


class PostgreSql(Server):
    """A PostgreSQL server with the database and the account `aerostat`."""

    user, package = "postgres", "postgresql-15"
    home = Path("/usr/lib/postgresql/15/bin")
    program = home / "postgres"

    @property
    def url(self) -> str:
        return f"postgresql://{NAME}:{PASSWORD}@127.0.0.1:{self.port}/{NAME}"

    def initialise(self) -> None:
        self.run(
            self.home / "initdb",
            *("-D", self.folder / "data", "-A", "trust", "-U", "postgres"),
            *("--locale", "C", "-E", "UTF8"),
        )

    def command(self) -> list[str]:
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "max_connections": "200",
            "shared_buffers": "64MB",
        }
        pairs = [word for k, v in options.items() for word in ("-c", f"{k}={v}")]
        return [str(self.program), "-D", str(self.folder / "data"), *pairs]

    def answers(self) -> bool:
        command = [str(self.home / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def prepare(self) -> None:
        if NAME not in self.sql("SELECT rolname FROM pg_roles"):
            self.sql(f"CREATE ROLE {NAME} LOGIN PASSWORD '{PASSWORD}'")
            self.create(NAME)

    def create(self, name: str) -> str:
        """Make a database and return its URL."""
        self.sql(f"CREATE DATABASE {name} OWNER {NAME}")
        return f"postgresql://{NAME}:{PASSWORD}@127.0.0.1:{self.port}/{name}"

    def sql(self, statement: str) -> str:
        """Run a statement as the superuser; return its rows as text."""
        where = ["-h", str(self.folder), "-p", str(self.port), "-U", "postgres", "-d", "postgres"]
        return self.run(self.home / "psql", "-X", "-q", "-A", "-t", *where, "-c", statement)


class MariaDb(Server):
    """A MariaDB server with the database and the account `aerostat`."""

    user, package = "mysql", "mariadb-server"
    program = Path("/usr/sbin/mariadbd")
    options: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        return f"mariadb://{NAME}:{PASSWORD}@127.0.0.1:{self.port}/{NAME}"

    @property
    def socket(self) -> Path:
        return self.folder / "mariadb.sock"

    def initialise(self) -> None:
        options = ("--no-defaults", "--auth-root-authentication-method=normal")
        self.run("/usr/bin/mariadb-install-db", *options, f"--datadir={self.folder / 'data'}")

    def command(self) -> list[str]:
        return [
            *(str(self.program), "--no-defaults", f"--datadir={self.folder / 'data'}"),
            *(f"--socket={self.socket}", f"--port={self.port}", "--bind-address=127.0.0.1"),
            *(f"--pid-file={self.folder / 'pid'}", "--max-connections=300"),
            *("--innodb-buffer-pool-size=128M", "--skip-log-bin", "--skip-name-resolve"),
            *("--character-set-server=utf8mb4", "--collation-server=utf8mb4_bin"),
            *self.options,
        ]

    def answers(self) -> bool:
        command = ["/usr/bin/mariadb", "--no-defaults", "-u", "root", f"--socket={self.socket}"]
        done = subprocess.run([*command, "-e", "SELECT 1"], capture_output=True, check=False)
        return done.returncode == 0

    def prepare(self) -> None:
        for host in ("localhost", "127.0.0.1"):
            self.sql(f"CREATE USER IF NOT EXISTS {NAME}@'{host}' IDENTIFIED BY '{PASSWORD}'")
            self.sql(f"GRANT ALL ON *.* TO {NAME}@'{host}'")
        self.sql(f"CREATE DATABASE IF NOT EXISTS {NAME}")

    def create(self, name: str) -> str:
        """Make a database and return its URL."""
        self.sql(f"CREATE DATABASE {name}")
        return f"mariadb://{NAME}:{PASSWORD}@127.0.0.1:{self.port}/{name}"

    def sql(self, statement: str) -> str:
        """Run a statement as the superuser; return its rows as text."""
        where = ["--no-defaults", "-u", "root", f"--socket={self.socket}", "-N", "-B"]
        return self.run("/usr/bin/mariadb", *where, "-e", statement)


class RabbitMq(Server):
    """A RabbitMQ node with the virtual host `/` and the administrator `aerostat`."""

    user, package = "rabbitmq", "rabbitmq-server"
    home = Path("/usr/lib/rabbitmq/bin")
    program = home / "rabbitmq-server"

    def __init__(self, folder: Path, port: int = 0, listen: str = "127.0.0.1") -> None:
        super().__init__(folder, port)
        self.listen = listen
        self._epmd, self._dist, self._management = free_port(), free_port(), free_port()
        self._cookie, self._members = secrets.token_hex(16), [self.name]

    @property
    def name(self) -> str:
        """What Erlang calls it."""
        return f"{NAME}{self.port}@localhost"

    def join(self, epmd: int, cookie: str, members: list[str]) -> None:
        """Be one of the cluster of `members` (names), from the first start on."""
        self._epmd, self._cookie, self._members = epmd, cookie, members

    @property
    def url(self) -> str:
        return f"amqp://{NAME}:{PASSWORD}@{self.listen}:{self.port}/"

    @property
    def admin_url(self) -> str:
        """The management API."""
        return f"http://{NAME}:{PASSWORD}@{self.listen}:{self._management}"

    def environment(self) -> dict[str, str]:
        return {
            **super().environment(),
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_NODE_IP_ADDRESS": self.listen,
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._dist),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "logs"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "none"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "ERL_EPMD_PORT": str(self._epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            # One scheduler: this server shares its machine with everything else.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none",
        }

    def initialise(self) -> None:
        (self.folder / "plugins").write_text("[rabbitmq_management].\n")
        lines = (
            "default_user = aerostat",
            f"default_pass = {PASSWORD}",
            "disk_free_limit.absolute = 50MB",
            f"management.tcp.ip = {self.listen}",
            f"management.tcp.port = {self._management}",
            "cluster_partition_handling = pause_minority",
            "cluster_formation.peer_discovery_backend = classic_config",
            *(
                f"cluster_formation.classic_config.nodes.{number} = {name}"
                for number, name in enumerate(self._members, 1)
            ),
        )
        (self.folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
        cookie = self.folder / ".erlang.cookie"
        cookie.write_text(self._cookie)
        cookie.chmod(0o400)
        shutil.chown(cookie, self.user, self.user)

    def command(self) -> list[str]:
        return [str(self.program)]

    def answers(self) -> bool:
        try:
            with socket.create_connection((self.listen, self.port), 1) as probe:
                probe.settimeout(1)
                probe.sendall(b"AMQP\x00\x00\x09\x01")
                return bool(probe.recv(1))
        except OSError:
            return False

    def control(self, *words: str) -> str:
        """Run rabbitmqctl."""
        return self.run(self.home / "rabbitmqctl", "-q", *words)

    def sync(self) -> None:
        """Have the names of new quorum queues on disk now.

        RabbitMQ 3.10 does it every half second; a queue younger than that has no leader after a
        kill -9, and hangs its consumers.
        """
        self.control("eval", "[dets:sync(Table) || Table <- dets:all()].")

    def _end(self, number: signal.Signals) -> None:
        super()._end(number)
        subprocess.run(
            ["/usr/bin/epmd", "-port", str(self._epmd), "-kill"],
            capture_output=True,
            check=False,
        )


class HaProxy(Server):
    """An HAProxy that shares each port among copies of an API, without stickiness."""

    user, package = "haproxy", "haproxy"
    program = Path("/usr/sbin/haproxy")

    def __init__(self, folder: Path, ports: dict[int, list[int]]) -> None:
        super().__init__(folder, min(ports))
        self._ports = ports

    def initialise(self) -> None:
        lines = [
            "global",
            "  maxconn 4000",
            "defaults",
            "  mode http",
            "  timeout connect 1s",
            "  timeout client 75s",
            "  timeout server 75s",
            "  retries 3",
            # A request that no copy has begun to answer goes to another one.
            "  option redispatch 1",
            "  retry-on conn-failure empty-response response-timeout 503",
            "  option httpchk GET /",
            "  default-server inter 300ms fall 1 rise 1 on-marked-down shutdown-sessions",
        ]
        for port, copies in self._ports.items():
            lines += [f"listen api{port}", f"  bind 127.0.0.1:{port}", "  balance roundrobin"]
            lines += [f"  server s{copy} 127.0.0.1:{copy} check" for copy in copies]
        (self.folder / "haproxy.cfg").write_text("\n".join(lines) + "\n")

    def command(self) -> list[str]:
        return [str(self.program), "-db", "-f", str(self.folder / "haproxy.cfg")]

    def answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True
