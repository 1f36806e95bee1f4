"""What differs between PostgreSQL and MariaDB: sessions, and which errors mean "once more"."""

from typing import Any, Protocol

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from aerostat.kit.errors import BadRequest
from aerostat.kit.sockets import SILENT_S, notice_silence

CONNECT_TIMEOUT_S = 2
STATEMENT_TIMEOUT_S = 60
LOCK_TIMEOUT_S = 5


class Dialect(Protocol):
    """One kind of database server."""

    urls: list[URL]
    """The servers of the database, one URL each."""

    def connect_args(self) -> dict[str, Any]: ...

    def prepare(self, raw: Any, *, writing: bool) -> None:
        """Set a new session up: isolation, and limits on how long it waits."""
        ...

    def collided(self, why: DBAPIError) -> bool:
        """Tell whether another transaction was in the way, and this one is wholly undone."""
        ...

    def lost(self, why: DBAPIError) -> bool:
        """Tell whether the connection or the server went away."""
        ...


def of(urls: list[URL]) -> Dialect:
    """Return the dialect of some URLs. Raises: BadRequest (neither PostgreSQL nor MariaDB)."""
    kind = urls[0].get_backend_name()
    if kind == "postgresql":
        return PostgreSql([url.set(drivername="postgresql+psycopg") for url in urls])
    if kind in ("mysql", "mariadb"):
        return MariaDb([url.set(drivername="mariadb+pymysql") for url in urls])
    raise BadRequest(f"No such kind of database: {kind}.", field="database_url")


class PostgreSql:
    """PostgreSQL 15 or newer. Source: PostgreSQL manual, 13.2 and appendix A."""

    COLLISIONS = frozenset({"40001", "40P01", "55P03"})
    GONE = frozenset({"57P01", "57P02", "57P03", "25006", "53300"})

    def __init__(self, urls: list[URL]) -> None:
        self.urls = urls

    def connect_args(self) -> dict[str, Any]:
        limits = f"-c statement_timeout={STATEMENT_TIMEOUT_S}s -c lock_timeout={LOCK_TIMEOUT_S}s"
        alive = {"keepalives_idle": 1, "keepalives_interval": 1, "keepalives_count": SILENT_S - 1}
        more = {"options": limits, "tcp_user_timeout": SILENT_S * 1000, **alive}
        if len(self.urls) > 1:  # A standby is passed over.
            more["target_session_attrs"] = "read-write"
        return {"connect_timeout": CONNECT_TIMEOUT_S, **more}

    def prepare(self, raw: Any, *, writing: bool) -> None:
        from psycopg import IsolationLevel

        level = IsolationLevel.SERIALIZABLE if writing else IsolationLevel.REPEATABLE_READ
        raw.isolation_level = level
        raw.read_only = not writing

    def collided(self, why: DBAPIError) -> bool:
        return getattr(why.orig, "sqlstate", None) in self.COLLISIONS

    def lost(self, why: DBAPIError) -> bool:
        from psycopg import OperationalError

        state = getattr(why.orig, "sqlstate", None)
        if state is None:  # It did not get as far as a server's answer.
            return why.connection_invalidated or isinstance(why.orig, OperationalError)
        return state in self.GONE or state.startswith("08")


class MariaDb:
    """MariaDB 10.11 or newer, alone or with Galera. Source: MariaDB error codes."""

    COLLISIONS = frozenset({1020, 1205, 1213})
    GONE = frozenset({1040, 1047, 1053, 1180, 1290, 1927, 2002, 2003, 2006, 2013, 2055, 4031})
    """1047: a Galera node that is cut off from the others, or is not up to date yet."""

    def __init__(self, urls: list[URL]) -> None:
        self.urls = [url.update_query_dict({"charset": "utf8mb4"}) for url in urls]

    def connect_args(self) -> dict[str, Any]:
        slow = {"read_timeout": STATEMENT_TIMEOUT_S, "write_timeout": STATEMENT_TIMEOUT_S}
        return {"connect_timeout": CONNECT_TIMEOUT_S, **slow}

    def prepare(self, raw: Any, *, writing: bool) -> None:
        level = "SERIALIZABLE" if writing else "REPEATABLE READ"
        notice_silence(raw._sock)
        with raw.cursor() as cursor:
            if len(self.urls) > 1:  # See all that another node has confirmed to somebody.
                cursor.execute("SET SESSION wsrep_sync_wait=7")
                cursor.execute("SELECT 1")  # A node that is cut off would not.
            cursor.execute(f"SET SESSION TRANSACTION ISOLATION LEVEL {level}")
            cursor.execute(
                f"SET SESSION innodb_lock_wait_timeout={LOCK_TIMEOUT_S}, sql_mode='TRADITIONAL'"
            )
        raw.commit()

    def collided(self, why: DBAPIError) -> bool:
        return _number(why) in self.COLLISIONS

    def lost(self, why: DBAPIError) -> bool:
        return why.connection_invalidated or _number(why) in self.GONE


def _number(why: DBAPIError) -> int:
    args = getattr(why.orig, "args", ()) or (0,)
    return args[0] if isinstance(args[0], int) else 0
