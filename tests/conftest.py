"""Which tests run side by side, when two processes share them (`aerostat test`).

Those with real hosts share the machine's namespaces, ports and libvirtd: one process has them, from
the first to the last. The other one has whatever is left, test by test, and gives way to it.
"""

import os
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

MACHINE = "tests/node/"
NICENESS = 5

_began = pytest.StashKey[bool]()


class Sharing(LoadScopeScheduling):
    """Gives out what needs the machine as one piece, and first: the largest one is."""

    def _split_scope(self, nodeid: str) -> str:
        return MACHINE if nodeid.startswith(MACHINE) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Sharing:
    return Sharing(config, log)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Real hosts have deadlines; a process that does not begin with them has time."""
    if "PYTEST_XDIST_WORKER" in os.environ and not item.session.stash.get(_began, False):
        item.session.stash[_began] = True
        if not item.nodeid.startswith(MACHINE):
            os.nice(NICENESS)
