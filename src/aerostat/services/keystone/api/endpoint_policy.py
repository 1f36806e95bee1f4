"""/v3/policies/{policy_id}/OS-ENDPOINT-POLICY and which policy an endpoint has."""

from typing import Any

from aerostat.kit.http.route import Request, Routes
from aerostat.services.keystone import policies
from aerostat.services.keystone.api import views
from aerostat.services.keystone.api.catalog import endpoint_view
from aerostat.services.keystone.api.documents import policy_view
from aerostat.services.keystone.api.views import Document
from aerostat.services.keystone.domain import endpoint_policy
from aerostat.services.keystone.model.catalog import PolicyAssociation
from aerostat.services.keystone.runtime import Keystone

routes: Routes[Keystone] = Routes("endpoint_policy")

BASE = "/policies/{policy_id}/OS-ENDPOINT-POLICY"
TARGETS = {
    "endpoint": f"{BASE}/endpoints/{{endpoint_id}}",
    "service": f"{BASE}/services/{{service_id}}",
    "region_and_service": f"{BASE}/services/{{service_id}}/regions/{{region_id}}",
}


def _link(req: Request[Any]) -> PolicyAssociation:
    ids = {name: req.path.get(name, "") for name in PolicyAssociation.__struct_fields__}
    return PolicyAssociation(**ids)


async def associate(keystone: Keystone, req: Request[None]) -> None:
    """Make a policy the one of an endpoint, a service, or a service in a region."""
    await endpoint_policy.associate(keystone, _link(req))


async def check(keystone: Keystone, req: Request[None]) -> None:
    """Tell whether a policy is the one of an endpoint, a service, or a service in a region."""
    await endpoint_policy.check(keystone, _link(req))


async def dissociate(keystone: Keystone, req: Request[None]) -> None:
    """End the association of a policy."""
    await endpoint_policy.dissociate(keystone, _link(req))


for _kind, _path in TARGETS.items():
    _rules = policies.POLICY_ASSOCIATIONS
    routes.put(_path, policy=_rules["create", _kind], status=204)(associate)
    routes.get(_path, policy=_rules["check", _kind], status=204)(check)
    routes.delete(_path, policy=_rules["delete", _kind])(dissociate)


@routes.get(f"{BASE}/endpoints", policy=policies.ENDPOINTS_OF_POLICY)
async def endpoints(keystone: Keystone, req: Request[None]) -> Document:
    """List the endpoints that a policy is for."""
    found = await endpoint_policy.endpoints_of(keystone, req.path["policy_id"])
    return views.collection(req, "endpoints", found, endpoint_view)


@routes.get(
    "/endpoints/{endpoint_id}/OS-ENDPOINT-POLICY/policy", policy=policies.POLICY_OF_ENDPOINT
)
async def policy(keystone: Keystone, req: Request[None]) -> Document:
    """Show the policy of an endpoint."""
    found = await endpoint_policy.policy_of(keystone, req.path["endpoint_id"])
    return {"policy": policy_view(req, found)}
