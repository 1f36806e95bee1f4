"""A new release beside the one before, over one database and one RabbitMQ: no call fails.

The release before is the commit before the last change to a schema or to the bus.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_cluster import Strict
from tests.cluster import Cluster, running
from tests.comers import Comers
from tests.folders import open_folder

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]
ROOT = Path(__file__).resolve().parents[2]
WHAT_MATTERS = (":(glob)src/aerostat/services/*/db/migrations/*.py", "src/aerostat/kit/bus")


def git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


@pytest.fixture(scope="module")
def before() -> Iterator[Path]:
    """The sources of the release before."""
    changed = git("log", "-1", "--format=%H", "--", *WHAT_MATTERS)
    commit = git("rev-parse", "--verify", "--quiet", f"{changed}^") if changed else ""
    if not commit:
        pytest.skip("the history is too shallow to have a release before this one")
    packed = subprocess.run(
        ["git", "archive", commit, "src"], cwd=ROOT, capture_output=True, check=True
    )
    with open_folder("before") as folder:
        subprocess.run(["tar", "-x", "-C", str(folder)], input=packed.stdout, check=True)
        yield folder / "src"


@pytest.fixture(params=["postgresql", "mariadb"])
def cluster(request: Any, before: Path) -> Iterator[Cluster]:
    with running(lambda folder: Cluster(folder, request.param, source=before)) as made:
        yield made


def statuses(cluster: Cluster, made: list[str]) -> set[str]:
    found = cluster.admin().list("compute", "servers", "/servers/detail")
    return {s["status"] for s in found if s["id"] in made}


def test_the_release_before_is_replaced_copy_by_copy(cluster: Cluster) -> None:
    strict = Strict(Comers(cluster.admin()), pause_s=0.1)
    strict.start()
    cluster.source = None
    cluster.run("db", "migrate")
    for name in ("api-0", "engine-0", "node-0", "api-1", "engine-1"):
        cluster.stop(name)
        cluster.spawn(name)
        cluster.wait(lambda name=name: cluster.healthy(name))  # type: ignore[misc]
        seen = len(strict.made)
        cluster.wait(lambda seen=seen: len(strict.made) > seen + 2)  # type: ignore[misc]
    strict.over.set()
    strict.join(60)
    assert not strict.failures, strict.failures
    cluster.run("db", "migrate", "--contract")
    cluster.wait(lambda: "BUILD" not in statuses(cluster, strict.made))
    assert statuses(cluster, strict.made) == {"ACTIVE"}
