"""Every change and every login is told: one table says what a route's success means.

Source: keystone, "Event notifications" (format cadf).
"""

import base64
import hmac
import re
from dataclasses import replace
from functools import wraps
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from aerostat.contracts.events import Event
from aerostat.kit.clock import iso
from aerostat.kit.errors import Fault
from aerostat.kit.http.route import Handler, Reply, Request, Route, Routes
from aerostat.kit.ids import new_uuid
from aerostat.services.keystone.api.token_views import SignedIn
from aerostat.services.keystone.domain.proofs import WrongPassword
from aerostat.services.keystone.model import cadf
from aerostat.services.keystone.runtime import Keystone
from aerostat.services.keystone.schemas.auth import AuthPost


class Told(NamedTuple):
    """What is told of a route: the resource, the operation, and the path's name for its id."""

    resource: str
    operation: str
    parameter: str


OPERATIONS = {"POST": "created", "PUT": "created", "PATCH": "updated", "DELETE": "deleted"}
LOGINS = {"/auth/tokens", "/OS-OAUTH2/token", "/ec2tokens", "/s3tokens"}
"""Where somebody is let in, or is not."""

FEDERATED = re.compile(r"/protocols/\{protocol_id\}/(auth|websso)$")
"""The same, for whom an identity provider vouches."""

ASSERTIONS = "/auth/OS-FEDERATION/"
"""Below this a token is exchanged, which changes nothing."""

_PARTS: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    (r"/(users|groups)/\{\w+\}/roles/\{role_id\}", "role_assignment", "role_id", {}),
    (r"/implies/", "implied_role", "implied_role_id", {}),
    (
        r"^/groups/\{group_id\}/users/",
        "group",
        "group_id",
        {"PUT": "added", "DELETE": "removed"},
    ),
    (r"/tags", "project", "project_id", {"PUT": "updated", "DELETE": "updated"}),
    (r"/password$", "user", "user_id", {"POST": "updated"}),
    (r"/config", "domain_config", "domain_id", {}),
    (r"/OS-ENDPOINT-POLICY/", "policy_association", "policy_id", {}),
    (r"^/OS-EP-FILTER/.*projects/", "project_endpoint", "project_id", {}),
    (r"^/OS-EP-FILTER/", "endpoint_group", "endpoint_group_id", {}),
    (r"/credentials/OS-EC2", "credential", "access", {}),
    (r"/application_credentials", "application_credential", "application_credential_id", {}),
    (r"/access_rules/", "access_rule", "access_rule_id", {}),
    (r"/OS-OAUTH1/authorize/", "OS-OAUTH1:request_token", "request_token_id", {"PUT": "updated"}),
    (r"/OS-OAUTH1/request_token", "OS-OAUTH1:request_token", "", {}),
    (r"/OS-OAUTH1/access_token", "OS-OAUTH1:access_token", "access_token_id", {}),
    (r"/OS-OAUTH1/consumers", "OS-OAUTH1:consumer", "consumer_id", {}),
    (r"/protocols/\{protocol_id\}$", "federation_protocol", "protocol_id", {}),
    (r"/logout$", "federation_session", "protocol_id", {"POST": "ended"}),
    (r"/OS-FEDERATION/identity_providers/", "identity_provider", "idp_id", {}),
    (r"/OS-FEDERATION/mappings/", "mapping", "mapping_id", {}),
    (r"/OS-FEDERATION/service_providers/", "service_provider", "service_provider_id", {}),
    (r"/OS-TRUST/trusts", "OS-TRUST:trust", "trust_id", {}),
    (r"^/auth/tokens", "token", "", {"DELETE": "revoked"}),
    (r"^/policies", "policy", "policy_id", {}),
    (
        r"^/(user|group|project|domain|role|region|service|endpoint|credential|registered_limit"
        r"|limit)s",
        "",
        "",
        {},
    ),
)


def lets_in(route: Route) -> bool:
    """Tell whether a route is where somebody is let in, or is not."""
    return (route.method == "POST" and route.path in LOGINS) or bool(FEDERATED.search(route.path))


def told(route: Route) -> Told | None:
    """Return what a success of `route` tells, None if nothing."""
    if route.method == "GET" or lets_in(route) or route.path.startswith(ASSERTIONS):
        return None
    for pattern, resource, parameter, operations in _PARTS:
        found = re.search(pattern, route.path)
        if found:
            name = resource or found[1]
            operation = operations.get(route.method, OPERATIONS[route.method])
            return Told(name, operation, parameter or f"{name}_id")
    raise AssertionError(f"{route.method} {route.path}: what does it tell?")


def announced(routes: Routes[Keystone]) -> Routes[Keystone]:
    """Return the same routes, each of which tells what it did."""
    wrapped: Routes[Keystone] = Routes(*routes.tags)
    for route in routes.routes:
        what = told(route)
        handler = route.handler
        if lets_in(route):
            handler = _login(handler)
        elif what is not None:
            handler = _change(handler, what)
        wrapped.routes.append(replace(route, handler=handler))
    return wrapped


