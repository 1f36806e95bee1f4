"""Which tests may run side by side, when two processes share them (`aerostat test`).

Those with real hosts share the machine's namespaces, ports and libvirtd: they are one group, which
one process has from the first to the last. The other process gives way to it.
"""

import os
from pathlib import Path

import pytest

MACHINE = Path(__file__).parent / "node"
NICENESS = 10

_began = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(MACHINE):
            item.add_marker(pytest.mark.xdist_group("machine"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Real hosts have deadlines; a process that does not begin with them has time."""
    if "PYTEST_XDIST_WORKER" in os.environ and not item.session.stash.get(_began, False):
        item.session.stash[_began] = True
        if item.get_closest_marker("xdist_group") is None:
            os.nice(NICENESS)
