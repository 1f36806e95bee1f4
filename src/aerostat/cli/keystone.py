"""`aerostat keystone ACTION`: rotates the keys of tokens, receipts and credentials.

The running processes see new keys by themselves. What is written belongs to whom the keys
belong to, whoever runs this.
"""

import asyncio
import os
from pathlib import Path

from aerostat.assembly.services import keystone_of
from aerostat.cli.command import Command
from aerostat.cli.console import CliError
from aerostat.kit.db.open import open_database
from aerostat.kit.errors import Conflict
from aerostat.services.keystone.domain.keys import ACTIONS


def run(command: Command) -> int:
    """Do the action and say what was done."""
    folder = command.settings.keystone_dir
    if not folder.is_dir():
        raise CliError("there is no cloud here yet", "start it: ./aerostat up")
    _become_owner(folder)
    try:
        command.console.say(asyncio.run(_act(command)))
    except Conflict as why:
        raise CliError(why.message, "./aerostat keystone credential-migrate") from why
    return 0


def _become_owner(folder: Path) -> None:
    owner = folder.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.setgroups([])
        os.setgid(owner.st_gid)
        os.setuid(owner.st_uid)


async def _act(command: Command) -> str:
    settings = command.settings
    db = open_database(settings.database_url, settings.control_dir / "aerostat.db")
    keystone = keystone_of(settings, db)
    try:
        return await ACTIONS[command.options.action](keystone)
    finally:
        keystone.hasher.close()
        await db.close()
