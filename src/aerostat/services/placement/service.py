"""The placement service as assembly sees it."""

from pathlib import Path

from aerostat.kit.http import errors, openapi
from aerostat.kit.http.edge import ApiSpec
from aerostat.kit.manifest import Manifest
from aerostat.services.placement import policies
from aerostat.services.placement.api import (
    aggregates,
    allocation_candidates,
    allocations,
    inventories,
    reshaper,
    resource_classes,
    resource_providers,
    root,
    traits,
    usages,
)
from aerostat.services.placement.versions import VERSIONS

NOUNS = (
    root.routes,
    resource_providers.routes,
    inventories.routes,
    aggregates.routes,
    traits.routes,
    usages.routes,
    allocations.routes,
    allocation_candidates.routes,
    resource_classes.routes,
    reshaper.routes,
)

spec: ApiSpec = ApiSpec(
    name="placement",
    mounts=[("", [*NOUNS, openapi.routes_for(lambda: spec)])],
    envelope=errors.placement,
    service_type="placement",
    versions=VERSIONS,
    strict_media=True,
    max_body=16 << 20,
)

manifest = Manifest(
    name="placement",
    service_type="placement",
    description="OpenStack Placement",
    port=8778,
    path="/placement",
    suffix="",
    api=spec,
    rules=policies.RULES,
    migrations=Path(__file__).parent / "db" / "migrations",
)
