"""What differs between PostgreSQL and MariaDB: sessions, and which errors mean "once more"."""

from typing import Any, Protocol

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from aerostat.kit.errors import BadRequest

CONNECT_TIMEOUT_S = 3
STATEMENT_TIMEOUT_S = 60
LOCK_TIMEOUT_S = 5


class Dialect(Protocol):
    """One kind of database server."""

    url: URL

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


def of(url: URL) -> Dialect:
    """Return the dialect of a URL. Raises: BadRequest (neither PostgreSQL nor MariaDB)."""
    kind = url.get_backend_name()
    if kind == "postgresql":
        return PostgreSql(url.set(drivername="postgresql+psycopg"))
    if kind in ("mysql", "mariadb"):
        return MariaDb(url.set(drivername="mariadb+pymysql"))
    raise BadRequest(f"No such kind of database: {kind}.", field="database_url")


class PostgreSql:
    """PostgreSQL 15 or newer. Source: PostgreSQL manual, 13.2 and appendix A."""

    COLLISIONS = frozenset({"40001", "40P01", "55P03"})
    GONE = frozenset({"57P01", "57P02", "57P03", "25006", "53300"})

    def __init__(self, url: URL) -> None:
        self.url = url

    def connect_args(self) -> dict[str, Any]:
        limits = f"-c statement_timeout={STATEMENT_TIMEOUT_S}s -c lock_timeout={LOCK_TIMEOUT_S}s"
        alive = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
        return {"connect_timeout": CONNECT_TIMEOUT_S, "options": limits, **alive}

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
    GONE = frozenset({1040, 1047, 1053, 1290, 2002, 2003, 2006, 2013, 2055, 4031})

    def __init__(self, url: URL) -> None:
        self.url = url.update_query_dict({"charset": "utf8mb4"})

    def connect_args(self) -> dict[str, Any]:
        slow = {"read_timeout": STATEMENT_TIMEOUT_S, "write_timeout": STATEMENT_TIMEOUT_S}
        return {"connect_timeout": CONNECT_TIMEOUT_S, **slow}

    def prepare(self, raw: Any, *, writing: bool) -> None:
        level = "SERIALIZABLE" if writing else "REPEATABLE READ"
        with raw.cursor() as cursor:
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
