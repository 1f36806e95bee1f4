"""`aerostat keystone ACTION`: rotates the keys of tokens, receipts and credentials; tries mappings.

The running processes see new keys by themselves. What is written belongs to whom the keys
belong to, whoever runs this.
"""

import asyncio
import json

import msgspec

from aerostat.assembly.services import keystone_of
from aerostat.cli.command import Command
from aerostat.cli.console import CliError
from aerostat.cli.places import become_owner
from aerostat.kit.db.open import open_database
from aerostat.kit.errors import Conflict
from aerostat.services.keystone.domain.keys import ACTIONS
from aerostat.services.keystone.model import mapping_engine, mapping_rules
from aerostat.services.keystone.model.federation import Mapping


def run(command: Command) -> int:
    """Do the action and say what was done."""
    if command.options.action == "mapping-engine":
        return _try_mapping(command)
    folder = command.settings.keystone_dir
    if not folder.is_dir():
        raise CliError("there is no cloud here yet", "start it: ./aerostat up")
    become_owner(folder)
    try:
        command.console.say(asyncio.run(_act(command)))
    except Conflict as why:
        raise CliError(why.message, "./aerostat keystone credential-migrate") from why
    return 0


def _try_mapping(command: Command) -> int:
    """Say what rules make of an assertion; needs no cloud. Source: keystone-manage."""
    options = command.options
    if options.rules is None or options.input is None:
        raise CliError("mapping-engine needs --rules FILE and --input FILE", "see --help")
    try:
        given = json.loads(options.rules.read_text())
        lines = options.input.read_text().splitlines()
    except (OSError, ValueError) as why:
        raise CliError(f"a file cannot be read: {why}", "--rules is JSON, --input is text") from why
    given = {"rules": given} if isinstance(given, list) else given
    version = options.schema_version or given.get("schema_version") or "1.0"
    try:
        mapping_rules.check(given.get("rules", []), version)
        mapping = Mapping("mapping-engine", given["rules"], version)
        mapped = mapping_engine.apply(mapping, _assertion(lines, options.prefix))
    except ValueError as why:
        raise CliError(str(why), "change the rules, or the input") from why
    command.console.say(json.dumps(msgspec.to_builtins(mapped), indent=2))
    return 0


def _assertion(lines: list[str], prefix: str) -> dict[str, tuple[str, ...]]:
    said = {}
    for number, line in enumerate(lines, 1):
        name, colon, value = line.partition(":")
        if line.strip() and not colon:
            raise ValueError(f"line {number} is not `name: value`: {line}")
        if line.strip() and name.strip().startswith(prefix):
            said[name.strip()] = value.strip()
    return mapping_engine.split(said)


async def _act(command: Command) -> str:
    settings = command.settings
    db = open_database(settings.database_url, settings.control_dir / "aerostat.db")
    keystone = keystone_of(settings, db)
    try:
        return await ACTIONS[command.options.action](keystone)
    finally:
        keystone.hasher.close()
        await db.close()
