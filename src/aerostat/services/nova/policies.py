"""Nova's policy rules with upstream's names and defaults.

Source: nova documentation, "Nova Policies".
"""

from aerostat.kit.http.policy import (
    ADMIN,
    ANYONE,
    PROJECT_MANAGER_OR_ADMIN,
    PROJECT_MEMBER_OR_ADMIN,
    PROJECT_READER_OR_ADMIN,
    Rule,
)

MEMBER, READER, ADMINS = PROJECT_MEMBER_OR_ADMIN, PROJECT_READER_OR_ADMIN, "rule:context_is_admin"
MANAGER = PROJECT_MANAGER_OR_ADMIN
OWN_USER = f"{ADMIN} or user_id:%(user_id)s"
RULES: list[Rule] = []


def _rule(name: str, check: str, prefix: str = "os_compute_api:") -> Rule:
    rule = Rule(prefix + name, check)
    RULES.append(rule)
    return rule


SERVERS_INDEX = _rule("servers:index", READER)
SERVERS_DETAIL = _rule("servers:detail", READER)
SERVERS_ALL = _rule("servers:index:get_all_tenants", ADMINS)
SERVERS_DETAIL_ALL = _rule("servers:detail:get_all_tenants", ADMINS)
SERVERS_ALL_FILTERS = _rule("servers:allow_all_filters", ADMINS)
SERVERS_SHOW = _rule("servers:show", READER)
SERVERS_SHOW_HOST = _rule("servers:show:host_status", ADMINS)
SERVERS_CREATE = _rule("servers:create", MEMBER)
SERVERS_CREATE_FORCED = _rule("servers:create:forced_host", ADMINS)
SERVERS_CREATE_DEST = _rule("compute:servers:create:requested_destination", ADMINS, prefix="")
SERVERS_UPDATE = _rule("servers:update", MEMBER)
SERVERS_DELETE = _rule("servers:delete", MEMBER)
SERVERS_START = _rule("servers:start", MEMBER)
SERVERS_STOP = _rule("servers:stop", MEMBER)
SERVERS_REBUILD = _rule("servers:rebuild", MEMBER)
SERVERS_REBOOT = _rule("servers:reboot", MEMBER)
SERVERS_RESIZE = _rule("servers:resize", MEMBER)
SERVERS_CONFIRM_RESIZE = _rule("servers:confirm_resize", MEMBER)
SERVERS_REVERT_RESIZE = _rule("servers:revert_resize", MEMBER)
MIGRATE = _rule("os-migrate-server:migrate", MANAGER)
MIGRATE_HOST = _rule("os-migrate-server:migrate:host", ADMINS)
MIGRATE_LIVE = _rule("os-migrate-server:migrate_live", MANAGER)
MIGRATE_LIVE_HOST = _rule("os-migrate-server:migrate_live:host", ADMINS)
MIGRATIONS = _rule("os-migrations:index", MANAGER)
MIGRATIONS_ALL = _rule("os-migrations:index:all_projects", ADMINS)
MIGRATIONS_HOST = _rule("os-migrations:index:host", ADMINS)
SERVER_MIGRATIONS = {
    "index": _rule("servers:migrations:index", MANAGER),
    "host": _rule("servers:migrations:index:host", ADMINS),
    "show": _rule("servers:migrations:show", ADMINS),
    "force_complete": _rule("servers:migrations:force_complete", MANAGER),
    "delete": _rule("servers:migrations:delete", MANAGER),
}
SERVERS_CREATE_IMAGE = _rule("servers:create_image", MEMBER)
CREATE_BACKUP = _rule("os-create-backup", MEMBER)
SHELVE = _rule("os-shelve:shelve", MEMBER)
UNSHELVE = _rule("os-shelve:unshelve", MEMBER)
UNSHELVE_TO_HOST = _rule("os-shelve:unshelve_to_host", ADMINS)
SHELVE_OFFLOAD = _rule("os-shelve:shelve_offload", ADMINS)
RESCUE = _rule("os-rescue", MEMBER)
UNRESCUE = _rule("os-unrescue", MEMBER)
INJECT_NETWORK = _rule("os-admin-actions:inject_network_info", ADMINS)
GROUP_PROXIES = {
    verb: _rule(f"os-security-groups:{verb}", READER if verb in ("get", "show") else MEMBER)
    for verb in ("get", "show", "create", "update", "delete", "rule:create", "rule:delete")
}
FLOATING_PROXIES = {
    "list": _rule("os-floating-ips:list", READER),
    "show": _rule("os-floating-ips:show", READER),
    "create": _rule("os-floating-ips:create", MEMBER),
    "delete": _rule("os-floating-ips:delete", MEMBER),
    "add": _rule("os-floating-ips:add", MEMBER),
    "remove": _rule("os-floating-ips:remove", MEMBER),
    "pools": _rule("os-floating-ip-pools", ANYONE),
}
NETWORK_PROXIES = {verb: _rule(f"os-networks:{verb}", READER) for verb in ("list", "show")}
TENANT_NETWORKS = {verb: _rule(f"os-tenant-networks:{verb}", READER) for verb in ("list", "show")}
FORCE_DELETE = _rule("os-deferred-delete:force", MEMBER)
RESTORE = _rule("os-deferred-delete:restore", MEMBER)
EVACUATE = _rule("os-evacuate", ADMINS)
PAUSE = _rule("os-pause-server:pause", MEMBER)
UNPAUSE = _rule("os-pause-server:unpause", MEMBER)
SUSPEND = _rule("os-suspend-server:suspend", MEMBER)
RESUME = _rule("os-suspend-server:resume", MEMBER)
LOCK = _rule("os-lock-server:lock", MEMBER)
UNLOCK = _rule("os-lock-server:unlock", MEMBER)
UNLOCK_OVERRIDE = _rule("os-lock-server:unlock:unlock_override", ADMINS)
RESET_STATE = _rule("os-admin-actions:reset_state", ADMINS)
CONSOLE_OUTPUT = _rule("os-console-output", MEMBER)
REMOTE_CONSOLES = _rule("os-remote-consoles", MEMBER)
EXTENDED = _rule("os-extended-server-attributes", ADMINS)
META = {
    verb: _rule(f"server-metadata:{verb}", READER if verb in ("index", "show") else MEMBER)
    for verb in ("index", "show", "create", "update_all", "update", "delete")
}
TAGS = {
    verb: _rule(f"os-server-tags:{verb}", READER if verb in ("index", "show") else MEMBER)
    for verb in ("index", "show", "update", "update_all", "delete", "delete_all")
}
IPS = {verb: _rule(f"ips:{verb}", READER) for verb in ("index", "show")}
INTERFACES = {
    verb: _rule(f"os-attach-interfaces:{verb}", READER if verb in ("list", "show") else MEMBER)
    for verb in ("list", "show", "create", "delete")
}
SECURITY_GROUPS = _rule("os-security-groups:list", READER)
SECURITY_GROUP_ADD = _rule("os-security-groups:add", MEMBER)
SECURITY_GROUP_REMOVE = _rule("os-security-groups:remove", MEMBER)
PASSWORD_CHANGE = _rule("os-admin-password", MEMBER)
PASSWORD_SHOW = _rule("os-server-password:show", READER)
PASSWORD_CLEAR = _rule("os-server-password:clear", MEMBER)
HOSTS = {
    verb: _rule(f"os-hosts:{verb}", ADMINS)
    for verb in ("list", "show", "update", "start", "shutdown", "reboot")
}
ACTIONS_LIST = _rule("os-instance-actions:list", READER)
ACTIONS_SHOW = _rule("os-instance-actions:show", READER)
ACTIONS_EVENTS = _rule("os-instance-actions:events", ADMINS)
DIAGNOSTICS = _rule("os-server-diagnostics", ADMINS)
TOPOLOGY = _rule("compute:server:topology:index", READER, prefix="")
EXTERNAL_EVENTS = _rule("os-server-external-events:create", ADMINS)
USAGE_AUDIT = {
    verb: _rule(f"os-instance-usage-audit-log:{verb}", ADMINS) for verb in ("list", "show")
}
VOLUMES = _rule("os-volumes-attachments:index", READER)

