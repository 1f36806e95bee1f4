"""Schema versions: alembic migrations per service, run at start when the schema is behind.

Each service keeps `db/migrations/NNNN_title.py` (alembic revision files) and its own version
table, so that services may later live in separate databases.
"""

from pathlib import Path
from typing import Any

from sqlalchemy import MetaData, text
from sqlalchemy.exc import DatabaseError

from aerostat.kit.db.engine import Database, Tx


async def upgrade(db: Database, service: str, migrations: Path) -> bool:
    """Bring the tables of `service` to the newest version; tell whether anything was done."""
    head = head_of(migrations)
    if await db.read(_current, service) == head:
        return False
    await db.write(_upgrade, service, migrations)
    return True


async def behind(db: Database, service: str, migrations: Path) -> bool:
    """Tell whether the tables of `service` lack a migration that this release has."""
    return (await db.read(_current, service) or "") < head_of(migrations)


def head_of(migrations: Path) -> str:
    """Return the newest revision, read from the file names."""
    return max(path.stem.split("_")[0] for path in migrations.glob("[0-9]*.py"))


def _current(tx: Tx, service: str) -> str | None:
    try:
        version = tx.scalar(text(f"SELECT version_num FROM {version_table(service)}"))
    except DatabaseError:
        return None
    return None if version is None else str(version)


def version_table(service: str) -> str:
    """Return the name of the table that holds the schema version of `service`."""
    return f"{service}_alembic_version"


def _upgrade(tx: Tx, service: str, migrations: Path) -> None:
    from alembic.runtime.environment import EnvironmentContext

    if tx.connection.dialect.name in ("mysql", "mariadb"):
        tx.run(text("ALTER DATABASE CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"))
    config, script = _script(migrations)

    def steps(revision: Any, _context: Any) -> Any:
        return script._upgrade_revs("head", revision)

    with EnvironmentContext(config, script, fn=steps) as env:
        env.configure(connection=tx.connection, version_table=version_table(service))
        env.run_migrations()


def differences(tx: Tx, service: str, metadata: MetaData) -> list[Any]:
    """Return what `metadata` has and the database has not, or the other way round."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    def ours(name: str | None, kind: str, _parents: Any) -> bool:
        return kind != "table" or name in metadata.tables

    opts = {"version_table": version_table(service), "include_name": ours}
    return list(compare_metadata(MigrationContext.configure(tx.connection, opts=opts), metadata))


def _script(migrations: Path) -> tuple[Any, Any]:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(migrations))
    return config, ScriptDirectory(str(migrations), version_locations=[str(migrations)])
