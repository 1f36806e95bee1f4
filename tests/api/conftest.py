"""Runs the tests of glance's API twice: over a database, and over a registry that has one.

Has the cloud that tests of keystone want if they do not say otherwise.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import glance_cloud
import pytest
from keystone_cloud import Cloud, cloud_at

BOTH = ("images", "data", "imports", "lists", "metadefs", "quotas", "stores")
"""The modules test_glance_* whose tests touch rows."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    name = metafunc.module.__name__.rpartition("test_glance_")[2]
    if name in BOTH:
        metafunc.fixturenames.insert(0, "data_api")
        metafunc.parametrize("data_api", ["sqlalchemy", "registry"], indirect=True)


@pytest.fixture
def data_api(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How the glance of the test reaches its rows."""
    monkeypatch.setattr(glance_cloud, "DATA_API", request.param)


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    """A keystone of the test's own; modules about something else have their own `cloud`."""
    async with cloud_at(tmp_path) as started:
        yield started
