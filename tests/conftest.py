"""Which tests run side by side, when two processes share them (`aerostat test`).

Those with real hosts share the machine's namespaces, ports and libvirtd: one process has them, from
the first to the last. The other one has the rest, file by file, and gives way to it.
"""

import os
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

MACHINE = "tests/node/"
NICENESS = 5

_began = pytest.StashKey[bool]()


class Sharing(LoadScopeScheduling):
    """Gives out what needs the machine as one piece, and files as they come."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return MACHINE if _real(nodeid) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Sharing:
    return Sharing(config, log)


def _real(nodeid: str) -> bool:
    return nodeid.startswith(MACHINE)


def _shared() -> bool:
    return "PYTEST_XDIST_WORKER" in os.environ


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest goes first."""
    if _shared():
        items.sort(key=lambda item: not _real(item.nodeid))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Real hosts have deadlines; a process that does not begin with them has time."""
    if _shared() and not item.session.stash.get(_began, False):
        item.session.stash[_began] = True
        if not _real(item.nodeid):
            os.nice(NICENESS)
