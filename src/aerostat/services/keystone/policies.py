"""Keystone's policy rules: upstream's names with the secure RBAC defaults.

Targets are flat ("target.user.domain_id"), as upstream flattens them. Source: keystone policy
reference.
"""

from typing import Any

from aerostat.kit.http.policy import ANYONE, Rule

ADMIN = "rule:admin_required"
SYSTEM_READER = "role:reader and system_scope:all"
READ = f"{ADMIN} or ({SYSTEM_READER})"

ALL: list[Rule] = []


ANYWHERE = {
    "get_credential", "list_credentials", "create_credential", "update_credential",
    "delete_credential", "get_domain", "list_domains", "get_security_compliance_domain_config",
    "check_grant", "list_grants", "create_grant", "revoke_grant", "get_group", "list_groups",
    "list_groups_for_user", "create_group", "update_group", "delete_group",
    "list_users_in_group", "remove_user_from_group", "check_user_in_group", "add_user_to_group",
    "get_limit_model", "get_limit", "list_limits", "get_registered_limit",
    "list_registered_limits", "get_project", "list_projects", "list_user_projects",
    "create_project", "update_project", "delete_project", "list_project_tags",
    "get_project_tag", "update_project_tags", "create_project_tag", "delete_project_tags",
    "delete_project_tag", "get_region", "list_regions", "get_role", "list_roles",
    "list_role_assignments", "list_role_assignments_for_tree", "s3tokens_validate",
    "ec2tokens_validate", "check_token", "validate_token", "revoke_token", "get_user",
    "list_users", "create_user", "update_user", "delete_user", "get_auth_catalog",
    "get_auth_projects", "get_auth_domains", "get_auth_system",
}  # fmt: skip
"""Rules that tokens of a domain may pass too; the others are for the system and projects."""
IN_PROJECTS = {
    "authorize_request_token", "get_access_token", "get_access_token_role", "list_access_tokens",
    "list_access_token_roles", "delete_access_token", "create_application_credential",
    "create_trust",
}  # fmt: skip
"""Rules for tokens of projects alone."""


def _rule(name: str, check: str, guards: str = "", scope: tuple[str, ...] = ()) -> Rule:
    rule = Rule(name, check, guards, scope)
    ALL.append(rule)
    return rule


def _identity(name: str, check: str) -> Rule:
    scope: tuple[str, ...] = () if name in ANYWHERE else ("system", "project")
    if name in IN_PROJECTS:
        scope = ("project",)
    return _rule(f"identity:{name}", check, scope=scope)


def _domain(role: str, noun: str) -> str:
    return f"(role:{role} and domain_id:%(target.{noun}domain_id)s)"


def _crud(noun: str, plural: str, read: str = READ, write: str = ADMIN) -> tuple[Rule, ...]:
    return (
        _identity(f"list_{plural}", read),
        _identity(f"get_{noun}", read),
        _identity(f"create_{noun}", write),
        _identity(f"update_{noun}", write),
        _identity(f"delete_{noun}", write),
    )


def target(**values: Any) -> dict[str, Any]:
    """Return a policy target; `user__id` names "target.user.id", a name alone itself.

    What is unknown is left out, for a rule must not match it with what a caller has not.
    """
    return {
        _dotted(name): value for name, value in values.items() if value not in ("", None, "None")
    }


ADMIN_REQUIRED = _rule("admin_required", "role:admin or is_admin:1", "Who may do everything.")
SERVICE_ROLE = _rule("service_role", "role:service", "Who validates tokens for a service.")
SERVICE_OR_ADMIN = _rule("service_or_admin", f"{ADMIN} or rule:service_role", "Who serves.")
OWNER = _rule("owner", "user_id:%(user_id)s", "Who it is about.")
ADMIN_OR_OWNER = _rule("admin_or_owner", f"{ADMIN} or rule:owner", "Them, or an administrator.")
TOKEN_SUBJECT = _rule("token_subject", "user_id:%(target.token.user_id)s", "Whose token it is.")

VALIDATE_TOKEN = _identity("validate_token", f"{READ} or rule:service_role or rule:token_subject")
CHECK_TOKEN = _identity("check_token", f"{READ} or rule:token_subject")
REVOKE_TOKEN = _identity("revoke_token", f"{ADMIN} or rule:token_subject")
LIST_REVOKE_EVENTS = _identity("list_revoke_events", f"{ADMIN} or rule:service_role")
AUTH_CATALOG = _identity("get_auth_catalog", "")
AUTH_PROJECTS = _identity("get_auth_projects", "")
AUTH_DOMAINS = _identity("get_auth_domains", "")
AUTH_SYSTEM = _identity("get_auth_system", "")