def _change(handler: Handler, what: Told) -> Handler:
    @wraps(handler)
    async def told_after(keystone: Keystone, req: Request[Any]) -> Any:
        result = await handler(keystone, req)
        who = cadf.initiator(req.ctx, req.headers.get("user-agent", ""))
        about = {n: v for n, v in req.path.items() if n.endswith("_id") and n != what.parameter}
        for item_id in _ids(req, what, result):
            target = (cadf.TYPES.get(what.resource, cadf.UNKNOWN), item_id)
            action = f"{what.operation}.{what.resource}"
            payload = cadf.event(action, cadf.SUCCESS, who, target, keystone.clock.now())
            payload["resource_info"] = item_id
            payload.update((name.removesuffix("_id"), value) for name, value in about.items())
            _emit(keystone, f"identity.{what.resource}.{what.operation}", payload)
        return result

    return told_after


def _ids(req: Request[Any], what: Told, result: Any) -> list[str]:
    if what.parameter in req.path:
        return [req.path[what.parameter]]
    if isinstance(result, Reply) and result.raw is not None:
        return parse_qs(result.raw.decode()).get("oauth_token", [])
    document = result.body if isinstance(result, Reply) else result
    made = next(iter(document.values()), None) if isinstance(document, dict) else None
    items = made if isinstance(made, list) else [made]
    return [item.get("id", item.get("access", "")) if item else "" for item in items]


def _login(handler: Handler) -> Handler:
    @wraps(handler)
    async def told_after(keystone: Keystone, req: Request[Any]) -> Any:
        try:
            reply = await handler(keystone, req)
        except Fault as why:
            _tell_login(keystone, req, cadf.FAILURE, _claimed(req), why)
            raise
        if reply.status and reply.status >= 400:
            pending = "Openstack-Auth-Receipt" in reply.headers
            outcome = cadf.PENDING if pending else cadf.FAILURE
            _tell_login(keystone, req, outcome, _claimed(req))
        elif isinstance(reply, SignedIn):  # Else the login has only begun.
            _tell_login(keystone, req, cadf.SUCCESS, reply.who, groups=reply.groups)
        return reply

    return told_after


def _claimed(req: Request[Any]) -> dict[str, str]:
    if not isinstance(req.body, AuthPost):
        return {}
    identity = req.body.auth.identity
    proof = identity.password or identity.totp
    return {"user_id": proof.user.id, "username": proof.user.name} if proof else {}


def _tell_login(
    keystone: Keystone,
    req: Request[Any],
    outcome: str,
    who: dict[str, str],
    why: Fault | None = None,
    *,
    groups: tuple[str, ...] = (),
) -> None:
    if f"identity.authenticate.{outcome}" in keystone.config.notification_opt_out:
        return
    actor = cadf.initiator(req.ctx, req.headers.get("user-agent", ""), **who)
    if "idp_id" in req.path:
        actor["credential"] = {
            "type": cadf.FEDERATED,
            "token": cadf.UNKNOWN,
            "identityProvider": req.path["idp_id"],
            "user": who.get("user_id") or cadf.UNKNOWN,
            "groups": list(groups),
        }
    target = (cadf.ACCOUNT, who.get("user_id", ""))
    payload = cadf.event("authenticate", outcome, actor, target, keystone.clock.now())
    if isinstance(why, WrongPassword) and isinstance(req.body, AuthPost):
        payload.update(_partial_hash(keystone, req.body))
    if why is not None:
        payload["reason"] = {"reasonType": why.code, "reasonCode": why.detail or why.message}
    _emit(keystone, "identity.authenticate", payload)


SALT = "keystone.identity.backends.sql.Identity"
"""What upstream hashes into it, so that its hashes and ours are the same."""


def _partial_hash(keystone: Keystone, body: AuthPost) -> dict[str, Any]:
    """Return a keyed hash of a wrong password as an attachment, if an operator wants it."""
    config, proof = keystone.config, body.auth.identity.password
    if "event" not in config.report_invalid_password_hash or proof is None:
        return {}
    function = config.invalid_password_hash_function
    salted = hmac.digest(SALT.encode(), proof.user.password.encode(), function)
    peppered = hmac.digest(config.invalid_password_hash_secret_key.encode(), salted, function)
    shown = base64.b64encode(peppered).decode().rstrip("=")
    content = shown[: config.invalid_password_hash_max_chars or None]
    attachment = {"typeURI": "mime:text/plain", "content": content}
    return {"attachments": [{**attachment, "name": "partial_password_hash"}]}


def _emit(keystone: Keystone, event_type: str, payload: dict[str, Any]) -> None:
    if event_type in keystone.config.notification_opt_out:
        return
    stamp = (iso(keystone.clock.now(), micros=True, zone="") or "").replace("T", " ")
    keystone.notifier.emit(Event(event_type, PUBLISHER, new_uuid(), stamp, payload))


PUBLISHER = "identity"
