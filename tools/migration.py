"""Write the next migration of a service from the difference between its tables and its files.

usage: tools/migration.py SERVICE TITLE
"""

import asyncio
import importlib
import sys
import tempfile
from pathlib import Path
from typing import Any

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from sqlalchemy import MetaData

from aerostat.kit.db.engine import Tx
from aerostat.kit.db.migrate import upgrade, version_table
from aerostat.kit.db.sqlite import SqliteDatabase

TEMPLATE = '''"""{title}."""

import sqlalchemy as sa
from alembic import op

from aerostat.kit.db.columns import Json  # noqa: F401

revision = "{revision}"
down_revision = {down!r}
branch_labels = None
depends_on = None


def upgrade() -> None:
    {up}
'''


async def main(service: str, title: str) -> None:
    """Bring an empty database to the files' head and write down what is still missing."""
    metadata: MetaData = importlib.import_module(f"aerostat.services.{service}.db.tables").metadata
    folder = Path(f"src/aerostat/services/{service}/db/migrations")
    folder.mkdir(parents=True, exist_ok=True)
    done = sorted(path.stem.split("_")[0] for path in folder.glob("[0-9]*.py"))
    with tempfile.TemporaryDirectory() as scratch:
        db = SqliteDatabase(Path(scratch) / "db")
        if done:
            await upgrade(db, service, folder)
        up = await db.read(_render, service, metadata)
        await db.close()
    revision = f"{int(done[-1]) + 1 if done else 1:04d}"
    path = folder / f"{revision}_{title.lower().replace(' ', '_')}.py"
    down = done[-1] if done else None
    path.write_text(TEMPLATE.format(title=title, revision=revision, down=down, up=up))
    print(path)


def _render(tx: Tx, service: str, metadata: MetaData) -> str:
    def ours(name: str | None, kind: str, _parents: Any) -> bool:
        return kind != "table" or name in metadata.tables

    def render(kind: str, item: Any, _context: Any) -> Any:
        return "Json()" if kind == "type" and type(item).__name__ == "Json" else False

    opts: dict[str, Any] = {
        "version_table": version_table(service),
        "include_name": ours,
        "target_metadata": metadata,
        "render_item": render,
    }
    context = MigrationContext.configure(tx.connection, opts=opts)
    script = produce_migrations(context, metadata)
    assert script.upgrade_ops is not None
    return render_python_code(
        script.upgrade_ops, render_item=render, migration_context=context
    ).replace("\n", "\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
