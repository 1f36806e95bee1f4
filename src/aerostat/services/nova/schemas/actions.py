"""Bodies of /servers/{id}/action. Source: compute api-ref, "Servers - run an action"."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType, field

from aerostat.kit.http.schema import Body, since, until
from aerostat.services.nova.schemas.servers import Metadata, Name, Tag, Uuid

HostName = Annotated[str, Meta(min_length=1, max_length=255)]


class Resize(Body):
    """resize."""

    flavor: str | int = field(name="flavorRef")
    disk_config: str | None = field(name="OS-DCF:diskConfig", default=None)


class Migrate(Body):
    """migrate."""

    host: Annotated[HostName | None, since("2.56")] = None


class MigrateLive(Body):
    """os-migrateLive."""

    host: HostName | None
    block_migration: bool | str
    disk_over_commit: Annotated[bool | str, until("2.24")] = False
    force: Annotated[bool | str, since("2.30"), until("2.67")] = False


class Evacuate(Body):
    """evacuate."""

    host: HostName | None = None
    admin_pass: str | None = field(name="adminPass", default=None)
    on_shared_storage: Annotated[bool | str | None, until("2.13")] = field(
        name="onSharedStorage", default=None
    )
    force: Annotated[bool | str, since("2.29"), until("2.67")] = False


class CreateImage(Body):
    """createImage."""

    name: Name
    metadata: Metadata = {}


class CreateBackup(Body):
    """createBackup."""

    name: Name
    backup_type: str
    rotation: int | str
    metadata: Metadata = {}


class Rescue(Body):
    """rescue."""

    admin_pass: str | None = field(name="adminPass", default=None)
    image: str | None = field(name="rescue_image_ref", default=None)


class ChangePassword(Body):
    """changePassword."""

    admin_pass: str = field(name="adminPass")


class Unshelve(Body):
    """unshelve."""

    zone: Annotated[str | UnsetType | None, since("2.77")] = field(
        name="availability_zone", default=UNSET
    )
    host: Annotated[HostName | None, since("2.91")] = None


class FixedIp(Body):
    """An address of an interface to attach."""

    ip_address: str


class InterfaceAttachment(Body):
    """What POST /servers/{id}/os-interface plugs."""

    net_id: Uuid | None = None
    port_id: Uuid | None = None
    fixed_ips: Annotated[list[FixedIp], Meta(min_length=1, max_length=1)] | None = None
    tag: Annotated[Tag | None, since("2.49")] = None


class InterfaceBody(Body):
    """The whole body of POST /servers/{id}/os-interface."""

    attachment: InterfaceAttachment = field(
        name="interfaceAttachment", default_factory=InterfaceAttachment
    )
