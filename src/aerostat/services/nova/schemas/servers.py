"""Bodies of /servers. Source: compute api-ref, "Servers"."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType, field

from aerostat.kit.http.schema import Body, since, until

Name = Annotated[str, Meta(min_length=1, max_length=255)]
MetadataValue = Annotated[str, Meta(max_length=255)]
Metadata = dict[Annotated[str, Meta(min_length=1, max_length=255)], MetadataValue]
Tag = Annotated[str, Meta(min_length=1, max_length=60, pattern="^[^,/]*$")]
Tags = Annotated[list[Tag], Meta(max_length=50)]
Uuid = Annotated[
    str, Meta(pattern="^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$", max_length=36)
]


class NetworkBody(Body):
    """One NIC of POST /servers."""

    uuid: Uuid | None = None
    port: Uuid | None = None
    fixed_ip: str | None = None
    tag: Annotated[Tag | None, since("2.32")] = None


class SecurityGroupBody(Body):
    """A security group by name or id."""

    name: Name


class PersonalityBody(Body):
    """A file to put into the guest, in base64."""

    path: str
    contents: str


class ServerCreate(Body, kw_only=True):
    """POST /servers."""

    name: Name
    flavor: str | int = field(name="flavorRef")
    image: str | None = field(name="imageRef", default=None)
    networks: list[NetworkBody] | str
    key_name: str | None = None
    user_data: str | None = None
    metadata: Metadata = {}
    personality: Annotated[list[PersonalityBody] | None, until("2.56")] = None
    config_drive: bool | str | None = None
    security_groups: list[SecurityGroupBody] = []
    availability_zone: str | None = None
    min_count: int | str = 1
    max_count: int | str | None = None
    return_reservation_id: bool | str = False
    admin_pass: str | None = field(name="adminPass", default=None)
    access_ip_v4: str | None = field(name="accessIPv4", default=None)
    access_ip_v6: str | None = field(name="accessIPv6", default=None)
    disk_config: str | None = field(name="OS-DCF:diskConfig", default=None)
    block_device_mapping: list[dict[str, Any]] | None = None
    block_device_mapping_v2: list[dict[str, Any]] | None = None
    description: Annotated[Annotated[str, Meta(max_length=255)] | None, since("2.19")] = None
    tags: Annotated[Tags | None, since("2.52")] = None
    trusted_image_certificates: Annotated[list[str] | None, since("2.63")] = None
    host: Annotated[str | None, since("2.74")] = None
    hypervisor_hostname: Annotated[str | None, since("2.74")] = None
    hostname: Annotated[str | None, since("2.90")] = None


class ServerCreateBody(Body, kw_only=True):
    """The whole body of POST /servers."""

    server: ServerCreate
    hints: dict[str, Any] | None = field(name="os:scheduler_hints", default=None)
    hints_alias: dict[str, Any] | None = field(name="OS-SCH-HNT:scheduler_hints", default=None)


class ServerUpdate(Body):
    """PUT /servers/{id}."""

    name: Name | None = None
    access_ip_v4: str | None = field(name="accessIPv4", default=None)
    access_ip_v6: str | None = field(name="accessIPv6", default=None)
    disk_config: str | None = field(name="OS-DCF:diskConfig", default=None)
    description: Annotated[Annotated[str, Meta(max_length=255)] | None, since("2.19")] = None
    hostname: Annotated[str | None, since("2.90")] = None
    pinned_zone: Annotated[str | UnsetType | None, since("2.104")] = field(
        name="pinned_availability_zone", default=UNSET
    )


class ServerUpdateBody(Body):
    """The whole body of PUT /servers/{id}."""

    server: ServerUpdate


class ServerRebuild(Body, kw_only=True):
    """The rebuild action."""

    image: str = field(name="imageRef")
    name: Name | None = None
    metadata: Metadata | None = None
    admin_pass: str | None = field(name="adminPass", default=None)
    access_ip_v4: str | None = field(name="accessIPv4", default=None)
    access_ip_v6: str | None = field(name="accessIPv6", default=None)
    disk_config: str | None = field(name="OS-DCF:diskConfig", default=None)
    preserve_ephemeral: bool | str = False
    personality: Annotated[list[PersonalityBody] | None, until("2.56")] = None
    description: Annotated[Annotated[str, Meta(max_length=255)] | None, since("2.19")] = None
    key_name: Annotated[str | UnsetType | None, since("2.54")] = UNSET
    user_data: Annotated[str | UnsetType | None, since("2.57")] = UNSET
    trusted_image_certificates: Annotated[list[str] | None, since("2.63")] = None
    hostname: Annotated[str | None, since("2.90")] = None


class MetadataBody(Body):
    """PUT and POST /servers/{id}/metadata."""

    metadata: Metadata


class MetaBody(Body):
    """PUT /servers/{id}/metadata/{key}."""

    meta: Annotated[Metadata, Meta(min_length=1, max_length=1)]


class TagsBody(Body):
    """PUT /servers/{id}/tags."""

    tags: Tags


class ConsoleBody(Body):
    """One console request."""

    protocol: str
    type: str


class RemoteConsole(Body):
    """POST /servers/{id}/remote-consoles."""

    remote_console: ConsoleBody
