"""How a saga is declared: steps in file order, each with its undo.

saga = Saga("server_create", Params)

@saga.step
async def claim(nova: Nova, run: Run[Params]) -> str: ...      # may run twice, safely

@claim.undo
async def release(nova: Nova, run: Run[Params]) -> None: ...   # tolerates absence

@claim.record
def host(tx: Tx, run: Run[Params], found: str) -> None: ...    # same commit as the log entry

@saga.succeeded / @saga.failed: transaction functions, in the commit that ends the saga.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar, get_type_hints

import msgspec

from aerostat.kit.context import Context
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Fault

P = TypeVar("P")
R = TypeVar("R")


class Event(msgspec.Struct):
    """One step as it went. Times: seconds since the epoch. `result`: Success, Error or None."""

    name: str
    started_at: float
    finished_at: float | None = None
    result: str | None = None
    message: str | None = None
    undo: bool = False


class Log(msgspec.Struct):
    """What a saga has done: results by step, steps undone, and every event."""

    results: dict[str, Any] = {}
    undone: list[str] = []
    events: list[Event] = []


class Run(Generic[P]):
    """One saga under way: its parameters, the identity behind it, and results so far.

    `ends`: its deadline, in seconds since the epoch, as `began`: when it was asked for.
    """

    def __init__(
        self, key: str, p: P, ctx: Context, log: Log, *, began: float, ends: float
    ) -> None:
        self.key, self.p, self.ctx, self.log = key, p, ctx, log
        self._began, self.ends = began, ends

    @property
    def now(self) -> float:
        """When its last step ended, or began; when it was asked for if there was none.

        For records, which have no clock. Seconds since the epoch.
        """
        return max((e.finished_at or e.started_at for e in self.log.events), default=self._began)

    def __getitem__(self, step: "Step[P, R]") -> R:
        """Return the result of a finished step."""
        result: R = msgspec.convert(self.log.results[step.name], step.result_type)
        return result

    def get(self, step: "Step[P, R]") -> R | None:
        """Return the result of a step, None if it has not finished (in an undo)."""
        return self[step] if step.name in self.log.results else None


Action = Callable[[Any, Run[P]], Awaitable[R]]
Undo = Callable[[Any, Run[P]], Awaitable[None]]
Record = Callable[[Tx, Run[P], R], None]


class Step(Generic[P, R]):
    """A step: an action that may run twice, maybe an undo and a record."""

    def __init__(self, fn: Action[P, R]) -> None:
        self.fn, self.name = fn, fn.__name__
        self.undo_fn: Undo[P] | None = None
        self.record_fn: Record[P, R] | None = None
        self._result_type: Any = None

    @property
    def result_type(self) -> Any:
        """The declared type of the result."""
        if self._result_type is None:
            self._result_type = get_type_hints(self.fn).get("return", Any)
        return self._result_type

    def undo(self, fn: Undo[P]) -> Undo[P]:
        """Declare what takes the step back, whether it finished, failed or did half."""
        self.undo_fn = fn
        return fn

    def record(self, fn: Record[P, R]) -> Record[P, R]:
        """Declare what the same commit as the step's log entry also writes."""
        self.record_fn = fn
        return fn


class Saga(Generic[P]):
    """A durable operation."""

    def __init__(self, name: str, params: type[P]) -> None:
        self.name, self.params = name, params
        self.steps: list[Step[P, Any]] = []
        self.succeeded_fn: Callable[[Tx, Run[P]], None] | None = None
        self.failed_fn: Callable[[Tx, Run[P], Fault], None] | None = None

    def step(self, fn: Action[P, R]) -> Step[P, R]:
        """Declare the next step."""
        step: Step[P, R] = Step(fn)
        self.steps.append(step)
        return step

    def succeeded(self, fn: Callable[[Tx, Run[P]], None]) -> Callable[[Tx, Run[P]], None]:
        """Declare what the last commit writes when every step is done."""
        self.succeeded_fn = fn
        return fn

    def failed(
        self, fn: Callable[[Tx, Run[P], Fault], None]
    ) -> Callable[[Tx, Run[P], Fault], None]:
        """Declare what the last commit writes when everything is undone."""
        self.failed_fn = fn
        return fn
