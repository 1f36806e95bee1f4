"""Bodies of /servers/{id}/action. Source: compute api-ref, "Servers - run an action"."""

from typing import Annotated

from msgspec import Meta, field

from aerostat.kit.http.schema import Body, since, until

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
