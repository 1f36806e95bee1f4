"""Options of single domains, such as where its users are; and the defaults of those."""

from typing import Any

from msgspec.structs import asdict

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Forbidden, NotFound
from aerostat.services.keystone.db import directory, stores, tables
from aerostat.services.keystone.domain import identity, nouns
from aerostat.services.keystone.model.actors import DomainOption
from aerostat.services.keystone.model.directories import LdapConfig, ldap_config
from aerostat.services.keystone.runtime import Keystone

Config = dict[str, dict[str, Any]]
C = tables.domain_options.c

SENSITIVE = {"password"}
"""Options that are stored but never shown."""

DEFAULTS: Config = {
    "identity": {"driver": "sql", "list_limit": None},
    "ldap": {k: v for k, v in asdict(LdapConfig()).items() if k not in SENSITIVE},
}
"""What may be set for a domain, with its default. Source: api-ref, "Domain configuration"."""


def check(config: Config) -> None:
    """Raises: Forbidden, unless every option may be set for a domain."""
    for group, options in config.items():
        if group not in DEFAULTS:
            raise Forbidden(f"Group {group} is not supported for domain specific configurations.")
        for option in options:
            if option not in DEFAULTS[group] and option not in SENSITIVE:
                raise Forbidden(
                    f"Option {option} in group {group} is not supported for domain specific "
                    "configurations."
                )


async def show(keystone: Keystone, domain_id: str, group: str = "", option: str = "") -> Config:
    """Return what is set for a domain, of one group or option. Raises: NotFound (nothing)."""
    rows = await keystone.db.read(_rows, domain_id, group, option)
    if not rows:
        raise NotFound("Could not find domain configuration.")
    return _config(rows)


def _rows(tx: Tx, domain_id: str, group: str, option: str) -> list[DomainOption]:
    nouns.domains.must(tx, domain_id)
    conds = [C.domain_id == domain_id]
    if group:
        conds.append(C.option_group == group)
    if option:
        conds.append(C.option == option)
    return stores.domain_options.all(tx, *conds)


def _config(rows: list[DomainOption]) -> Config:
    config: Config = {}
    for row in rows:
        if row.option not in SENSITIVE:
            config.setdefault(row.option_group, {})[row.option] = row.value
    return config


def security_compliance(keystone: Keystone, domain_id: str, option: str) -> dict[str, Any]:
    """Return what everybody may know of the rules for passwords. Raises: Forbidden."""
    if domain_id != keystone.config.default_domain_id:
        raise Forbidden(
            "Reading security compliance information for any domain other than the default "
            "domain is not allowed or supported."
        )
    config = keystone.config
    readable = {
        "password_regex": config.password_regex or None,
        "password_regex_description": config.password_regex_description or None,
    }
    if not option:
        return {"security_compliance": readable}
    if option not in readable:
        raise Forbidden(
            "Reading security compliance values other than password_regex and "
            "password_regex_description is not allowed."
        )
    return {option: readable[option]}


async def put(keystone: Keystone, domain_id: str, config: Config, *, replace: bool) -> Config:
    """Set options of a domain, instead of or beside those it has; return all it has then.

    Raises: NotFound, Forbidden, BadRequest (a value), Conflict (see `identity.switch`).
    """
    check(config)
    ldap_config(config.get("ldap", {}))

    def write(tx: Tx) -> Config:
        nouns.domains.must(tx, domain_id)
        was_ldap = directory.config_of(tx, domain_id) is not None
        if replace:
            stores.domain_options.delete(tx, C.domain_id == domain_id)
        for group, options in config.items():
            for option, value in options.items():
                row = DomainOption(domain_id, group, option, value)
                same = (C.domain_id == domain_id, C.option_group == group, C.option == option)
                stores.domain_options.delete(tx, *same)
                stores.domain_options.insert(tx, row)
        identity.switch(tx, domain_id, was_ldap=was_ldap)
        return _config(_rows(tx, domain_id, "", ""))

    return await keystone.change(write)


async def delete(keystone: Keystone, domain_id: str, group: str = "", option: str = "") -> None:
    """Unset options of a domain. Raises: NotFound (nothing is set)."""

    def write(tx: Tx) -> None:
        rows = _rows(tx, domain_id, group, option)
        if not rows:
            raise NotFound("Could not find domain configuration.")
        was_ldap = directory.config_of(tx, domain_id) is not None
        for row in rows:
            same = (C.option_group == row.option_group, C.option == row.option)
            stores.domain_options.delete(tx, C.domain_id == domain_id, *same)
        identity.switch(tx, domain_id, was_ldap=was_ldap)

    await keystone.change(write)
