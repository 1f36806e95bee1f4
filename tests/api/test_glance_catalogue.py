"""The catalogue of metadata definitions, from and to files: upstream's, and some of our own."""

import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from glance_cloud import Cloud, cloud_in

from aerostat.kit.errors import BadRequest
from aerostat.services.glance import catalogue
from aerostat.services.glance.domain.metadefs import Merge

URL = "/v2/metadefs/namespaces"
BEFORE = {
    "namespace": "OS::A",
    "display_name": "A & B",
    "visibility": "public",
    "protected": True,
    "resource_type_associations": [{"name": "OS::Nova::Flavor", "prefix": "a_"}],
    "properties": {"one": {"title": "One", "type": "string"}},
    "objects": [{"name": "thing", "properties": {"x": {"title": "X", "type": "integer"}}}],
    "tags": [{"name": "t1"}],
}
AFTER = {
    **BEFORE,
    "display_name": "New",
    "properties": {
        "one": {"title": "Another", "type": "string"},
        "two": {"title": "Two", "type": "boolean"},
    },
    "tags": [{"name": "t2"}],
}


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    async with cloud_in(tmp_path / "cloud") as cloud:
        yield cloud


async def _load(cloud: Cloud, path: Path, how: Merge = Merge.SKIP) -> list[tuple[str, str]]:
    given = catalogue.files(path)
    return await catalogue.load(cloud.glance.db, given, how, cloud.glance.clock)


def _file(folder: Path, doc: Any) -> Path:
    path = folder / "a.json"
    path.write_text(json.dumps(doc))
    return path


async def _shown(cloud: Cloud) -> tuple[str, dict[str, str], list[str]]:
    found = (await cloud.ask("GET", f"{URL}/OS::A")).json()
    properties = {name: one["title"] for name, one in found["properties"].items()}
    return found["display_name"], properties, sorted(one["name"] for one in found["tags"])


@pytest.mark.parametrize(
    ("how", "word", "shown"),
    [
        (Merge.SKIP, "there already", ("A & B", {"one": "One"}, ["t1"])),
        (Merge.ADD, "merged", ("A & B", {"one": "One", "two": "Two"}, ["t1", "t2"])),
        (Merge.PREFER_NEW, "merged", ("New", {"one": "Another", "two": "Two"}, ["t1", "t2"])),
        (Merge.OVERWRITE, "overwritten", ("New", {"one": "Another", "two": "Two"}, ["t2"])),
    ],
)
async def test_what_is_there_already(
    cloud: Cloud, tmp_path: Path, how: Merge, word: str, shown: Any
) -> None:
    assert await _load(cloud, _file(tmp_path, BEFORE), how) == [("a.json", "loaded")]
    assert await _load(cloud, _file(tmp_path, AFTER), how) == [("a.json", word)]
    assert await _shown(cloud) == shown


async def test_files_that_are_wrong_are_left_out(cloud: Cloud, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    _file(folder, BEFORE)
    for name, text in (
        ("broken", "{"),
        ("list", "[]"),
        ("nameless", '{"display_name": "x"}'),
        ("strange", '{"namespace": "x", "properties": {"y": {"title": "Y"}}}'),
    ):
        (folder / f"{name}.json").write_text(text)
    (folder / "README").write_text("not JSON")
    done = dict(await _load(cloud, folder))
    assert done.pop("a.json") == "loaded"
    assert len(done) == 4 and all(what.startswith("wrong: ") for what in done.values())
    with pytest.raises(BadRequest):
        await _load(cloud, tmp_path / "nowhere")


async def test_out_and_in_again(cloud: Cloud, tmp_path: Path) -> None:
    await _load(cloud, _file(tmp_path, BEFORE))
    before = (await cloud.ask("GET", f"{URL}/OS::A")).json()
    out = tmp_path / "out"
    out.mkdir()
    assert await catalogue.export(cloud.glance.db, out) == ["AB.json"]
    assert await catalogue.unload(cloud.glance.db) == 1
    assert (await cloud.ask("GET", f"{URL}/OS::A")).status_code == 404
    assert await _load(cloud, out) == [("AB.json", "loaded")]
    after = (await cloud.ask("GET", f"{URL}/OS::A")).json()
    times = ("created_at", "updated_at")
    for doc in (before, after):
        for one in (doc, *doc["objects"], *doc["tags"], *doc["resource_type_associations"]):
            for name in times:
                del one[name]
    assert before == after


def test_options_that_clash() -> None:
    for wrong in (
        {"merge": False, "prefer_new": True, "overwrite": False},
        {"merge": False, "prefer_new": False, "overwrite": True},
        {"merge": True, "prefer_new": True, "overwrite": True},
    ):
        with pytest.raises(BadRequest):
            catalogue.mode(**wrong)


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Upstream's files, as Debian packs them."""
    folder = tmp_path_factory.mktemp("glance-common")
    words = ["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", "glance-common"]
    done = subprocess.run(words, cwd=folder, capture_output=True, timeout=60, check=False)
    packages = list(folder.glob("*.deb"))
    if done.returncode or not packages:
        pytest.skip("Debian's archive cannot be reached: apt-get download glance-common")
    subprocess.run(["dpkg", "-x", packages[0], folder / "x"], check=True, timeout=60)
    return folder / "x" / "usr" / "share" / "glance-common" / "metadefs"


def in_text(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a property as the API shows it, with a number as default in text."""
    default = schema.get("default")
    return {**schema, "default": str(default)} if type(default) is int else schema


async def test_the_standard_catalogue(cloud: Cloud, tmp_path: Path, upstream: Path) -> None:
    done = await _load(cloud, upstream)
    assert len(done) > 30 and {what for _, what in done} == {"loaded"}
    listed = (await cloud.ask("GET", f"{URL}?limit=200", "admin")).json()["namespaces"]
    assert len(listed) == len(done)
    for path in upstream.glob("*.json"):
        given = json.loads(path.read_text())
        shown = (await cloud.ask("GET", f"{URL}/{given['namespace']}", "admin")).json()
        assert shown["display_name"] == given["display_name"]
        for name, schema in given.get("properties", {}).items():
            assert shown["properties"][name] == in_text({**schema, "name": name})
        assert len(shown.get("objects", [])) == len(given.get("objects", []))
    assert {what for _, what in await _load(cloud, upstream)} == {"there already"}
    out = tmp_path / "out"
    out.mkdir()
    assert len(await catalogue.export(cloud.glance.db, out)) == len(done)
    assert {what for _, what in await _load(cloud, out, Merge.OVERWRITE)} == {"overwritten"}
