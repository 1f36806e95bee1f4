"""The image service as assembly sees it."""

from pathlib import Path

from aerostat.kit.http import errors, openapi
from aerostat.kit.http.edge import ApiSpec
from aerostat.kit.manifest import Manifest
from aerostat.services.glance import policies
from aerostat.services.glance.api import (
    cache,
    data,
    images,
    imports,
    members,
    metadef_items,
    metadefs,
    root,
    schemas,
    stores,
)

NOUNS = (images, data, members, imports, stores, cache, schemas, metadefs, metadef_items)

spec: ApiSpec = ApiSpec(
    name="glance",
    mounts=[
        ("", [root.routes, openapi.routes_for(lambda: spec)]),
        ("/v2", [noun.routes for noun in NOUNS]),
    ],
    envelope=errors.glance,
    statuses={
        "gone": 410,
        "range_not_satisfiable": 416,
        "unacceptable_image": 415,
        "bad_gateway": 502,
        "gateway_timeout": 504,
    },
    service_type="image",
    max_body=1 << 20,
    expected_bodies=True,
)

manifest = Manifest(
    name="glance",
    service_type="image",
    description="OpenStack Image",
    port=9292,
    path="/image",
    suffix="",
    api=spec,
    rules=policies.RULES,
    migrations=Path(__file__).parent / "db" / "migrations",
)
