"""`aerostat glance metadefs ACTION`: the catalogue of metadata definitions, from and to files."""

import asyncio
from pathlib import Path

from aerostat.assembly.settings import options as options_of
from aerostat.cli.command import Command
from aerostat.cli.console import CliError
from aerostat.cli.places import become_owner
from aerostat.kit.clock import SystemClock
from aerostat.kit.db.engine import Database
from aerostat.kit.db.open import open_database
from aerostat.kit.errors import BadRequest, Fault
from aerostat.services.glance import catalogue
from aerostat.services.glance.config import GlanceConfig


def run(command: Command) -> int:
    """Do the action; 1 if a file could not be loaded."""
    settings = command.settings
    if not settings.database_url and not (settings.control_dir / "aerostat.db").exists():
        raise CliError("there is no cloud here yet", "start it: ./aerostat up")
    try:
        return asyncio.run(_act(command))
    except Fault as why:
        advice = "./aerostat glance metadefs load PATH --merge [--prefer_new | --overwrite]"
        raise CliError(f"{why.message} {why.detail}".strip(), advice) from why
    except OSError as why:
        raise CliError(str(why), "name a folder that is there and may be written to") from why


async def _act(command: Command) -> int:
    settings, asked = command.settings, command.options
    config = options_of(settings.glance, GlanceConfig, "glance")
    path = asked.path or Path(config.metadata_source_path)
    given = catalogue.files(path) if asked.action == "load" else []
    if asked.action != "export":  # Files are read and written as whoever asks.
        become_owner(settings.control_dir)
    db = open_database(settings.database_url, settings.control_dir / "aerostat.db")
    try:
        if asked.action == "load":
            return await _load(command, db, given)
        if asked.path and asked.action == "unload":
            raise BadRequest("unload takes everything away: no path", field="path")
        if asked.action == "unload":
            command.console.say(f"{await catalogue.unload(db)} namespaces unloaded")
        else:
            for name in await catalogue.export(db, path):
                command.console.say(str(path / name))
    finally:
        await db.close()
    return 0


async def _load(command: Command, db: Database, given: list[tuple[str, bytes]]) -> int:
    asked = command.options
    how = catalogue.mode(merge=asked.merge, prefer_new=asked.prefer_new, overwrite=asked.overwrite)
    done = await catalogue.load(db, given, how, SystemClock())
    command.console.table([(name, what) for name, what in done])
    return int(any(what.startswith("wrong") for _, what in done))
