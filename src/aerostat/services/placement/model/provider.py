"""Providers, inventories and what is asked of them; pure."""

from msgspec import Struct

from aerostat.kit.errors import BadRequest, Conflict

MAX_INT = 0x7FFFFFFF


class Provider(Struct, frozen=True):
    """A resource provider. `id` is the row's own; the API knows `uuid` only."""

    id: int
    uuid: str
    name: str
    generation: int
    parent_uuid: str | None
    root_uuid: str


class Inventory(Struct, frozen=True):
    """What a provider has of one class. Capacity is (total - reserved) * allocation_ratio."""

    total: int
    reserved: int = 0
    min_unit: int = 1
    max_unit: int = MAX_INT
    step_size: int = 1
    allocation_ratio: float = 1.0

    @property
    def capacity(self) -> int:
        return int((self.total - self.reserved) * self.allocation_ratio)


def check_fits(name: str, inventory: Inventory | None, used: int, amount: int, who: str) -> None:
    """Raises: BadRequest (no such inventory), Conflict (no room, or not a unit it deals in)."""
    if inventory is None:
        raise BadRequest(f"No inventory of {name} on resource provider {who}.", field=name)
    if (
        amount < inventory.min_unit
        or amount > inventory.max_unit
        or amount % inventory.step_size
        or used + amount > inventory.capacity
    ):
        raise Conflict(
            f"Unable to allocate inventory: {amount} {name} on resource provider {who}: "
            f"{used} of {inventory.capacity} are used (min_unit {inventory.min_unit}, "
            f"max_unit {inventory.max_unit}, step_size {inventory.step_size})."
        )


class CandidateQuery(Struct, frozen=True):
    """What GET /allocation_candidates and ?resources= of the provider list ask.

    `required` and `member_of`: all of these groups, of each group any. `amounts` by class.
    """

    amounts: dict[str, int] = {}
    required: list[list[str]] = []
    forbidden: list[str] = []
    member_of: list[list[str]] = []
    not_member_of: list[str] = []
    in_tree: str | None = None
    limit: int | None = None
