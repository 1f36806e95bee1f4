"""What a saga that failed leaves of its server, and on a host that does not answer."""

from collections.abc import Awaitable
from typing import Any

from aerostat.kit.clock import iso
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Fault, NoValidHost
from aerostat.kit.log import Logger
from aerostat.kit.saga.saga import Run
from aerostat.services.nova.db import leftovers
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.model.guest import SILENT
from aerostat.services.nova.runtime import Nova

log = Logger("nova.sagas")


def fail(tx: Tx, run: Run[Any], why: Fault, **values: Any) -> None:
    """Let the server say why nothing is being done to it any more, and write `values` too.

    A server that is being deleted stays as it is, and so does one that is gone, which an operator
    can bring about by resetting the state of a server.
    """
    if not rows.is_going(tx, run.p.server_id):
        say_why(tx, run, why, **values)


def say_why(tx: Tx, run: Run[Any], why: Fault, **values: Any) -> None:
    """Write `values` and the fault, also if the server is being deleted."""
    fault = {
        "code": 500,
        "created": iso(run.now),
        "message": why.message[:255],
        "details": why.message if isinstance(why, NoValidHost) else why.detail,
    }
    rows.change(tx, run.p.server_id, run.now, task_state=None, fault=fault, **values)


async def undo_there(nova: Nova, run: Run[Any], host: str, work: Awaitable[None]) -> bool:
    """Wait for what undoes something on a host, but not for a host that does not answer.

    That is one whose hypervisor is silent, or whatever fails once the saga's time is up. The host
    is cleaned as soon as it answers again (domain.live.clean_up). Tells whether it was undone.

    Raises: Fault (it is to be tried again).
    """
    done = await try_there(nova, run, host, work)
    if not done:
        now, server_id = nova.clock.now(), run.p.server_id
        await nova.db.write(leftovers.leave, host, server_id, now)
    return done


async def try_there(nova: Nova, run: Run[Any], host: str, work: Awaitable[None]) -> bool:
    """Like `undo_there`, for what leaves nothing behind when it is not done."""
    try:
        await work
    except Fault as why:
        if why.code != SILENT and nova.clock.now() < run.ends:
            raise
        log.warning("host.not_undone", host=host, server_id=run.p.server_id, code=why.code)
        return False
    return True