_USER = _domain("reader", "user.")
_TOKEN_DOMAIN = "token.domain.id:%(target.user.domain_id)s"
_USER_M = f"(role:manager and {_TOKEN_DOMAIN})"
LIST_USERS = _identity("list_users", f"{READ} or {_domain('reader', '')}")
GET_USER = _identity(
    "get_user", f"{READ} or (role:reader and {_TOKEN_DOMAIN}) or user_id:%(target.user.id)s"
)
CREATE_USER = _identity("create_user", f"{ADMIN} or {_USER_M}")
UPDATE_USER = _identity("update_user", f"{ADMIN} or {_USER_M}")
DELETE_USER = _identity("delete_user", f"{ADMIN} or {_USER_M}")
LIST_PROJECTS_FOR_USER = _identity(
    "list_user_projects", f"{READ} or {_USER} or user_id:%(target.user.id)s"
)

_GROUP, _GROUP_M = _domain("reader", "group."), _domain("manager", "group.")
LIST_GROUPS = _identity("list_groups", f"{READ} or {_domain('reader', 'group.')}")
GET_GROUP = _identity("get_group", f"{READ} or {_GROUP}")
CREATE_GROUP = _identity("create_group", f"{ADMIN} or {_GROUP_M}")
UPDATE_GROUP = _identity("update_group", f"{ADMIN} or {_GROUP_M}")
DELETE_GROUP = _identity("delete_group", f"{ADMIN} or {_GROUP_M}")
LIST_GROUPS_FOR_USER = _identity("list_groups_for_user", f"{READ} or {_USER} or rule:owner")
LIST_USERS_IN_GROUP = _identity("list_users_in_group", f"{READ} or {_GROUP}")
_BOTH = "domain_id:%(target.group.domain_id)s and domain_id:%(target.user.domain_id)s"
CHECK_USER_IN_GROUP = _identity("check_user_in_group", f"{READ} or (role:reader and {_BOTH})")
ADD_USER_TO_GROUP = _identity("add_user_to_group", f"{ADMIN} or (role:manager and {_BOTH})")
REMOVE_USER_FROM_GROUP = _identity(
    "remove_user_from_group", f"{ADMIN} or (role:manager and {_BOTH})"
)

LIST_DOMAINS = _identity(
    "list_domains", f"{READ} or (role:reader and domain_id:%(target.domain.id)s)"
)
GET_DOMAIN = _identity(
    "get_domain",
    f"{READ} or token.domain.id:%(target.domain.id)s or "
    "token.project.domain.id:%(target.domain.id)s",
)
CREATE_DOMAIN = _identity("create_domain", ADMIN)
UPDATE_DOMAIN = _identity("update_domain", ADMIN)
DELETE_DOMAIN = _identity("delete_domain", ADMIN)
GET_DOMAIN_CONFIG = _identity("get_domain_config", READ)
GET_DOMAIN_CONFIG_DEFAULT = _identity("get_domain_config_default", READ)
CREATE_DOMAIN_CONFIG = _identity("create_domain_config", ADMIN)
UPDATE_DOMAIN_CONFIG = _identity("update_domain_config", ADMIN)
DELETE_DOMAIN_CONFIG = _identity("delete_domain_config", ADMIN)

_PROJECT, _PROJECT_M = _domain("reader", "project."), _domain("manager", "project.")
_IN_PROJECT = "project_id:%(target.project.id)s"
LIST_PROJECTS = _identity("list_projects", f"{READ} or {_domain('reader', '')}")
GET_PROJECT = _identity("get_project", f"{READ} or {_PROJECT} or {_IN_PROJECT}")
CREATE_PROJECT = _identity("create_project", f"{ADMIN} or {_PROJECT_M}")
UPDATE_PROJECT = _identity("update_project", f"{ADMIN} or {_PROJECT_M}")
DELETE_PROJECT = _identity("delete_project", f"{ADMIN} or {_PROJECT_M}")
_TAGS_READ = f"{READ} or {_PROJECT} or {_IN_PROJECT}"
_TAGS_WRITE = f"{ADMIN} or {_PROJECT_M} or (role:admin and {_IN_PROJECT})"
LIST_PROJECT_TAGS = _identity("list_project_tags", _TAGS_READ)
GET_PROJECT_TAG = _identity("get_project_tag", _TAGS_READ)
UPDATE_PROJECT_TAGS = _identity("update_project_tags", _TAGS_WRITE)
CREATE_PROJECT_TAG = _identity("create_project_tag", _TAGS_WRITE)
DELETE_PROJECT_TAGS = _identity("delete_project_tags", _TAGS_WRITE)
DELETE_PROJECT_TAG = _identity("delete_project_tag", _TAGS_WRITE)

