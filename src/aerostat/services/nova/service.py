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

SAGAS: list[Saga[Any]] = [
    server_create.saga,
    server_delete.saga,
    server_rebuild.saga,
    server_resize.saga,
    server_resize.migrate,
    server_confirm_resize.saga,
    server_revert_resize.saga,
    server_live_migrate.saga,
    server_evacuate.saga,
    evacuated_cleanup.saga,
    server_snapshot.saga,
    server_snapshot.backup,
    server_rescue.rescue,
    server_rescue.unrescue,
    server_shelve.shelve,
    server_shelve.offload,
    server_shelve.unshelve,
    server_interfaces.attach,
    server_interfaces.detach,
    *server_power.SAGAS.values(),
]

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
