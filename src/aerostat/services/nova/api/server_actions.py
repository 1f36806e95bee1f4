"""/servers/{id}/action: one key in the body names what to do; and remote consoles."""

from collections.abc import Awaitable, Callable
from typing import Any

from aerostat.kit.errors import BadRequest
from aerostat.kit.http import schema
from aerostat.kit.http.policy import Rule
from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.services.nova import policies
from aerostat.services.nova.api import keeping, moving, network_proxies
from aerostat.services.nova.api.rebuilding import rebuild
from aerostat.services.nova.domain import actions, consoles, parts, passwords, servers
from aerostat.services.nova.model.server import Server, VmState
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.schemas.actions import ChangePassword
from aerostat.services.nova.schemas.servers import RemoteConsole

routes: Routes[Nova] = Routes("server_actions")

Act = Callable[[Nova, Request[dict[str, Any]], Server, Any], Awaitable[Reply | None]]


def _power(name: str) -> Act:
    async def act(
        nova: Nova, req: Request[dict[str, Any]], server: Server, _arguments: Any
    ) -> Reply | None:
        await actions.act(nova, req.ctx, server.uuid, name)
        return None

    return act


async def _reboot(
    nova: Nova, req: Request[dict[str, Any]], server: Server, arguments: Any
) -> Reply | None:
    kind = str((arguments or {}).get("type", "")).upper() if isinstance(arguments, dict) else ""
    if kind not in ("SOFT", "HARD"):
        raise BadRequest(
            "Invalid input for field/attribute type. It is SOFT or HARD.", field="type"
        )
    await actions.act(nova, req.ctx, server.uuid, "reboot" if kind == "SOFT" else "reboot_hard")
    return None


async def _lock(
    nova: Nova, req: Request[dict[str, Any]], server: Server, arguments: Any
) -> Reply | None:
    reason = arguments.get("locked_reason") if isinstance(arguments, dict) else None
    await actions.set_lock(nova, req.ctx, server.uuid, True, reason)
    return None


async def _unlock(
    nova: Nova, req: Request[dict[str, Any]], server: Server, _arguments: Any
) -> Reply | None:
    await actions.set_lock(nova, req.ctx, server.uuid, False, None)
    return None


async def _console_output(
    nova: Nova, _req: Request[dict[str, Any]], server: Server, arguments: Any
) -> Reply | None:
    lines = (arguments or {}).get("length") if isinstance(arguments, dict) else None
    if lines is not None and not str(lines).lstrip("-").isdecimal():
        raise BadRequest("length must be an integer.", field="length")
    number = None if lines is None or int(lines) < 0 else int(lines)
    return Reply({"output": await actions.console_output(nova, server, number)}, status=200)


async def _reset_state(
    nova: Nova, req: Request[dict[str, Any]], server: Server, arguments: Any
) -> Reply | None:
    state = arguments.get("state") if isinstance(arguments, dict) else None
    if state not in ("active", "error"):
        raise BadRequest("state is active or error.", field="state")
    values = {"vm_state": VmState(state), "task_state": None}
    await servers.change(nova, req.ctx, server.uuid, **values)
    return None


async def _vnc(
    nova: Nova, _req: Request[dict[str, Any]], server: Server, arguments: Any
) -> Reply | None:
    kind = arguments.get("type") if isinstance(arguments, dict) else None
    url = await consoles.open_vnc(nova, server, str(kind))
    return Reply({"console": {"type": kind, "url": url}}, status=200)


def _group_name(arguments: Any) -> str:
    name = arguments.get("name") if isinstance(arguments, dict) else None
    if not isinstance(name, str) or not name:
        raise BadRequest("Missing parameter name: 'name' is a required property", field="name")
    return name


async def _add_security_group(
    nova: Nova, _req: Request[dict[str, Any]], server: Server, arguments: Any
) -> Reply | None:
    await parts.add_security_group(nova, server, _group_name(arguments))
    return None


async def _remove_security_group(
    nova: Nova, _req: Request[dict[str, Any]], server: Server, arguments: Any
) -> Reply | None:
    await parts.remove_security_group(nova, server, _group_name(arguments))
    return None


async def _force_delete(
    nova: Nova, req: Request[dict[str, Any]], server: Server, _arguments: Any
) -> Reply | None:
    await servers.delete(nova, req.ctx, server.uuid)
    return None


async def _change_password(
    nova: Nova, req: Request[dict[str, Any]], server: Server, arguments: Any
) -> Reply | None:
    body = schema.convert(arguments, ChangePassword, req.version)
    await passwords.change(nova, req.ctx, server, body.admin_pass)
    return None


