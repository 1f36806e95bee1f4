"""Assertions for clouds that trust this one: a token becomes a signed document."""

import json
from pathlib import Path

from sqlalchemy import select

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Forbidden, NotFound, Unavailable
from aerostat.services.keystone.db import assignments, stores, tables
from aerostat.services.keystone.domain import identity, nouns, pending_logins
from aerostat.services.keystone.domain.tokens import Resolved, resolve
from aerostat.services.keystone.model.federation import ServiceProvider
from aerostat.services.keystone.runtime import Keystone
from aerostat.services.keystone.saml import issue
from aerostat.services.keystone.saml.issue import Statement
from aerostat.services.keystone.saml.request import KeyPair
from aerostat.services.keystone.saml.xml import Element, write


def _files(keystone: Keystone) -> KeyPair:
    """Return key and certificate. Raises: NotFound (not configured), Unavailable."""
    config = keystone.config.saml
    if not (config.keyfile and config.certfile and config.idp_entity_id):
        raise NotFound("This cloud is no SAML identity provider: [keystone.saml] is not set.")
    try:
        return KeyPair(Path(config.keyfile).read_bytes(), Path(config.certfile).read_bytes())
    except OSError as why:
        raise Unavailable("The keys for SAML cannot be read.", detail=str(why)) from why


def metadata(keystone: Keystone) -> bytes:
    """Return how this cloud describes itself. Raises: NotFound, Unavailable."""
    return issue.metadata(keystone.config.saml, _files(keystone).certificate)


async def assertion(keystone: Keystone, text: str, sp_id: str) -> tuple[bytes, ServiceProvider]:
    """Return a response about the owner of a token, for a service provider.

    Raises: NotFound (the token, the provider), Forbidden (no project; the provider is disabled).
    """
    message, provider = await _message(keystone, text, sp_id)
    return write(message), provider


async def envelope(keystone: Keystone, text: str, sp_id: str) -> tuple[bytes, ServiceProvider]:
    """Return the same as a client passes it on (ECP). Raises: as `assertion`."""
    message, provider = await _message(keystone, text, sp_id)
    relay_state = provider.relay_state_prefix + pending_logins.random_text(keystone)
    return issue.envelope(message, provider.sp_url, relay_state), provider


async def _message(keystone: Keystone, text: str, sp_id: str) -> tuple[Element, ServiceProvider]:
    provider = await nouns.find(keystone, nouns.service_providers, sp_id)
    if not provider.enabled:
        raise Forbidden(f"Service Provider {sp_id} is disabled")
    found = await resolve(keystone, text)
    if found.project is None or found.domain is None:
        raise Forbidden(
            "You are not authorized to perform the requested action: Use a project scoped token "
            "when attempting to create a SAML assertion."
        )
    pair = _files(keystone)
    config, now = keystone.config.saml, keystone.clock.now()
    statement = Statement(
        issuer=config.idp_entity_id,
        recipient=provider.sp_url,
        user=found.user.user.name,
        attributes=await _attributes(keystone, found),
        ids=(f"_{keystone.ids()}", f"_{keystone.ids()}"),
        at=now,
        until=now + config.assertion_expiration_time,
    )
    return issue.response(statement, pair), provider


async def _attributes(keystone: Keystone, found: Resolved) -> dict[str, list[str]]:
    assert found.project is not None and found.domain is not None
    now = keystone.clock.now()
    user = found.user
    groups = await keystone.db.read(_groups, keystone, user.user.id, now)
    attributes = {
        "openstack_user": [user.user.name],
        "openstack_roles": [role.name for role in found.roles],
        "openstack_project": [found.project.name],
        "openstack_project_domain": [found.domain.name],
        "openstack_user_domain": [user.domain.name],
        "openstack_groups": groups,
    }
    return {name: values for name, values in attributes.items() if values}


def _groups(tx: Tx, keystone: Keystone, user_id: str, now: float) -> list[str]:
    """Return the groups of a user as text: `JSON:{"name": ..., "domain": {"name": ...}}`."""
    ids = [*assignments.group_ids(tx, user_id), *identity.said_groups(keystone, tx, user_id, now)]
    groups = stores.groups.among(tx, ids)
    p = tables.projects.c
    wanted = {group.domain_id for group in groups}
    names = {row[0]: row[1] for row in tx.all(select(p.id, p.name).where(p.id.in_(wanted)))}
    shown = [{"name": g.name, "domain": {"name": names.get(g.domain_id, "")}} for g in groups]
    return ["JSON:" + json.dumps(group) for group in shown]
