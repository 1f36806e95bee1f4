"""Schema versions: alembic migrations per service.

Each service keeps `db/migrations/NNNN_title.py` (alembic revision files) and its own version
table, so that services may later live in separate databases. A migration expands the schema (new
tables, new columns that may be empty), so that processes of the release before go on working; one
that takes something away says `CONTRACT = True` and waits until none of them is left.
"""

from pathlib import Path
from typing import Any

from sqlalchemy import MetaData, text
from sqlalchemy.exc import DatabaseError

from aerostat.kit.db.engine import Database, Tx

LOCK = 0x61657261
"""Names the lock that keeps two migrations apart, in PostgreSQL's numbers."""

LOCK_TIMEOUT_S = 120


async def upgrade(
    db: Database, service: str, migrations: Path, *, contract: bool = False
) -> tuple[str, str]:
    """Bring the tables of `service` as far as they may go; return the versions before and after.

    Without `contract`, that is up to the first migration that takes something away.
    """
    current = await version(db, service)
    target = target_of(migrations, current, contract=contract)
    if target != current:
        await db.write(_upgrade, service, migrations, target)
    return current, target


async def version(db: Database, service: str) -> str:
    """Return the schema version of `service`, "" if it has no tables yet."""
    return await db.read(_current, service) or ""


async def behind(db: Database, service: str, migrations: Path) -> bool:
    """Tell whether the tables of `service` lack a migration that this release needs."""
    current = await version(db, service)
    return target_of(migrations, current, contract=False) != current


def target_of(migrations: Path, current: str, *, contract: bool) -> str:
    """Return the version to go to from `current`."""
    target = current
    for path in sorted(migrations.glob("[0-9]*.py")):
        number = path.stem.split("_")[0]
        if number <= current:
            continue
        if not contract and current and "CONTRACT = True" in path.read_text():
            break
        target = number
    return target


def _current(tx: Tx, service: str) -> str | None:
    try:
        found = tx.scalar(text(f"SELECT version_num FROM {version_table(service)}"))
    except DatabaseError:
        return None
    return None if found is None else str(found)


def version_table(service: str) -> str:
    """Return the name of the table that holds the schema version of `service`."""
    return f"{service}_alembic_version"


def _upgrade(tx: Tx, service: str, migrations: Path, target: str) -> None:
    from alembic.runtime.environment import EnvironmentContext

    _lock(tx)
    config, script = _script(migrations)

    def steps(revision: Any, _context: Any) -> Any:
        return script._upgrade_revs(target, revision)

    with EnvironmentContext(config, script, fn=steps) as env:
        env.configure(connection=tx.connection, version_table=version_table(service))
        env.run_migrations()


def _lock(tx: Tx) -> None:
    """Keep other migrations waiting until this one is done (MariaDB: until the session ends)."""
    kind = tx.connection.dialect.name
    if kind == "postgresql":
        tx.scalar(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
    elif kind in ("mysql", "mariadb"):
        tx.scalar(text(f"SELECT GET_LOCK('aerostat_migrate', {LOCK_TIMEOUT_S})"))
        tx.run(text("ALTER DATABASE CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"))


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