async def _restore(
    _nova: Nova, req: Request[dict[str, Any]], server: Server, _arguments: Any
) -> Reply | None:
    servers.check_restorable(server, req.ctx)
    return None


ACTIONS: dict[str, tuple[Rule, Act]] = {
    "os-start": (policies.SERVERS_START, _power("start")),
    "os-stop": (policies.SERVERS_STOP, _power("stop")),
    "reboot": (policies.SERVERS_REBOOT, _reboot),
    "pause": (policies.PAUSE, _power("pause")),
    "unpause": (policies.UNPAUSE, _power("unpause")),
    "suspend": (policies.SUSPEND, _power("suspend")),
    "resume": (policies.RESUME, _power("resume")),
    "lock": (policies.LOCK, _lock),
    "unlock": (policies.UNLOCK, _unlock),
    "rebuild": (policies.SERVERS_REBUILD, rebuild),
    "changePassword": (policies.PASSWORD_CHANGE, _change_password),
    "forceDelete": (policies.FORCE_DELETE, _force_delete),
    "restore": (policies.RESTORE, _restore),
    "resize": (policies.SERVERS_RESIZE, moving.resize),
    "confirmResize": (policies.SERVERS_CONFIRM_RESIZE, moving.confirm),
    "revertResize": (policies.SERVERS_REVERT_RESIZE, moving.revert),
    "migrate": (policies.MIGRATE, moving.migrate),
    "os-migrateLive": (policies.MIGRATE_LIVE, moving.migrate_live),
    "evacuate": (policies.EVACUATE, moving.evacuate),
    "createImage": (policies.SERVERS_CREATE_IMAGE, keeping.create_image),
    "createBackup": (policies.CREATE_BACKUP, keeping.create_backup),
    "shelve": (policies.SHELVE, keeping.shelve),
    "unshelve": (policies.UNSHELVE, keeping.unshelve),
    "shelveOffload": (policies.SHELVE_OFFLOAD, keeping.shelve_offload),
    "rescue": (policies.RESCUE, keeping.rescue),
    "unrescue": (policies.UNRESCUE, keeping.unrescue),
    "injectNetworkInfo": (policies.INJECT_NETWORK, keeping.inject_network_info),
    "addFloatingIp": (policies.FLOATING_PROXIES["add"], network_proxies.add_floating),
    "removeFloatingIp": (
        policies.FLOATING_PROXIES["remove"],
        network_proxies.remove_floating_from,
    ),
    "addSecurityGroup": (policies.SECURITY_GROUP_ADD, _add_security_group),
    "removeSecurityGroup": (policies.SECURITY_GROUP_REMOVE, _remove_security_group),
    "os-getConsoleOutput": (policies.CONSOLE_OUTPUT, _console_output),
    "os-getVNCConsole": (policies.REMOTE_CONSOLES, _vnc),
    "os-resetState": (policies.RESET_STATE, _reset_state),
}


@routes.post(
    "/servers/{server_id}/action",
    policy=None,
    body=dict[str, Any],
    status=202,
    tags=("server", "server_show", "server_rebuild"),
    max_body=1 << 20,
)
async def act(nova: Nova, req: Request[dict[str, Any]]) -> Reply | None:
    """Do something to a server."""
    if len(req.body) != 1:
        raise BadRequest("There is not exactly one action in the body.", field="body")
    name, arguments = next(iter(req.body.items()))
    server = await servers.get(nova, req.ctx, req.path["server_id"])
    if name not in ACTIONS:
        raise BadRequest(f"There is no such action: {name}", field=name)
    rule, action = ACTIONS[name]
    req.enforce(rule, {"project_id": server.project_id})
    return await action(nova, req, server, arguments)


@routes.post(
    "/servers/{server_id}/remote-consoles",
    policy=None,
    body=RemoteConsole,
    status=200,
    since="2.6",
)
async def remote_console(nova: Nova, req: Request[RemoteConsole]) -> dict[str, Any]:
    """Open a console: the URL holds a token that is good for some minutes."""
    server = await servers.get(nova, req.ctx, req.path["server_id"])
    req.enforce(policies.REMOTE_CONSOLES, {"project_id": server.project_id})
    wanted = req.body.remote_console
    if wanted.protocol != "vnc":
        raise BadRequest(f"Unavailable console protocol {wanted.protocol}.", field="protocol")
    url = await consoles.open_vnc(nova, server, wanted.type)
    return {"remote_console": {"protocol": "vnc", "type": wanted.type, "url": url}}
