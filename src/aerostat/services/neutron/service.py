"""The neutron service as assembly sees it."""

from pathlib import Path

from aerostat.kit.http import errors, openapi
from aerostat.kit.http.edge import ApiSpec
from aerostat.kit.manifest import Manifest
from aerostat.services.neutron import policies
from aerostat.services.neutron.api import (
    address_scopes,
    agents,
    auto_allocated_topology,
    extensions,
    floatingips,
    metering_label_rules,
    metering_labels,
    networks,
    ports,
    quotas,
    rbac_policies,
    root,
    routers,
    security_group_rules,
    security_groups,
    subnetpools,
    subnets,
    surroundings,
    tags,
)

NOUNS = (
    root.resources,
    networks.routes,
    rbac_policies.routes,
    subnets.routes,
    ports.routes,
    routers.routes,
    floatingips.routes,
    metering_labels.routes,
    metering_label_rules.routes,
    security_groups.routes,
    security_group_rules.routes,
    subnetpools.routes,
    address_scopes.routes,
    agents.routes,
    quotas.routes,
    extensions.routes,
    surroundings.routes,
    auto_allocated_topology.routes,
    tags.routes,
)

spec: ApiSpec = ApiSpec(
    name="neutron",
    mounts=[
        ("", [root.versions, openapi.routes_for(lambda: spec)]),
        ("/v2.0", NOUNS),
    ],
    envelope=errors.neutron,
    statuses={"quota_exceeded": 409, "RevisionNumberConstraintFailed": 412},
)

manifest = Manifest(
    name="neutron",
    service_type="network",
    description="OpenStack Networking",
    port=9696,
    path="/networking",
    suffix="",
    api=spec,
    rules=policies.RULES,
    migrations=Path(__file__).parent / "db" / "migrations",
)
