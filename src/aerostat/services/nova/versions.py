"""Nova's microversions, 2.1 to 2.104: what changed between a client's form and the newest.

Source: compute api-ref, "REST API Version History".
"""

from collections.abc import Callable
from typing import Any

from aerostat.kit.errors import BadRequest
from aerostat.kit.http.microversion import (
    Document,
    Version,
    VersionChange,
    Versions,
    older_of,
)

Change = Callable[[Document], Document]


def _change(
    version: str,
    title: str,
    *on: str,
    request: Change | None = None,
    response: Change | None = None,
) -> VersionChange:
    return VersionChange(Version.parse(version), title, frozenset(on), request, response)


def each(many: str, one: str, fn: Callable[[dict[str, Any]], None]) -> Change:
    """Return a change that applies `fn` to the resources of a document, one or a list."""

    def convert(doc: Document) -> Document:
        found = doc.get(many)
        if found is None and one in doc:
            found = [doc[one]]
        for item in found or ():
            fn(item)
        return doc

    return convert


def without(many: str, one: str, *names: str) -> Change:
    """Return a change that takes `names` from the resources of a document."""

    def drop(item: dict[str, Any]) -> None:
        for name in names:
            item.pop(name, None)

    return each(many, one, drop)


def _no_server_fields(*names: str) -> Change:
    return without("servers", "server", *names)


EXT = "OS-EXT-SRV-ATTR:"


def _flavor_by_link(item: dict[str, Any]) -> None:
    flavor = item.get("flavor")
    if not flavor or "original_name" not in flavor:
        return
    id_ = older_of(flavor)["id"]
    root = item["links"][1]["href"].split("/servers/")[0]
    item["flavor"] = {
        "id": id_,
        "links": [{"rel": "bookmark", "href": f"{root}/flavors/{id_}"}],
    }


def _swap_as_text(item: dict[str, Any]) -> None:
    if "swap" in item:
        item["swap"] = item["swap"] or ""


def _update_as_once(item: dict[str, Any]) -> None:
    """Take what only GET showed from the answer to PUT."""
    for name in list(item):
        if name.startswith(("OS-EXT-", "OS-SRV-USG:", "os-extended-volumes:")):
            del item[name]
    for name in ("config_drive", "key_name", "security_groups", "host_status"):
        item.pop(name, None)
    for listed in item.get("addresses", {}).values():
        for address in listed:
            address.pop("OS-EXT-IPS:type", None)
            address.pop("OS-EXT-IPS-MAC:mac_addr", None)


def _rebuilt_as_once(item: dict[str, Any]) -> None:
    if "adminPass" in item:
        key_name = item.get("key_name")
        _update_as_once(item)
        item["key_name"] = key_name


def _rebuilt_without(name: str) -> Callable[[dict[str, Any]], None]:
    def drop(item: dict[str, Any]) -> None:
        if "adminPass" in item:
            item.pop(name, None)

    return drop


def _older(root: str, *names: str) -> Change:
    """Return a change that shows `names` as older versions did."""

    def convert(doc: Document) -> Document:
        shown = doc.get(root, doc)
        kept = older_of(shown)
        shown.update({name: kept[name] for name in names if name in kept})
        return doc

    return convert


RETIRED = ("fixed_ips", "floating_ips", "security_groups", "security_group_rules")
INJECTED = ("injected_files", "injected_file_content_bytes", "injected_file_path_bytes")
RETIRED_LIMITS = (
    "maxTotalFloatingIps",
    "maxSecurityGroups",
    "maxSecurityGroupRules",
    "totalFloatingIpsUsed",
    "totalSecurityGroupsUsed",
)


def _absolute(*names: str) -> Change:
    convert = _older("absolute", *names)

    def inside(doc: Document) -> Document:
        convert(doc["limits"])
        return doc

    return inside


def _events_without(*names: str) -> Callable[[dict[str, Any]], None]:
    def drop(action: dict[str, Any]) -> None:
        for event in action.get("events", ()):
            for name in names:
                event.pop(name, None)

    return drop


def _image_without_properties(item: dict[str, Any]) -> None:
    if isinstance(item.get("image"), dict):
        item["image"].pop("properties", None)


def _networks_optional(doc: Document) -> Document:
    server = doc.get("server")
    if isinstance(server, dict) and isinstance(server.setdefault("networks", []), str):
        raise BadRequest(
            "Invalid input for field/attribute networks. It is a list.", field="networks"
        )
    return doc


def _cpu_info_as_text(item: dict[str, Any]) -> None:
    import msgspec

    if isinstance(item.get("cpu_info"), dict):
        item["cpu_info"] = msgspec.json.encode(item["cpu_info"]).decode()


def _policies_list(doc: Document) -> Document:
    group = doc.get("server_group")
    if isinstance(group, dict) and "policies" in group:
        policies = group.pop("policies")
        if isinstance(policies, list) and len(policies) == 1:
            group["policy"] = policies[0]
        else:
            group["policy"] = ""
    return doc


def _policy_as_list(item: dict[str, Any]) -> None:
    item["policies"] = [item.pop("policy")]
    item.pop("rules", None)
    item["metadata"] = {}


def _numeric_ids(item: dict[str, Any]) -> None:
    item["id"] = older_of(item).get("id", item["id"])
    service = item.get("service")
    if isinstance(service, dict):
        service["id"] = older_of(service).get("id", service["id"])
    item.pop("servers", None)


def _no_empty_servers(item: dict[str, Any]) -> None:
    if not item.get("servers", True):
        del item["servers"]


def _without_types(doc: Document) -> Document:
    for keypair in [doc, *doc.get("keypairs", ())]:
        if isinstance(keypair.get("keypair"), dict):
            keypair["keypair"].pop("type", None)
    return doc


