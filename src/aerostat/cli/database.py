"""`aerostat db`: the schema of a database server that many processes share."""

import asyncio

from aerostat.assembly.services import MANIFESTS
from aerostat.assembly.settings import Settings
from aerostat.cli.command import Command
from aerostat.cli.console import CliError
from aerostat.kit.db import migrate
from aerostat.kit.db.open import open_database
from aerostat.kit.errors import Fault

ADVICE = "see database_url in aerostat.toml; ./aerostat config check tries it"


def run(command: Command) -> int:
    """Show versions, or bring the tables forward; safe to repeat, and while the cloud runs."""
    options, settings = command.options, command.settings
    if not settings.database_url:
        advice = "./aerostat up; db is for a server that several processes share (database_url)"
        raise CliError("SQLite is brought forward by the control process itself", advice)
    try:
        rows = asyncio.run(_versions(settings, options.action, contract=options.contract))
    except Fault as why:
        raise CliError(f"{why.message} {why.detail}".strip(), ADVICE) from why
    command.console.table(rows)
    return 0


async def _versions(settings: Settings, action: str, *, contract: bool) -> list[tuple[str, ...]]:
    db = open_database(settings.database_url, settings.control_dir / "aerostat.db")
    rows: list[tuple[str, ...]] = []
    try:
        for m in MANIFESTS:
            if action == "version":
                now = await migrate.version(db, m.name)
                rest = await migrate.behind(db, m.name, m.migrations)
                rows.append((m.name, now or "-", "behind: db migrate" if rest else "current"))
                continue
            before, after = await migrate.upgrade(db, m.name, m.migrations, contract=contract)
            rows.append(
                (m.name, after, f"was {before or 'empty'}" if before != after else "as it was")
            )
    finally:
        await db.close()
    return rows