_DOMAIN_MANAGER = "(role:manager and not domain_id:None)"
LIST_ROLES = _identity("list_roles", f"{READ} or {_DOMAIN_MANAGER}")
GET_ROLE = _identity("get_role", f"{READ} or (role:manager and rule:domain_managed_target_role)")
CREATE_ROLE = _identity("create_role", ADMIN)
UPDATE_ROLE = _identity("update_role", ADMIN)
DELETE_ROLE = _identity("delete_role", ADMIN)
LIST_DOMAIN_ROLES = _identity("list_domain_roles", READ)
GET_DOMAIN_ROLE = _identity("get_domain_role", READ)
CREATE_DOMAIN_ROLE = _identity("create_domain_role", ADMIN)
UPDATE_DOMAIN_ROLE = _identity("update_domain_role", ADMIN)
DELETE_DOMAIN_ROLE = _identity("delete_domain_role", ADMIN)
LIST_IMPLIED_ROLES = _identity("list_implied_roles", READ)
GET_IMPLIED_ROLE = _identity("get_implied_role", READ)
CHECK_IMPLIED_ROLE = _identity("check_implied_role", READ)
CREATE_IMPLIED_ROLE = _identity("create_implied_role", ADMIN)
DELETE_IMPLIED_ROLE = _identity("delete_implied_role", ADMIN)
LIST_ROLE_INFERENCE_RULES = _identity("list_role_inference_rules", READ)

_ACTOR = "(domain_id:%(target.user.domain_id)s or domain_id:%(target.group.domain_id)s)"
_PLACE = "(domain_id:%(target.project.domain_id)s or domain_id:%(target.domain.id)s)"
_MANAGED = _rule(
    "domain_managed_target_role",
    "'manager':%(target.role.name)s or 'member':%(target.role.name)s or "
    "'reader':%(target.role.name)s",
    "Roles that a domain manager may give.",
)
_GRANT_READ = f"{READ} or (role:reader and {_ACTOR} and {_PLACE})"
_GRANT_WRITE = (
    f"{ADMIN} or (role:manager and {_ACTOR} and {_PLACE} and rule:domain_managed_target_role)"
)
_OWN_ROLE = "(domain_id:%(target.role.domain_id)s or None:%(target.role.domain_id)s)"
CHECK_GRANT = _identity(
    "check_grant", f"{READ} or (role:reader and {_ACTOR} and {_PLACE} and {_OWN_ROLE})"
)
LIST_GRANTS = _identity("list_grants", _GRANT_READ)
CREATE_GRANT = _identity("create_grant", _GRANT_WRITE)
REVOKE_GRANT = _identity("revoke_grant", _GRANT_WRITE)
SYSTEM_GRANTS = {
    (verb, actor): _identity(f"{verb}_system_grant{suffix}_for_{actor}", check)
    for actor in ("user", "group")
    for verb, suffix, check in (
        ("list", "s", READ),
        ("check", "", READ),
        ("create", "", ADMIN),
        ("revoke", "", ADMIN),
    )
}
LIST_ROLE_ASSIGNMENTS = _identity(
    "list_role_assignments", f"{READ} or (role:reader and domain_id:%(target.domain_id)s)"
)
LIST_ROLE_ASSIGNMENTS_FOR_TREE = _identity(
    "list_role_assignments_for_tree",
    f"{READ} or {_domain('reader', '')}",
)

