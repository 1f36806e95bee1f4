"""The transactions of the image service, by name: what a glance-api may ask of a glance-registry.

Nothing else runs there, and what they are called with is decoded as their signatures say.
"""

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

import msgspec

from aerostat.kit.errors import BadRequest
from aerostat.services.glance.db import cached, garbage, images, members, metadefs, tasks, usage
from aerostat.services.glance.domain import changes, leases, uploads
from aerostat.services.glance.domain import images as image_verbs
from aerostat.services.glance.domain import members as member_verbs
from aerostat.services.glance.domain import metadefs as metadef_verbs

ROOT = "aerostat.services.glance."


class Transaction:
    """A transaction function with the types of its arguments and its result."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn, self.name = fn, name_of(fn)
        hints, known = get_type_hints(fn), inspect.signature(fn).parameters
        fields: list[Any] = [
            (name, hints[name])
            if known[name].default is inspect.Parameter.empty
            else (name, hints[name], known[name].default)
            for name in list(known)[1:]
        ]
        self._arguments = msgspec.defstruct(self.name.replace(".", "_"), fields, array_like=True)
        self._result = hints["return"]

    def arguments(self, raw: bytes) -> tuple[Any, ...]:
        """Return what it is called with. Raises: BadRequest (it does not fit)."""
        try:
            return msgspec.structs.astuple(msgspec.msgpack.decode(raw, type=self._arguments))
        except msgspec.MsgspecError as why:
            raise BadRequest(f"{self.name}: {why}") from why

    def result(self, raw: bytes) -> Any:
        """Return what it returned."""
        return msgspec.msgpack.decode(raw, type=self._result)


def name_of(fn: Callable[..., Any]) -> str:
    """Return the name that a transaction function goes by, db.images.get for instance."""
    return f"{fn.__module__.removeprefix(ROOT)}.{fn.__qualname__}"


def _named(*functions: Callable[..., Any]) -> dict[str, Transaction]:
    return {one.name: one for one in map(Transaction, functions)}


READS = _named(
    *(images.find, images.get, images.known, images.listed, images.missing, images.outlines),
    *(images.owned, images.whole),
    *(image_verbs.see, changes.held, leases.staged, usage.counted),
    *(cached.nodes, garbage.due, garbage.of_image, tasks.find, tasks.listed),
    *(members.of_image, member_verbs.find),
    *(metadefs.listed, metadefs.items, metadefs.associated, metadefs.associations),
    *(metadef_verbs.find, metadef_verbs.find_item),
)
WRITES = _named(
    *(changes.commit, changes.create, changes.remove, images.beat, uploads.announce),
    *(leases.ending, leases.release, leases.take_over, leases.unstage),
    *(cached.tell, garbage.remove, tasks.add, tasks.change),
    *(member_verbs.insert, member_verbs.write_status, member_verbs.drop),
    *(metadefs.remove, metadefs.remove_items, metadef_verbs.insert, metadef_verbs.save),
    *(metadef_verbs.insert_item, metadef_verbs.write_items, metadef_verbs.save_item),
)
