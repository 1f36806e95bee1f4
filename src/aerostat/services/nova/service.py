"""The nova service as assembly sees it."""

from pathlib import Path
from typing import Any

from aerostat.kit.http import errors, openapi
from aerostat.kit.http.edge import ApiSpec
from aerostat.kit.manifest import Manifest
from aerostat.kit.saga.saga import Saga
from aerostat.services.nova import policies
from aerostat.services.nova.api import (
    aggregates,
    diagnostics,
    external_events,
    flavors,
    hosts,
    images,
    interfaces,
    keypairs,
    migrations,
    network_proxies,
    os_hosts,
    quotas,
    root,
    server_actions,
    server_groups,
    server_parts,
    servers,
    usage_audit,
)
from aerostat.services.nova.config import NovaConfig
from aerostat.services.nova.sagas import (
    evacuated_cleanup,
    server_confirm_resize,
    server_create,
    server_delete,
    server_evacuate,
    server_interfaces,
    server_live_migrate,
    server_power,
    server_rebuild,
    server_rescue,
    server_resize,
    server_revert_resize,
    server_shelve,
    server_snapshot,
)
from aerostat.services.nova.versions import VERSIONS

NOUNS = (
    root.routes,
    servers.routes,
    server_actions.routes,
    server_parts.routes,
    interfaces.routes,
    flavors.routes,
    keypairs.routes,
    migrations.routes,
    network_proxies.routes,
    images.routes,
    hosts.routes,
    os_hosts.routes,
    quotas.routes,
    aggregates.routes,
    server_groups.routes,
    diagnostics.routes,
    external_events.routes,
    usage_audit.routes,
)

spec: ApiSpec = ApiSpec(
    name="nova",
    mounts=[("/v2.1", NOUNS), ("", [root.root, openapi.routes_for(lambda: spec)])],
    envelope=errors.nova,
    service_type="compute",
    versions=VERSIONS,
    strict_media=True,
    exact_paths=True,
    request_id_header="x-compute-request-id",
)


def sagas(config: NovaConfig) -> dict[Saga[Any], float]:
    """Return what nova does that takes longer than a request, each with its deadline in seconds."""
    c, power = config, server_power.SAGAS.values()
    return {
        server_create.saga: c.build_timeout_s,
        server_rebuild.saga: c.build_timeout_s,
        server_rescue.rescue: c.build_timeout_s,
        server_rescue.unrescue: c.build_timeout_s,
        **dict.fromkeys(power, c.power_timeout_s),
        server_interfaces.attach: c.power_timeout_s,
        server_interfaces.detach: c.power_timeout_s,
        server_delete.saga: c.delete_timeout_s,
        evacuated_cleanup.saga: c.delete_timeout_s,
        server_snapshot.saga: 2 * c.migration_timeout_s,
        server_snapshot.backup: 2 * c.migration_timeout_s,
        server_shelve.shelve: 2 * c.migration_timeout_s,
        server_shelve.offload: c.build_timeout_s,
        server_shelve.unshelve: 2 * c.build_timeout_s,
        server_resize.saga: 2 * c.migration_timeout_s,
        server_resize.migrate: 2 * c.migration_timeout_s,
        server_confirm_resize.saga: c.migration_timeout_s,
        server_revert_resize.saga: c.migration_timeout_s,
        server_live_migrate.saga: c.live_migration_timeout_s + 3 * c.migration_timeout_s,
        server_evacuate.saga: 3 * c.build_timeout_s,
    }


manifest = Manifest(
    name="nova",
    service_type="compute",
    description="OpenStack Compute",
    port=8774,
    path="/compute",
    suffix="/v2.1",
    api=spec,
    rules=policies.RULES,
    migrations=Path(__file__).parent / "db" / "migrations",
)
