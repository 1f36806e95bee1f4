"""Empty tables for tests: migrated once in each test process, and copied from then on."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from aerostat.kit.db.migrate import upgrade
from aerostat.kit.db.sqlite import SqliteDatabase
from aerostat.kit.manifest import Manifest
from tests.folders import new_folder

_made: dict[tuple[str, ...], Path] = {}


async def lay(file: Path, manifests: Sequence[Manifest], url: str = "") -> None:
    """Have the tables of these services in `file`, unless there is one, or a server at `url`."""
    if url or file.exists():
        return
    names = tuple(manifest.name for manifest in manifests)
    if names not in _made:
        made = new_folder("tables") / "db"
        db = SqliteDatabase(made)
        for manifest in manifests:
            await upgrade(db, manifest.name, manifest.migrations)
        await db.close()
        _made[names] = made
    shutil.copyfile(_made[names], file)
