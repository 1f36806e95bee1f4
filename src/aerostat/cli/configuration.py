"""`aerostat config check`: the settings, and whether what they point at answers."""

import asyncio
import ssl
import tomllib
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from msgspec import Struct

from aerostat.assembly import identity_providers
from aerostat.assembly.buses import connect, make_bus
from aerostat.assembly.services import MANIFESTS, policy_of
from aerostat.assembly.settings import Settings
from aerostat.cli.command import Command
from aerostat.kit.db import migrate
from aerostat.kit.db.open import open_database
from aerostat.kit.errors import BadRequest, Fault
from aerostat.kit.http.proxies import networks
from aerostat.kit.manifest import Manifest
from aerostat.services.keystone.federation_config import OpenIdClient, SamlPeer

PATIENCE_S = 12.0


class Finding(Struct, frozen=True):
    """One thing that was checked; `problem` is empty if it is well."""

    name: str
    text: str
    problem: str = ""


def run(command: Command) -> int:
    """Show every finding; 1 if there is a problem."""
    found = asyncio.run(check(command.settings))
    if command.console.as_json:
        command.console.json(
            {"findings": [{f: getattr(x, f) for f in Finding.__struct_fields__} for x in found]}
        )
    else:
        command.console.table(
            [("ok" if not f.problem else "WRONG", f.name, f.problem or f.text) for f in found]
        )
    return 1 if any(f.problem for f in found) else 0


async def check(settings: Settings) -> list[Finding]:
    """Return what there is to say about the settings."""
    found = [_file(settings.state_dir / "aerostat.toml")]
    if settings.tls_cert:
        found.append(_tls(settings))
    if settings.trusted_proxies:
        found.append(_proxies(settings))
    if settings.database_url:
        found.append(await _tried("database_url", settings, _database))
    if settings.bus_urls:
        found.append(await _tried("bus_url", settings, _bus))
    found += [_rules(settings, m) for m in MANIFESTS if settings.policy_file(m.name).exists()]
    return [*found, *await _providers(settings)]


def _rules(settings: Settings, manifest: Manifest) -> Finding:
    file = str(settings.policy_file(manifest.name))
    try:
        unknown = policy_of(settings, manifest).unknown()
    except BadRequest as why:
        return Finding(file, "", why.message)
    if unknown:
        return Finding(file, "", f"{manifest.name} has no such rules: {', '.join(unknown)}")
    return Finding(file, "good")


async def _providers(settings: Settings) -> list[Finding]:
    try:
        configured = identity_providers.configured(settings)
    except Fault as why:
        return [Finding("keystone", "", why.message)]
    found = []
    for name, config in configured.items():
        attempt = partial(_provider, config)
        found.append(await _tried(f"keystone.federation.{name}", settings, attempt))
    return found


async def _provider(config: OpenIdClient | SamlPeer, _settings: Settings) -> str:
    return await identity_providers.check(config)


def _file(path: Path) -> Finding:
    if not path.exists():
        return Finding(path.name, "not there: every setting has its default")
    values = tomllib.loads(path.read_text())
    unknown = sorted(set(values) - set(Settings.__struct_fields__))
    if unknown:
        return Finding(path.name, "", f"no such setting: {', '.join(unknown)}")
    secret = bool(values.get("database_url") or values.get("bus_url"))
    if secret and path.stat().st_mode & 0o007:
        return Finding(path.name, "", "holds passwords and everybody may read it: chmod o= it")
    return Finding(path.name, f"{len(values)} settings")


def _proxies(settings: Settings) -> Finding:
    try:
        return Finding("trusted_proxies", f"{len(networks(settings.trusted_proxies))} network(s)")
    except BadRequest as why:
        return Finding("trusted_proxies", "", why.message)


def _tls(settings: Settings) -> Finding:
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
        if settings.tls_client_ca:
            context.load_verify_locations(settings.tls_client_ca)
    except OSError as why:
        return Finding("tls_cert", "", f"{settings.tls_cert}, {settings.tls_key}: {why}")
    return Finding("tls_cert", settings.tls_cert)


async def _tried(
    name: str, settings: Settings, attempt: Callable[[Settings], Awaitable[str]]
) -> Finding:
    try:
        async with asyncio.timeout(PATIENCE_S):
            return Finding(name, await attempt(settings))
    except TimeoutError:
        return Finding(name, "", f"no answer within {PATIENCE_S:.0f} s")
    except Fault as why:
        return Finding(name, "", f"{why.message} {why.detail}".strip())


async def _database(settings: Settings) -> str:
    db = open_database(settings.database_url, settings.control_dir / "aerostat.db")
    try:
        late = [m.name for m in MANIFESTS if await migrate.behind(db, m.name, m.migrations)]
    finally:
        await db.close()
    return f"answers; tables behind: {', '.join(late)} (db migrate)" if late else "answers"


async def _bus(settings: Settings) -> str:
    bus = make_bus(settings)
    try:
        await connect(bus, settings, node=True)
    finally:
        await bus.close()
    return "answers"
