"""Opens the database that a process is told to use."""

from pathlib import Path

from aerostat.kit.db.engine import Database
from aerostat.kit.db.sqlite import SqliteDatabase


def open_database(url: str, file: Path) -> Database:
    """Return the database at `url` (postgresql://, mariadb://), or SQLite in `file` if it is "".

    Raises: BadRequest (no such kind of database).
    """
    if not url:
        return SqliteDatabase(file)
    from aerostat.kit.db.server import ServerDatabase

    return ServerDatabase(url)
