"""One seed, from an empty cloud to the verdict."""

import asyncio
import gc
import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Fault
from aerostat.sim import invariants
from aerostat.sim.chance import Chance, Faults, faults_of
from aerostat.sim.chaos import Chaos
from aerostat.sim.cloud import SimCloud
from aerostat.sim.loop import SimLoop, Stalled
from aerostat.sim.operators import Operator
from aerostat.sim.people import Ledger, Person
from aerostat.sim.process import lives, task_factory
from aerostat.sim.template import EPOCH, Template
from aerostat.sim.trace import Trace

PEOPLE = 3
STORM_S = 45.0
"""Simulated seconds that users and faults are at it."""

REST_S = 3.0
"""Mean seconds that a user rests between two requests."""

LOOK_S = 2.0
"""Seconds between two looks at what must always be true."""

SETTLE_S = 3 * 3600.0
"""Simulated seconds after which a cloud that does not come to rest is called stuck."""

WRONG_MAX = 12

Tell = Callable[[str], None]


class Outcome(Struct, frozen=True):
    """How a run went: what was wrong (nothing, at best), and some figures."""

    seed: int
    wrong: list[str]
    digest: str
    simulated_s: float
    lines: int
    requests: int
    servers: int
    faults: Faults


class _Errors(logging.Handler):
    """Notes what the log must not say: an exception that is no Fault, a leak that has no excuse.

    Leftovers are swept up because messages may come late; where none can, there must be none.
    """

    def __init__(self, tell: Tell | None, *, late_messages: bool) -> None:
        super().__init__(logging.INFO if tell else logging.WARNING)
        self.found: list[str] = []
        self._tell, self._late_messages = tell, late_messages

    def unheard(self, _loop: object, context: dict[str, Any]) -> None:
        """Note what ended a task that nobody waits for."""
        why = context.get("exception")
        if "task" in context and not _expected(why):
            self.found.append(f"unexpected in {context['task'].get_name()}: {why!r}")

    def emit(self, record: logging.LogRecord) -> None:
        why = record.exc_info[1] if record.exc_info else None
        if not _expected(why):
            self.found.append(f"unexpected {record.name} {record.getMessage()}: {why!r}")
        fields = getattr(record, "fields", {})
        if record.getMessage() == "leftovers.taken_back" and not self._late_messages:
            self.found.append(f"leaked: {fields['what']}")
        if self._tell is not None:
            self._tell(f"    log {record.name} {record.getMessage()} {fields} {why or ''}")


def _expected(why: BaseException | None) -> bool:
    """Tell whether an exception is an expected one, or follows from one."""
    return (
        why is None
        or isinstance(why, Fault)
        or (why.__cause__ is not None and _expected(why.__cause__))
    )


def simulate(
    seed: int, template: Template, *, faults: Faults | None = None, tell: Tell | None = None
) -> Outcome:
    """Simulate a seed; `tell` gets the trace line by line, and the log."""
    thinking = Chance(seed, "executors")
    loop = SimLoop(lives, lambda: thinking.about(0.001))
    loop.set_task_factory(task_factory)
    trace = Trace(loop.time, tell)
    faults = faults or faults_of(seed)
    errors, log = _Errors(tell, late_messages=faults.split), logging.getLogger("aerostat")
    log.addHandler(errors)
    level, log.propagate = log.level, False
    log.setLevel(errors.level)
    folder = Path(tempfile.mkdtemp(prefix="aerostat-sim-", dir=_quick()))
    gc.disable()  # What is collected when must not depend on what ran before.
    loop.set_exception_handler(errors.unheard)
    cloud = SimCloud(template, seed, faults, trace, folder)
    story = Story(cloud)
    try:
        loop.run_until_complete(story.tell())
    except Stalled as why:
        story.wrong.append(str(why))
    finally:
        gc.enable()
        cloud.close()
        loop.close()
        log.removeHandler(errors)
        log.setLevel(level)
        log.propagate = True
        shutil.rmtree(folder)
    return Outcome(
        seed=seed,
        wrong=[*errors.found, *story.wrong][:WRONG_MAX],
        digest=trace.digest(),
        simulated_s=loop.time(),
        lines=trace.lines,
        requests=story.ledger.requests,
        servers=len(story.ledger.servers),
        faults=faults,
    )


class Story:
    """Users and faults for a minute; then peace, and the look at what is left."""

    def __init__(self, cloud: SimCloud) -> None:
        self._cloud = cloud
        self.ledger, self.wrong = Ledger(), list[str]()

    async def tell(self) -> None:
        """Run it all."""
        cloud = self._cloud
        chaos = Chaos(cloud)
        cloud.start()
        watching = asyncio.create_task(self._watch())
        users = [Person(cloud, self.ledger, f"user-{i + 1}") for i in range(PEOPLE)]
        operator = Operator(cloud, self.ledger, "operator")
        lives = [person.live(STORM_S, REST_S) for person in (*users, operator)]
        await asyncio.gather(chaos.rage(STORM_S), *lives)
        cloud.calm()
        cloud.trace("world", "calm")
        await operator.put_right()
        await self._settle()
        watching.cancel()

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        cloud = self._cloud
        while not self.wrong:
            now = EPOCH + loop.time()
            self.wrong += cloud.disk.read(self._look_always, now)
            await asyncio.sleep(LOOK_S)

    def _look_always(self, tx: Tx, now: float) -> list[str]:
        return list(invariants.always(tx, self._guests(), now))

    def _guests(self) -> invariants.Guests:
        return {name: machine.guests() for name, machine in self._cloud.machines.items()}

    async def _settle(self) -> None:
        """Wait until nothing is wrong any more, or time is over."""
        loop, wait = asyncio.get_running_loop(), 1.0
        end = loop.time() + SETTLE_S
        while True:
            await asyncio.sleep(wait)
            found = self._cloud.disk.read(self._look)
            if not found:
                return
            if loop.time() > end:
                self.wrong += found
                return
            wait = min(wait * 1.5, 300.0)

    def _look(self, tx: Tx) -> list[str]:
        found = list(invariants.at_rest(tx, self._guests(), self.ledger))
        for name, machine in self._cloud.machines.items():
            found += invariants.unfinished_moves(tx, name, machine.leftovers())
            found += invariants.unlike(tx, name, machine.dataplane.have)
        return found


def _quick() -> str | None:
    """Return a folder in memory if there is one."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
