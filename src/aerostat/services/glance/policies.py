"""Glance's policy rules with upstream's names and defaults.

Source: glance documentation, "Sample policy" (secure RBAC).
"""

from aerostat.kit.http.policy import (
    ADMIN,
    PROJECT_MEMBER_OR_ADMIN,
    PROJECT_READER_OR_ADMIN,
    Rule,
)

_OWNED = "project_id:%(project_id)s or project_id:%(member_id)s"
_OPEN = "'community':%(visibility)s or 'public':%(visibility)s or 'shared':%(visibility)s"
_READ = f"rule:context_is_admin or (role:reader and ({_OWNED} or {_OPEN}))"
_DOWNLOAD = f"rule:context_is_admin or (role:member and ({_OWNED} or {_OPEN}))"
_CREATE = (
    "rule:context_is_admin or (role:member and project_id:%(project_id)s and project_id:%(owner)s)"
)
_MEMBERS = f"rule:context_is_admin or role:reader and ({_OWNED})"

DEFAULT = Rule("default", "")
ADD = Rule("add_image", _CREATE, "POST /v2/images")
DELETE = Rule("delete_image", PROJECT_MEMBER_OR_ADMIN, "DELETE /v2/images/{image_id}")
GET = Rule("get_image", _READ, "GET /v2/images/{image_id}")
LIST = Rule("get_images", PROJECT_READER_OR_ADMIN, "GET /v2/images")
MODIFY = Rule("modify_image", PROJECT_MEMBER_OR_ADMIN, "PATCH /v2/images/{image_id}")
PUBLICIZE = Rule("publicize_image", "rule:context_is_admin", "Publicizes an image")
COMMUNITIZE = Rule("communitize_image", PROJECT_MEMBER_OR_ADMIN, "Communitizes an image")
DOWNLOAD = Rule("download_image", _DOWNLOAD, "GET /v2/images/{image_id}/file")
UPLOAD = Rule("upload_image", PROJECT_MEMBER_OR_ADMIN, "PUT /v2/images/{image_id}/file")
ADD_MEMBER = Rule("add_member", PROJECT_MEMBER_OR_ADMIN, "POST /v2/images/{image_id}/members")
DELETE_MEMBER = Rule("delete_member", PROJECT_MEMBER_OR_ADMIN, "DELETE .../members/{member_id}")
GET_MEMBER = Rule("get_member", _MEMBERS, "GET .../members/{member_id}")
GET_MEMBERS = Rule("get_members", _MEMBERS, "GET /v2/images/{image_id}/members")
MODIFY_MEMBER = Rule(
    "modify_member",
    "rule:context_is_admin or (role:member and project_id:%(member_id)s)",
    "PUT .../members/{member_id}",
)
DEACTIVATE = Rule("deactivate", PROJECT_MEMBER_OR_ADMIN, "POST .../actions/deactivate")
REACTIVATE = Rule("reactivate", PROJECT_MEMBER_OR_ADMIN, "POST .../actions/reactivate")
TASKS = Rule("tasks_api_access", ADMIN, "/v2/tasks")
STORES_DETAIL = Rule("stores_info_detail", ADMIN, "GET /v2/info/stores/detail")
DELETE_LOCATION = Rule("delete_image_location", "role:admin", "DELETE /v2/stores/{store}/{image}")
GET_LOCATION = Rule("get_image_location", PROJECT_READER_OR_ADMIN, "GET /v2/images/{image_id}")
SET_LOCATION = Rule("set_image_location", PROJECT_MEMBER_OR_ADMIN, "PATCH /v2/images/{image_id}")
ADD_LOCATION = Rule(
    "add_image_location",
    f"rule:service_api or {PROJECT_MEMBER_OR_ADMIN}",
    "POST /v2/images/{image_id}/locations",
)
FETCH_LOCATION = Rule(
    "fetch_image_location", "rule:service_api", "GET /v2/images/{image_id}/locations"
)
SERVICE_API = Rule("service_api", "role:service")
COPY = Rule("copy_image", "role:admin", "POST /v2/images/{image_id}/import")
CACHE_LIST = Rule("cache_list", ADMIN, "GET /v2/cache")
CACHE_IMAGE = Rule("cache_image", ADMIN, "PUT /v2/cache/{image_id}")
CACHE_DELETE = Rule("cache_delete", ADMIN, "DELETE /v2/cache")
CACHE_CLEAN = Rule("cache_clean", ADMIN, "POST /v2/cache/clean")
CACHE_PRUNE = Rule("cache_prune", ADMIN, "POST /v2/cache/prune")
CHANGES = (DELETE, MODIFY, UPLOAD, DEACTIVATE, REACTIVATE, ADD_MEMBER, DELETE_MEMBER, SET_LOCATION)
"""What only an image's owner and administrators do, however loose an operator's rules are."""

RULES = [
    DEFAULT, ADD, DELETE, GET, LIST, MODIFY, PUBLICIZE, COMMUNITIZE, DOWNLOAD, UPLOAD,
    ADD_MEMBER, DELETE_MEMBER, GET_MEMBER, GET_MEMBERS, MODIFY_MEMBER, DEACTIVATE, REACTIVATE,
    TASKS, STORES_DETAIL, DELETE_LOCATION, GET_LOCATION, SET_LOCATION, ADD_LOCATION, FETCH_LOCATION,
    SERVICE_API, COPY, CACHE_LIST, CACHE_IMAGE, CACHE_DELETE, CACHE_CLEAN, CACHE_PRUNE,
]  # fmt: skip

_METADEF_READ = (
    "rule:context_is_admin or "
    "(role:reader and (project_id:%(project_id)s or 'public':%(visibility)s))"
)


def _metadefs(reads: tuple[str, ...], writes: tuple[str, ...]) -> dict[str, Rule]:
    made = {name: Rule(name, _METADEF_READ, "/v2/metadefs") for name in reads}
    made["get_metadef_namespaces"] = Rule("get_metadef_namespaces", PROJECT_READER_OR_ADMIN)
    return made | {name: Rule(name, "rule:context_is_admin", "/v2/metadefs") for name in writes}


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
RULES += METADEF.values()
