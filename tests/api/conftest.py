"""Runs the tests of glance's API twice: over a database, and over a registry that has one."""

import glance_cloud
import pytest

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
