"""Keystone's manifest: the identity service as assembly sees it."""

from pathlib import Path

from aerostat.kit.http import errors
from aerostat.kit.http.edge import ApiSpec
from aerostat.kit.http.openapi import routes_for
from aerostat.kit.manifest import Manifest
from aerostat.services.keystone import policies
from aerostat.services.keystone.api import (
    application_credentials,
    auth,
    catalog,
    credentials,
    discovery,
    documents,
    domain_config,
    domains,
    ec2tokens,
    endpoint_filter,
    endpoint_policy,
    federated_auth,
    federated_logout,
    grants,
    groups,
    identity_providers,
    limits,
    mappings,
    oauth1,
    oauth2,
    pki,
    projects,
    role_assignments,
    roles,
    saml2,
    service_providers,
    trusts,
    users,
)
from aerostat.services.keystone.api.delegation import check_unsigned
from aerostat.services.keystone.api.notifications import announced

NOUNS = (
    auth,
    users,
    groups,
    projects,
    domains,
    domain_config,
    roles,
    grants,
    role_assignments,
    catalog,
    endpoint_filter,
    credentials,
    application_credentials,
    trusts,
    limits,
    documents,
    endpoint_policy,
    pki,
    oauth1,
    oauth2,
    ec2tokens,
    identity_providers,
    mappings,
    service_providers,
    federated_auth,
    federated_logout,
    saml2,
)


def _spec() -> ApiSpec:
    return api


api = ApiSpec(
    name="keystone",
    mounts=[
        ("", [discovery.routes, routes_for(_spec)]),
        ("/v3", [announced(noun.routes) for noun in NOUNS]),
    ],
    envelope=errors.keystone,
    service_type="identity",
    late_tokens=False,
    admit=check_unsigned,
)

manifest = Manifest(
    name="keystone",
    service_type="identity",
    description="OpenStack Identity",
    port=5000,
    path="/identity",
    suffix="/v3",
    api=api,
    rules=policies.ALL,
    migrations=Path(__file__).parent / "db" / "migrations",
)
