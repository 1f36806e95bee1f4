"""CADF events, as keystone tells them. Source: DMTF DSP0262; keystone, "Event notifications"."""

import uuid
from typing import Any

from aerostat.kit.clock import iso
from aerostat.kit.context import Context
from aerostat.kit.ids import new_uuid

EVENT = "http://schemas.dmtf.org/cloud/audit/1.0/event"
OBSERVER = {"typeURI": "service/security", "id": uuid.uuid5(uuid.NAMESPACE_DNS, "keystone").hex}
ACCOUNT = "service/security/account/user"
TYPES = {
    "group": "data/security/group",
    "project": "data/security/project",
    "role": "data/security/role",
    "user": "data/security/account/user",
    "domain": "data/security/domain",
    "region": "data/security/region",
    "endpoint": "data/security/endpoint",
    "service": "data/security/service",
    "policy": "data/security/policy",
    "OS-TRUST:trust": "data/security/trust",
    "OS-OAUTH1:access_token": "data/security/credential",
    "OS-OAUTH1:request_token": "data/security/credential",
    "OS-OAUTH1:consumer": "data/security/account",
    "application_credential": "data/security/credential",
}
FEDERATED = "http://docs.oasis-open.org/security/saml/v2.0"
"""The type of what an identity provider says, of any protocol, as upstream."""

UNKNOWN = "unknown"
SUCCESS, FAILURE, PENDING = "success", "failure", "pending"


def initiator(ctx: Context, agent: str, **known: str) -> dict[str, Any]:
    """Return who did it; `known` (user_id, username) is what a login said of itself."""
    user_id = known.get("user_id") or ctx.user_id
    found: dict[str, Any] = {
        "typeURI": ACCOUNT,
        "id": user_id or UNKNOWN,
        "host": {"address": ctx.remote_address, "agent": agent},
        "request_id": ctx.request_id,
    }
    more = {
        "user_id": user_id,
        "username": known.get("username") or ctx.user_name,
        "project_id": ctx.project_id,
        "domain_id": ctx.domain_id,
        "global_request_id": ctx.global_request_id,
    }
    found.update(item for item in more.items() if item[1])
    return found


def event(
    action: str, outcome: str, who: dict[str, Any], target: tuple[str, str], now: float
) -> dict[str, Any]:
    """Return the payload of an event; `target` is a type URI and an id, `now` in seconds."""
    return {
        "typeURI": EVENT,
        "eventType": "activity",
        "id": new_uuid(),
        "eventTime": iso(now, micros=True, zone="+0000"),
        "action": action,
        "outcome": outcome,
        "observer": OBSERVER,
        "initiator": who,
        "target": {"typeURI": target[0], "id": target[1] or UNKNOWN},
    }