S, K, F, H, M = "server", "keypair", "flavor", "hypervisor", "migration"
SERVICE, GROUP, ACTION, QUOTA, AGGREGATE = "service", "group", "action", "quota", "aggregate"

CHANGES = [
    _change("2.2", "Keypair types", K, response=_without_types),
    _change(
        "2.3",
        "Extended attributes",
        S,
        response=_no_server_fields(
            *(
                EXT + name
                for name in (
                    "hostname",
                    "reservation_id",
                    "launch_index",
                    "kernel_id",
                    "ramdisk_id",
                    "root_device_name",
                    "user_data",
                )
            )
        ),
    ),
    _change("2.9", "Locked", S, response=_no_server_fields("locked")),
    _change("2.11", "Forced down", SERVICE, response=without("services", "service", "forced_down")),
    _change(
        "2.13",
        "Owners of server groups",
        GROUP,
        response=without("server_groups", "server_group", "project_id", "user_id"),
    ),
    _change("2.16", "Host status", S, response=_no_server_fields("host_status")),
    _change("2.19", "Description", S, response=_no_server_fields("description")),
    _change(
        "2.23",
        "Kinds of migrations",
        M,
        response=without("migrations", "migration", "migration_type", "links"),
    ),
    _change(
        "2.59", "Migrations have uuids", M, response=without("migrations", "migration", "uuid")
    ),
    _change(
        "2.80",
        "Owners of migrations",
        M,
        response=without("migrations", "migration", "user_id", "project_id"),
    ),
    _change(
        "2.70",
        "Tags of interfaces",
        "interface",
        response=without("interfaceAttachments", "interfaceAttachment", "tag"),
    ),
    _change("2.26", "Tags", S, response=_no_server_fields("tags")),
    _change(
        "2.28",
        "CPU info as an object",
        H,
        response=each("hypervisors", "hypervisor", _cpu_info_as_text),
    ),
    _change("2.36", "Proxies are gone", QUOTA, response=_older("quota_set", *RETIRED)),
    _change("2.36", "Proxies are gone", "limits", response=_absolute(*RETIRED_LIMITS)),
    _change("2.39", "Image metadata is glance's", "limits", response=_absolute("maxImageMeta")),
    _change("2.50", "Quota classes", "quota_class", response=_older("quota_class_set", *RETIRED)),
    _change("2.57", "No file injection", QUOTA, response=_older("quota_set", *INJECTED)),
    _change(
        "2.57", "No file injection", "quota_class", response=_older("quota_class_set", *INJECTED)
    ),
    _change(
        "2.57",
        "No file injection",
        "limits",
        response=_absolute("maxPersonality", "maxPersonalitySize"),
    ),
    _change("2.75", "Flavors swap", F, response=each("flavors", "flavor", _swap_as_text)),
    _change("2.75", "Whole servers", "server_update", response=each("", "server", _update_as_once)),
    _change(
        "2.75", "Whole servers", "server_rebuild", response=each("", "server", _rebuilt_as_once)
    ),
    _change(
        "2.57",
        "Rebuild with user data",
        "server_rebuild",
        response=each("", "server", _rebuilt_without("user_data")),
    ),
    _change(
        "2.54",
        "Rebuild with a key",
        "server_rebuild",
        response=each("", "server", _rebuilt_without("key_name")),
    ),
    _change(
        "2.75",
        "Empty lists of servers",
        H,
        response=each("hypervisors", "hypervisor", _no_empty_servers),
    ),
    _change("2.37", "Networks auto and none", "server_create", request=_networks_optional),
    _change(
        "2.41",
        "Aggregates have uuids",
        AGGREGATE,
        response=without("aggregates", "aggregate", "uuid"),
    ),
    _change("2.47", "Embedded flavor", S, response=each("servers", "server", _flavor_by_link)),
    _change(
        "2.51",
        "Action update times",
        ACTION,
        response=without("instanceActions", "instanceAction", "updated_at"),
    ),
    _change(
        "2.53",
        "Hypervisors and services have uuids",
        H,
        response=each("hypervisors", "hypervisor", _numeric_ids),
    ),
    _change(
        "2.53",
        "Hypervisors and services have uuids",
        SERVICE,
        response=each("services", "service", _numeric_ids),
    ),
    _change("2.55", "Flavor descriptions", F, response=without("flavors", "flavor", "description")),
    _change(
        "2.61", "Extra specs in flavors", F, response=without("flavors", "flavor", "extra_specs")
    ),
    _change(
        "2.62",
        "Hosts in action events",
        ACTION,
        response=each(
            "",
            "instanceAction",
            _events_without("host", "hostId"),
        ),
    ),
    _change(
        "2.63",
        "Trusted image certificates",
        S,
        response=_no_server_fields("trusted_image_certificates"),
    ),
    _change(
        "2.64",
        "Server group policy",
        GROUP,
        request=_policies_list,
        response=each("server_groups", "server_group", _policy_as_list),
    ),
    _change(
        "2.71",
        "Server groups of a server",
        "server_show",
        response=_no_server_fields("server_groups"),
    ),
    _change("2.73", "Reason of a lock", S, response=_no_server_fields("locked_reason")),
    _change(
        "2.84",
        "Details of events",
        ACTION,
        response=each("", "instanceAction", _events_without("details")),
    ),
    _change("2.96", "Pinned zone", S, response=_no_server_fields("pinned_availability_zone")),
    _change(
        "2.98",
        "Image properties",
        S,
        response=each("servers", "server", _image_without_properties),
    ),
    _change("2.100", "Scheduler hints", S, response=_no_server_fields("scheduler_hints")),
]

VERSIONS = Versions("compute", "2.1", "2.104", CHANGES, "x-openstack-nova-api-version")
