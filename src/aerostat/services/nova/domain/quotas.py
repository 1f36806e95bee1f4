"""Limits of projects: defaults, overrides, and what is in use (counted, never stored).

Source: compute api-ref, "Quota sets".
"""

from sqlalchemy import delete, insert, select

from aerostat.kit.context import Context
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import QuotaExceeded
from aerostat.services.nova.db import groups, servers
from aerostat.services.nova.db import tables as t

DEFAULTS: dict[str, int] = {
    "instances": 10,
    "cores": 20,
    "ram": 51200,
    "metadata_items": 128,
    "injected_files": 5,
    "injected_file_content_bytes": 10240,
    "injected_file_path_bytes": 255,
    "key_pairs": 100,
    "server_groups": 10,
    "server_group_members": 10,
}
"""Upstream's defaults; -1 is no limit. `ram` is in MiB."""

CLASS_DEFAULT = "class:default"
C = t.quotas.c


def limits(tx: Tx, owner: str) -> dict[str, int]:
    """Return the limits of a project: its own, else the default class's, else the defaults."""
    found = dict(DEFAULTS)
    for name in (CLASS_DEFAULT, owner):
        rows = tx.all(select(C.resource, C.hard_limit).where(C.owner == name))
        found.update({row[0]: row[1] for row in rows})
    return found


def set_limits(tx: Tx, owner: str, wanted: dict[str, int]) -> None:
    """Override limits of a project or of the default class."""
    for resource, limit in wanted.items():
        tx.run(delete(t.quotas).where(C.owner == owner, C.resource == resource))
        tx.run(insert(t.quotas).values(owner=owner, resource=resource, hard_limit=limit))


def forget(tx: Tx, owner: str) -> None:
    """Drop the overrides of a project."""
    tx.run(delete(t.quotas).where(C.owner == owner))


def usage(tx: Tx, project_id: str) -> dict[str, int]:
    """Return what is in use of every resource that can be counted for a project."""
    used = dict.fromkeys(DEFAULTS, 0)
    used.update(servers.usage(tx, project_id))
    used["server_groups"] = groups.count(tx, project_id)
    return used


def check_servers(tx: Tx, ctx: Context, count: int, vcpus: int, ram_mib: int) -> int:
    """Return how many of `count` servers the project may have: all of them.

    Raises: QuotaExceeded, naming what is short.
    """
    found, used = limits(tx, ctx.project_id), servers.usage(tx, ctx.project_id)
    asked = {"instances": count, "cores": count * vcpus, "ram": count * ram_mib}
    over = [n for n, amount in asked.items() if 0 <= found[n] < used[n] + amount]
    if over:
        raise QuotaExceeded(
            f"Quota exceeded for {','.join(over)}: Requested "
            f"{', '.join(str(asked[n]) for n in over)}, but already used "
            f"{', '.join(str(used[n]) for n in over)} of "
            f"{', '.join(str(found[n]) for n in over)} {', '.join(over)}",
            field=over[0],
        )
    return count


def check_growth(tx: Tx, project_id: str, vcpus: int, ram_mib: int) -> None:
    """Raises: QuotaExceeded when a project may not have so many cores or MiB more."""
    found, used = limits(tx, project_id), servers.usage(tx, project_id)
    asked = {"cores": vcpus, "ram": ram_mib}
    over = [n for n, more in asked.items() if more > 0 and 0 <= found[n] < used[n] + more]
    if over:
        raise QuotaExceeded(
            f"Quota exceeded for {','.join(over)}: Requested "
            f"{', '.join(str(asked[n]) for n in over)}, but already used "
            f"{', '.join(str(used[n]) for n in over)} of "
            f"{', '.join(str(found[n]) for n in over)} {', '.join(over)}",
            field=over[0],
        )


def check_items(tx: Tx, ctx: Context, resource: str, count: int) -> None:
    """Raises: QuotaExceeded when `count` items are more than the project's limit."""
    limit = limits(tx, ctx.project_id)[resource]
    if 0 <= limit < count:
        raise QuotaExceeded(f"Maximum number of {resource} exceeded", field=resource)
