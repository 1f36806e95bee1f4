"""A glance-api that does not reach the database: what it may ask of a glance-registry.

That all of the API works through it is in conftest.py: most of glance's tests run both ways.
"""

import ast
import asyncio
import importlib
from pathlib import Path

import glance_cloud
import msgspec
import pytest
from glance_cloud import cloud_in

from aerostat.assembly.buses import FOR_NODES
from aerostat.contracts.image import registry
from aerostat.kit.errors import BadRequest, NotFound
from aerostat.services import glance
from aerostat.services.glance.db import images
from aerostat.services.glance.registry import RegistryDatabase, RegistryProvider
from aerostat.services.glance.transactions import READS, WRITES, name_of


async def test_only_known_transactions_run(tmp_path: Path) -> None:
    async with cloud_in(tmp_path) as cloud:
        provider = RegistryProvider(cloud.glance.db)
        nothing, no_id = msgspec.msgpack.encode([]), msgspec.msgpack.encode(["no such image"])
        for name in ("kit.db.engine.Tx", "db.images.save", "builtins.print", ""):
            with pytest.raises(BadRequest):
                await provider.write(name=name, arguments=nothing)
        with pytest.raises(BadRequest):
            await provider.read(name="db.garbage.remove", arguments=nothing)
        for wrong in (nothing, b"", msgspec.msgpack.encode([5])):
            with pytest.raises(BadRequest):
                await provider.read(name="db.images.get", arguments=wrong)
        with pytest.raises(NotFound):
            await provider.read(name="db.images.get", arguments=no_id)


def test_nodes_have_no_business_with_it() -> None:
    assert registry.name not in FOR_NODES


async def test_it_is_what_the_api_uses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glance_cloud, "DATA_API", "registry")
    async with cloud_in(tmp_path) as cloud:
        assert isinstance(cloud.glance.db, RegistryDatabase)
        with pytest.raises(KeyError):
            await cloud.glance.db.write(images.remove, None, 0.0)
        made = await cloud.image()
        asked = [cloud.ask("PUT", f"{made['self']}/tags/t{n}") for n in range(20)]
        assert {reply.status_code for reply in await asyncio.gather(*asked)} == {204}
        assert len((await cloud.show(made["id"]))["tags"]) == 20


def test_every_transaction_has_a_name() -> None:
    """Whatever glance gives to `db.read` and `db.write` is one of those that a registry runs."""
    root, asked = Path(str(glance.__file__)).parent, 0
    for path in sorted(root.rglob("*.py")):
        tree = ast.parse(path.read_text())
        dotted = ".".join(
            ("aerostat.services.glance", *path.relative_to(root).with_suffix("").parts)
        )
        for call in ast.walk(tree):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
                continue
            if call.func.attr not in ("read", "write") or "lance.db." not in ast.unparse(call.func):
                continue
            known = {"read": READS, "write": WRITES}[call.func.attr]
            module = importlib.import_module(dotted)
            named = ast.unparse(call.args[0]).split(".")
            fn = (
                getattr(module, named[0])
                if len(named) == 1
                else getattr(getattr(module, named[0]), named[1])
            )
            assert name_of(fn) in known, f"{path}:{call.lineno}"
            asked += 1
    assert asked > 40