LIST_REGIONS, GET_REGION, CREATE_REGION, UPDATE_REGION, DELETE_REGION = _crud(
    "region", "regions", ""
)
LIST_SERVICES, GET_SERVICE, CREATE_SERVICE, UPDATE_SERVICE, DELETE_SERVICE = _crud(
    "service", "services"
)
LIST_ENDPOINTS, GET_ENDPOINT, CREATE_ENDPOINT, UPDATE_ENDPOINT, DELETE_ENDPOINT = _crud(
    "endpoint", "endpoints"
)
LIST_POLICIES, GET_POLICY, CREATE_POLICY, UPDATE_POLICY, DELETE_POLICY = _crud("policy", "policies")
LIST_CONSUMERS, GET_CONSUMER, CREATE_CONSUMER, UPDATE_CONSUMER, DELETE_CONSUMER = _crud(
    "consumer", "consumers"
)
(
    LIST_ENDPOINT_GROUPS,
    GET_ENDPOINT_GROUP,
    CREATE_ENDPOINT_GROUP,
    UPDATE_ENDPOINT_GROUP,
    DELETE_ENDPOINT_GROUP,
) = _crud("endpoint_group", "endpoint_groups")
(
    PROJECTS_OF_GROUP,
    ENDPOINTS_OF_GROUP,
    GET_GROUP_IN_PROJECT,
    GROUPS_OF_PROJECT,
    ADD_GROUP_TO_PROJECT,
    REMOVE_GROUP_FROM_PROJECT,
) = (
    _identity("list_projects_associated_with_endpoint_group", READ),
    _identity("list_endpoints_associated_with_endpoint_group", READ),
    _identity("get_endpoint_group_in_project", READ),
    _identity("list_endpoint_groups_for_project", READ),
    _identity("add_endpoint_group_to_project", ADMIN),
    _identity("remove_endpoint_group_from_project", ADMIN),
)
POLICY_ASSOCIATIONS = {
    (verb, kind): _identity(f"{verb}_policy_association_for_{kind}", check)
    for kind in ("endpoint", "service", "region_and_service")
    for verb, check in (("create", ADMIN), ("check", READ), ("delete", ADMIN))
}
POLICY_OF_ENDPOINT = _identity("get_policy_for_endpoint", READ)
ENDPOINTS_OF_POLICY = _identity("list_endpoints_for_policy", READ)
REVOCATION_LIST = _identity("revocation_list", "rule:service_or_admin")
LIST_ASSOCIATIONS = _identity("list_endpoints_for_project", READ)
LIST_PROJECTS_FOR_ENDPOINT = _identity("list_projects_for_endpoint", READ)
CHECK_ASSOCIATION = _identity("check_endpoint_in_project", READ)
ADD_ASSOCIATION = _identity("add_endpoint_to_project", ADMIN)
REMOVE_ASSOCIATION = _identity("remove_endpoint_from_project", ADMIN)

LIST_ACCESS_TOKENS = _identity("list_access_tokens", ADMIN)
GET_ACCESS_TOKEN = _identity("get_access_token", ADMIN)
DELETE_ACCESS_TOKEN = _identity("delete_access_token", ADMIN)
LIST_ACCESS_TOKEN_ROLES = _identity("list_access_token_roles", ADMIN)
GET_ACCESS_TOKEN_ROLE = _identity("get_access_token_role", ADMIN)
AUTHORIZE_REQUEST_TOKEN = _identity("authorize_request_token", ADMIN)
EC2_TOKENS = _identity("ec2tokens_validate", "rule:service_or_admin")
S3_TOKENS = _identity("s3tokens_validate", "rule:service_or_admin")

(
    LIST_IDENTITY_PROVIDERS,
    GET_IDENTITY_PROVIDER,
    CREATE_IDENTITY_PROVIDER,
    UPDATE_IDENTITY_PROVIDER,
    DELETE_IDENTITY_PROVIDER,
) = _crud("identity_provider", "identity_providers")
LIST_PROTOCOLS, GET_PROTOCOL, CREATE_PROTOCOL, UPDATE_PROTOCOL, DELETE_PROTOCOL = _crud(
    "protocol", "protocols"
)
LIST_MAPPINGS, GET_MAPPING, CREATE_MAPPING, UPDATE_MAPPING, DELETE_MAPPING = _crud(
    "mapping", "mappings"
)
(
    LIST_SERVICE_PROVIDERS,
    GET_SERVICE_PROVIDER,
    CREATE_SERVICE_PROVIDER,
    UPDATE_SERVICE_PROVIDER,
    DELETE_SERVICE_PROVIDER,
) = _crud("service_provider", "service_providers")

