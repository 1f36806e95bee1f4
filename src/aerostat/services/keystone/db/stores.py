"""The store of every table."""

from aerostat.services.keystone.db import tables
from aerostat.services.keystone.db.store import Store
from aerostat.services.keystone.model.actors import (
    DomainOption,
    Group,
    LoginFailures,
    Membership,
    PasswordRecord,
    Project,
    User,
)
from aerostat.services.keystone.model.catalog import (
    EndpointGroup,
    PolicyAssociation,
    PolicyBlob,
    ProjectEndpoint,
    ProjectEndpointGroup,
    Region,
    Service,
    ServiceEndpoint,
)
from aerostat.services.keystone.model.directories import IdMapping
from aerostat.services.keystone.model.federation import (
    ExpiringMembership,
    FederatedSession,
    FederatedUser,
    FederationProtocol,
    IdentityProvider,
    Mapping,
    PendingLogin,
    RemoteId,
    SeenAssertion,
    ServiceProvider,
)
from aerostat.services.keystone.model.limits import Limit, RegisteredLimit
from aerostat.services.keystone.model.revocations import Revocation
from aerostat.services.keystone.model.roles import Assignment, Implication, Role
from aerostat.services.keystone.model.secrets import (
    AccessRule,
    AccessToken,
    ApplicationCredential,
    Consumer,
    Credential,
    RequestToken,
    Trust,
)

projects = Store(tables.projects, Project)
users = Store(tables.users, User)
passwords = Store(tables.passwords, PasswordRecord)
failures = Store(tables.failures, LoginFailures, ("user_id",))
groups = Store(tables.groups, Group)
memberships = Store(tables.memberships, Membership, ("user_id", "group_id"))
roles = Store(tables.roles, Role)
implications = Store(tables.implications, Implication, ("prior_role_id", "implied_role_id"))
assignments = Store(
    tables.assignments,
    Assignment,
    ("actor_kind", "actor_id", "target_kind", "target_id", "role_id", "inherited"),
)
regions = Store(tables.regions, Region)
services = Store(tables.services, Service)
endpoints = Store(tables.endpoints, ServiceEndpoint)
endpoint_groups = Store(tables.endpoint_groups, EndpointGroup)
project_endpoints = Store(tables.project_endpoints, ProjectEndpoint, ("project_id", "endpoint_id"))
project_endpoint_groups = Store(
    tables.project_endpoint_groups, ProjectEndpointGroup, ("project_id", "endpoint_group_id")
)
policy_associations = Store(
    tables.policy_associations, PolicyAssociation, ("endpoint_id", "service_id", "region_id")
)
policies = Store(tables.policies, PolicyBlob)
credentials = Store(tables.credentials, Credential)
application_credentials = Store(tables.application_credentials, ApplicationCredential)
access_rules = Store(tables.access_rules, AccessRule)
trusts = Store(tables.trusts, Trust)
consumers = Store(tables.consumers, Consumer)
request_tokens = Store(tables.request_tokens, RequestToken)
access_tokens = Store(tables.access_tokens, AccessToken)
registered_limits = Store(tables.registered_limits, RegisteredLimit)
limits = Store(tables.limits, Limit)
domain_options = Store(tables.domain_options, DomainOption, ("domain_id", "option_group", "option"))
id_mappings = Store(tables.id_mappings, IdMapping, ("public_id",))
identity_providers = Store(tables.identity_providers, IdentityProvider)
remote_ids = Store(tables.remote_ids, RemoteId, ("remote_id",))
federation_protocols = Store(tables.federation_protocols, FederationProtocol, ("idp_id", "id"))
mappings = Store(tables.mappings, Mapping)
service_providers = Store(tables.service_providers, ServiceProvider)
federated_users = Store(
    tables.federated_users, FederatedUser, ("idp_id", "protocol_id", "unique_id")
)
expiring_memberships = Store(
    tables.expiring_memberships, ExpiringMembership, ("user_id", "group_id", "idp_id")
)
federation_requests = Store(tables.federation_requests, PendingLogin)
federation_seen = Store(tables.federation_seen, SeenAssertion)
federation_sessions = Store(tables.federation_sessions, FederatedSession, ("chain_id",))
revocations = Store(tables.revocations, Revocation, ("kind", "key"))
