"""/v3/domains/{domain_id}/config and the defaults"""

from typing import Any

from aerostat.kit.errors import Forbidden, NotFound
from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.services.keystone import policies
from aerostat.services.keystone.api.views import Document
from aerostat.services.keystone.domain import domain_config
from aerostat.services.keystone.domain.domain_config import DEFAULTS, Config
from aerostat.services.keystone.runtime import Keystone
from aerostat.services.keystone.schemas.actors import DomainConfigGroups, DomainConfigOptions

routes: Routes[Keystone] = Routes("domain_config")

ALL = "/domains/{domain_id}/config"
GROUP = f"{ALL}/{{group}}"
OPTION = f"{GROUP}/{{option}}"


def _where(req: Request[Any]) -> tuple[str, str, str]:
    path = req.path
    return path["domain_id"], path.get("group", ""), path.get("option", "")


async def show(keystone: Keystone, req: Request[None]) -> Document:
    """Show what is set for a domain, of one group or option."""
    domain_id, group, option = _where(req)
    if group == "security_compliance":
        req.enforce(policies.GET_SECURITY_COMPLIANCE)
        return {"config": domain_config.security_compliance(keystone, domain_id, option)}
    req.enforce(policies.GET_DOMAIN_CONFIG)
    _check_part(group, option)
    config = await domain_config.show(keystone, domain_id, group, option)
    if not option:
        return {"config": config}
    if option not in config.get(group, {}):
        raise NotFound("Could not find domain configuration.")
    return {"config": {option: config[group][option]}}


async def delete(keystone: Keystone, req: Request[None]) -> None:
    """Unset what is set for a domain, of one group or option."""
    domain_id, group, option = _where(req)
    _check_part(group, option)
    await domain_config.delete(keystone, domain_id, group, option)


def _check_part(group: str, option: str) -> None:
    """Raises: Forbidden, if domains have no such group or option."""
    if group:
        domain_config.check({group: {option: None} if option else {}})


for _path in (ALL, GROUP, OPTION):
    routes.get(_path, policy=None)(show)
    routes.delete(_path, policy=policies.DELETE_DOMAIN_CONFIG)(delete)


@routes.put(ALL, policy=policies.CREATE_DOMAIN_CONFIG, body=DomainConfigGroups)
async def create(keystone: Keystone, req: Request[DomainConfigGroups]) -> Reply:
    """Set the options of a domain, instead of those it has."""
    domain_id = req.path["domain_id"]
    try:
        await domain_config.show(keystone, domain_id)
        status = 200
    except NotFound:
        status = 201
    made = await domain_config.put(keystone, domain_id, req.body.config, replace=True)
    return Reply({"config": made}, status)


@routes.patch(ALL, policy=policies.UPDATE_DOMAIN_CONFIG, body=DomainConfigGroups)
async def update(keystone: Keystone, req: Request[DomainConfigGroups]) -> Document:
    """Set options of a domain beside those it has."""
    return await _merge(keystone, req, req.body.config)


@routes.patch(GROUP, policy=policies.UPDATE_DOMAIN_CONFIG, body=DomainConfigGroups)
async def update_group(keystone: Keystone, req: Request[DomainConfigGroups]) -> Document:
    """Set options of one group."""
    return await _merge_part(keystone, req, req.body.config)


@routes.patch(OPTION, policy=policies.UPDATE_DOMAIN_CONFIG, body=DomainConfigOptions)
async def update_option(keystone: Keystone, req: Request[DomainConfigOptions]) -> Document:
    """Set one option."""
    return await _merge_part(keystone, req, {req.path["group"]: req.body.config})


async def _merge_part(keystone: Keystone, req: Request[Any], config: Config) -> Document:
    """Set what the URL names, which must be set already, and nothing else."""
    domain_id, group, option = _where(req)
    _check_part(group, option)
    if set(config) != {group} or (option and set(config[group]) != {option}):
        part = f"option {option} in group {group}" if option else f"group {group}"
        raise Forbidden(
            f"Invalid domain specific configuration: Trying to update {part}, so that, and only "
            "that, must be specified in the config."
        )
    await domain_config.show(keystone, domain_id, group, option)
    return await _merge(keystone, req, config)


async def _merge(keystone: Keystone, req: Request[Any], config: Config) -> Document:
    domain_id = req.path["domain_id"]
    return {"config": await domain_config.put(keystone, domain_id, config, replace=False)}


@routes.get("/domains/config/default", policy=policies.GET_DOMAIN_CONFIG_DEFAULT)
async def defaults(_keystone: Keystone, _req: Request[None]) -> Document:
    """Show every default."""
    return {"config": DEFAULTS}


@routes.get("/domains/config/{group}/default", policy=policies.GET_DOMAIN_CONFIG_DEFAULT)
async def default_group(_keystone: Keystone, req: Request[None]) -> Document:
    """Show the defaults of one group."""
    group = req.path["group"]
    domain_config.check({group: {}})
    return {"config": {group: DEFAULTS[group]}}


@routes.get("/domains/config/{group}/{option}/default", policy=policies.GET_DOMAIN_CONFIG_DEFAULT)
async def default_option(_keystone: Keystone, req: Request[None]) -> Document:
    """Show the default of one option."""
    group, option = req.path["group"], req.path["option"]
    domain_config.check({group: {option: None}})
    return {"config": {option: DEFAULTS[group].get(option)}}
