"""Transaction functions: plain synchronous functions of a `Tx`, run by `read` and `write`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Executable

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
Params = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


class Tx:
    """One transaction. All of it happens, or nothing; nothing outside it is seen meanwhile."""

    __slots__ = ("_after", "_conn")

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._after: list[Callable[[], None]] = []

    @property
    def connection(self) -> Connection:
        """The SQLAlchemy connection, for what the methods here do not offer."""
        return self._conn

    def run(self, stmt: Executable, params: Params = None) -> int:
        """Execute and return how many rows were changed."""
        return self._conn.execute(stmt, params).rowcount

    def all(self, stmt: Executable, params: Params = None) -> Sequence[Any]:
        """Return every row."""
        return self._conn.execute(stmt, params).all()

    def first(self, stmt: Executable, params: Params = None) -> Any:
        """Return the first row, or None."""
        return self._conn.execute(stmt, params).first()

    def scalar(self, stmt: Executable, params: Params = None) -> Any:
        """Return the first column of the first row, or None."""
        return self._conn.execute(stmt, params).scalar()

    def after_commit(self, fn: Callable[[], None]) -> None:
        """Call `fn` in the event loop once this transaction is durable; never if it is not."""
        self._after.append(fn)

    def committed(self) -> None:
        """Run what waits for the commit; called by the engine."""
        for fn in self._after:
            fn()


def urgent(fn: F) -> F:
    """Mark a transaction that a server's writer runs before all that wait, and by itself.

    It is for what somebody is given up for if it comes too late, and it is short.
    """
    fn.urgent = True  # type: ignore[attr-defined]
    return fn


class Database(Protocol):
    """Runs transaction functions. They may be run again, so they touch nothing but the `Tx`."""

    @property
    def shared(self) -> bool:
        """Whether other processes may write to it too."""
        ...

    async def read(self, fn: Callable[..., T], *args: Any) -> T:
        """Return `fn(tx, *args)` on one snapshot."""
        ...

    async def write(self, fn: Callable[..., T], *args: Any) -> T:
        """Return `fn(tx, *args)` once it is durable; whatever it raises undoes all it did."""
        ...

    async def close(self) -> None: ...