FLAVOR_LIST = _rule("flavors", ANYONE)
FLAVOR_CREATE = _rule("os-flavor-manage:create", ADMINS)
FLAVOR_UPDATE = _rule("os-flavor-manage:update", ADMINS)
FLAVOR_DELETE = _rule("os-flavor-manage:delete", ADMINS)
FLAVOR_ACCESS = _rule("os-flavor-access", ADMINS)
FLAVOR_ACCESS_ADD = _rule("os-flavor-access:add_tenant_access", ADMINS)
FLAVOR_ACCESS_REMOVE = _rule("os-flavor-access:remove_tenant_access", ADMINS)
SPECS = {
    "index": _rule("os-flavor-extra-specs:index", READER),
    "show": _rule("os-flavor-extra-specs:show", READER),
    "create": _rule("os-flavor-extra-specs:create", ADMINS),
    "update": _rule("os-flavor-extra-specs:update", ADMINS),
    "delete": _rule("os-flavor-extra-specs:delete", ADMINS),
}
KEYPAIRS = {
    verb: _rule(f"os-keypairs:{verb}", OWN_USER) for verb in ("index", "show", "create", "delete")
}
HYPERVISORS = {
    verb: _rule(f"os-hypervisors:{verb}", ADMINS)
    for verb in ("list", "list-detail", "show", "statistics", "uptime", "search", "servers")
}
SERVICES = {verb: _rule(f"os-services:{verb}", ADMINS) for verb in ("list", "update", "delete")}
ZONES = _rule("os-availability-zone:list", ANYONE)
ZONES_DETAIL = _rule("os-availability-zone:detail", ADMINS)
LIMITS = _rule("limits", ANYONE)
LIMITS_OTHER = _rule("limits:other_project", ADMINS)
QUOTAS = {
    "show": _rule("os-quota-sets:show", READER),
    "defaults": _rule("os-quota-sets:defaults", ANYONE),
    "detail": _rule("os-quota-sets:detail", READER),
    "update": _rule("os-quota-sets:update", ADMINS),
    "delete": _rule("os-quota-sets:delete", ADMINS),
}
QUOTA_CLASS_SHOW = _rule("os-quota-class-sets:show", ADMINS)
QUOTA_CLASS_UPDATE = _rule("os-quota-class-sets:update", ADMINS)
AGGREGATES = {
    verb: _rule(f"os-aggregates:{verb}", ADMINS)
    for verb in (
        "index",
        "show",
        "create",
        "update",
        "delete",
        "add_host",
        "remove_host",
        "set_metadata",
    )
}
GROUPS = {
    "index": _rule("os-server-groups:index", READER),
    "index_all": _rule("os-server-groups:index:all_projects", ADMINS),
    "show": _rule("os-server-groups:show", READER),
    "create": _rule("os-server-groups:create", MEMBER),
    "delete": _rule("os-server-groups:delete", MEMBER),
}
EXTENSIONS = _rule("extensions", ANYONE)
USAGE_LIST = _rule("os-simple-tenant-usage:list", ADMINS)
USAGE_SHOW = _rule("os-simple-tenant-usage:show", READER)
