"""What a saga that failed leaves of its server."""

from typing import Any

from aerostat.kit.clock import iso
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Fault, NoValidHost
from aerostat.kit.saga.saga import Run
from aerostat.services.nova.db import servers as rows


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
