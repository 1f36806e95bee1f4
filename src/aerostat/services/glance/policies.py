"""Glance's policy rules with upstream's names and defaults.

Source: glance documentation, "Sample policy" (secure RBAC).
"""

from aerostat.kit.http.policy import (
    PROJECT_MEMBER_OR_ADMIN,
    PROJECT_READER_OR_ADMIN,
    Rule,
)

_ADMIN = "rule:context_is_admin"
_OWNED = "project_id:%(project_id)s or project_id:%(member_id)s"
_OPEN = "'community':%(visibility)s or 'public':%(visibility)s or 'shared':%(visibility)s"
_READ = f"{_ADMIN} or (role:reader and ({_OWNED} or {_OPEN}))"
_DOWNLOAD = f"{_ADMIN} or (role:member and ({_OWNED} or {_OPEN}))"
_CREATE = f"{_ADMIN} or (role:member and project_id:%(project_id)s and project_id:%(owner)s)"
_MEMBERS = f"{_ADMIN} or role:reader and ({_OWNED})"


def _rule(name: str, check: str, guards: str = "") -> Rule:
    """Return a rule for tokens of projects, as all of glance's are."""
    return Rule(name, check, guards, ("project",))


DEFAULT = _rule("default", "")
ADD = _rule("add_image", _CREATE, "POST /v2/images")
DELETE = _rule("delete_image", PROJECT_MEMBER_OR_ADMIN, "DELETE /v2/images/{image_id}")
GET = _rule("get_image", _READ, "GET /v2/images/{image_id}")
LIST = _rule("get_images", PROJECT_READER_OR_ADMIN, "GET /v2/images")
MODIFY = _rule("modify_image", PROJECT_MEMBER_OR_ADMIN, "PATCH /v2/images/{image_id}")
PUBLICIZE = _rule("publicize_image", _ADMIN, "Publicizes an image")
COMMUNITIZE = _rule("communitize_image", PROJECT_MEMBER_OR_ADMIN, "Communitizes an image")
DOWNLOAD = _rule("download_image", _DOWNLOAD, "GET /v2/images/{image_id}/file")
DOWNLOAD_FROM_STORE = _rule("download_from_store", _DOWNLOAD, "GET .../file?prefer=")
UPLOAD = _rule("upload_image", PROJECT_MEMBER_OR_ADMIN, "PUT /v2/images/{image_id}/file")
ADD_MEMBER = _rule("add_member", PROJECT_MEMBER_OR_ADMIN, "POST /v2/images/{image_id}/members")
DELETE_MEMBER = _rule("delete_member", PROJECT_MEMBER_OR_ADMIN, "DELETE .../members/{member_id}")
GET_MEMBER = _rule("get_member", _MEMBERS, "GET .../members/{member_id}")
GET_MEMBERS = _rule("get_members", _MEMBERS, "GET /v2/images/{image_id}/members")
MODIFY_MEMBER = _rule(
    "modify_member",
    f"{_ADMIN} or (role:member and project_id:%(member_id)s)",
    "PUT .../members/{member_id}",
)
DEACTIVATE = _rule("deactivate", PROJECT_MEMBER_OR_ADMIN, "POST .../actions/deactivate")
REACTIVATE = _rule("reactivate", PROJECT_MEMBER_OR_ADMIN, "POST .../actions/reactivate")
TASKS = _rule("tasks_api_access", _ADMIN, "/v2/tasks")
STORES_DETAIL = _rule(
    "stores_info_detail", f"{_ADMIN} or rule:service_api", "GET /v2/info/stores/detail"
)
DELETE_LOCATION = _rule("delete_image_location", _ADMIN, "DELETE /v2/stores/{store}/{image}")
GET_LOCATION = _rule("get_image_location", PROJECT_READER_OR_ADMIN, "GET /v2/images/{image_id}")
SET_LOCATION = _rule("set_image_location", PROJECT_MEMBER_OR_ADMIN, "PATCH /v2/images/{image_id}")
ADD_LOCATION = _rule(
    "add_image_location",
    "rule:service_api or (role:member and project_id:%(project_id)s and project_id:%(owner)s)",
    "POST /v2/images/{image_id}/locations",
)
FETCH_LOCATION = _rule(
    "fetch_image_location", "rule:service_api", "GET /v2/images/{image_id}/locations"
)
SERVICE_API = _rule("service_api", "role:service or role:admin")
COPY = _rule("copy_image", _ADMIN, "POST /v2/images/{image_id}/import")
CACHE_LIST = _rule("cache_list", _ADMIN, "GET /v2/cache")
CACHE_IMAGE = _rule("cache_image", _ADMIN, "PUT /v2/cache/{image_id}")
CACHE_DELETE = _rule("cache_delete", _ADMIN, "DELETE /v2/cache")
CACHE_CLEAN = _rule("cache_clean", _ADMIN, "POST /v2/cache/clean")
CACHE_NODES = _rule("list_cached_nodes", _ADMIN, "GET /v2/cache/nodes/{image_id}")
CACHE_PRUNE = _rule("cache_prune", _ADMIN, "POST /v2/cache/prune")
CHANGES = (DELETE, MODIFY, UPLOAD, DEACTIVATE, REACTIVATE, ADD_MEMBER, DELETE_MEMBER, SET_LOCATION)
"""What only an image's owner and administrators do, however loose an operator's rules are."""

RULES = [
    DEFAULT, ADD, DELETE, GET, LIST, MODIFY, PUBLICIZE, COMMUNITIZE, DOWNLOAD, UPLOAD,
    ADD_MEMBER, DELETE_MEMBER, GET_MEMBER, GET_MEMBERS, MODIFY_MEMBER, DEACTIVATE, REACTIVATE,
    TASKS, STORES_DETAIL, DELETE_LOCATION, GET_LOCATION, SET_LOCATION, ADD_LOCATION, FETCH_LOCATION,
    SERVICE_API, COPY, CACHE_LIST, CACHE_IMAGE, CACHE_DELETE, CACHE_CLEAN, CACHE_PRUNE,
    CACHE_NODES, DOWNLOAD_FROM_STORE,
]  # fmt: skip

_METADEF_READ = (
    f"{_ADMIN} or (role:reader and (project_id:%(project_id)s or 'public':%(visibility)s))"
)


def _metadefs(reads: tuple[str, ...], writes: tuple[str, ...]) -> dict[str, Rule]:
    made = {name: _rule(name, _METADEF_READ, "/v2/metadefs") for name in reads}
    made["get_metadef_namespaces"] = _rule("get_metadef_namespaces", PROJECT_READER_OR_ADMIN)
    return made | {name: _rule(name, "rule:metadef_admin", "/v2/metadefs") for name in writes}


METADEF = _metadefs(
    (
        "get_metadef_namespace", "get_metadef_object", "get_metadef_objects",
        "list_metadef_resource_types", "get_metadef_resource_type", "get_metadef_property",
        "get_metadef_properties", "get_metadef_tag", "get_metadef_tags",
    ),
    (
        "modify_metadef_namespace", "add_metadef_namespace", "delete_metadef_namespace",
        "modify_metadef_object", "add_metadef_object", "delete_metadef_object",
        "add_metadef_resource_type_association", "remove_metadef_resource_type_association",
        "modify_metadef_property", "add_metadef_property", "remove_metadef_property",
        "modify_metadef_tag", "add_metadef_tag", "add_metadef_tags", "delete_metadef_tag",
        "delete_metadef_tags",
    ),
)  # fmt: skip
RULES += [_rule("metadef_admin", _ADMIN), *METADEF.values()]