_CREDENTIAL = "user_id:%(target.credential.user_id)s"
LIST_CREDENTIALS = _identity("list_credentials", f"{READ} or {_CREDENTIAL}")
GET_CREDENTIAL = _identity("get_credential", f"{READ} or {_CREDENTIAL}")
CREATE_CREDENTIAL = _identity("create_credential", f"{ADMIN} or {_CREDENTIAL}")
UPDATE_CREDENTIAL = _identity("update_credential", f"{ADMIN} or {_CREDENTIAL}")
DELETE_CREDENTIAL = _identity("delete_credential", f"{ADMIN} or {_CREDENTIAL}")
EC2_LIST = _identity("ec2_list_credentials", f"{READ} or rule:owner")
EC2_GET = _identity("ec2_get_credential", f"{READ} or {_CREDENTIAL}")
_MEMBER_OWNER = f"{ADMIN} or (role:member and {_CREDENTIAL})"
EC2_CREATE = _identity("ec2_create_credential", _MEMBER_OWNER)
EC2_DELETE = _identity("ec2_delete_credential", _MEMBER_OWNER)
_OWN_READ, _OWN_WRITE = f"{READ} or rule:owner", f"{ADMIN} or rule:owner"
LIST_APPLICATION_CREDENTIALS = _identity("list_application_credentials", _OWN_READ)
GET_APPLICATION_CREDENTIAL = _identity("get_application_credential", _OWN_READ)
CREATE_APPLICATION_CREDENTIAL = _identity("create_application_credential", "rule:owner")
DELETE_APPLICATION_CREDENTIAL = _identity("delete_application_credential", _OWN_WRITE)
_SELF = "user_id:%(target.user.id)s"
LIST_ACCESS_RULES = _identity("list_access_rules", f"({SYSTEM_READER}) or {_SELF}")
GET_ACCESS_RULE = _identity("get_access_rule", f"({SYSTEM_READER}) or {_SELF}")
DELETE_ACCESS_RULE = _identity(
    "delete_access_rule", f"(role:admin and system_scope:all) or {_SELF}"
)

_TRUSTOR = "user_id:%(target.trust.trustor_user_id)s"
_TRUSTEE = "user_id:%(target.trust.trustee_user_id)s"
LIST_TRUSTS = _identity("list_trusts", READ)
LIST_TRUSTS_FOR_TRUSTOR = _identity("list_trusts_for_trustor", f"{READ} or {_TRUSTOR}")
LIST_TRUSTS_FOR_TRUSTEE = _identity("list_trusts_for_trustee", f"{READ} or {_TRUSTEE}")
CREATE_TRUST = _identity("create_trust", _TRUSTOR)
GET_TRUST = _identity("get_trust", f"{READ} or {_TRUSTOR} or {_TRUSTEE}")
DELETE_TRUST = _identity("delete_trust", f"{ADMIN} or {_TRUSTOR}")
GET_ROLE_FOR_TRUST = _identity("get_role_for_trust", f"{READ} or {_TRUSTOR} or {_TRUSTEE}")
LIST_ROLES_FOR_TRUST = _identity("list_roles_for_trust", f"{READ} or {_TRUSTOR} or {_TRUSTEE}")

LIST_REGISTERED_LIMITS = _identity("list_registered_limits", "")
GET_REGISTERED_LIMIT = _identity("get_registered_limit", "")
CREATE_REGISTERED_LIMITS = _identity("create_registered_limits", ADMIN)
UPDATE_REGISTERED_LIMIT = _identity("update_registered_limit", ADMIN)
DELETE_REGISTERED_LIMIT = _identity("delete_registered_limit", ADMIN)
GET_LIMIT_MODEL = _identity("get_limit_model", "")
LIST_LIMITS = _identity("list_limits", "")
GET_LIMIT = _identity(
    "get_limit",
    f"{READ} or domain_id:%(target.limit.domain.id)s or "
    "domain_id:%(target.limit.project.domain_id)s or "
    "(project_id:%(target.limit.project_id)s and not None:%(target.limit.project_id)s)",
)
CREATE_LIMITS = _identity("create_limits", ADMIN)
UPDATE_LIMIT = _identity("update_limit", ADMIN)
DELETE_LIMIT = _identity("delete_limit", ADMIN)
GET_SECURITY_COMPLIANCE = _identity("get_security_compliance_domain_config", ANYONE)


def _dotted(name: str) -> str:
    path = name.replace("__", ".")
    return path if path == name or path.startswith("target.") else f"target.{path}"
