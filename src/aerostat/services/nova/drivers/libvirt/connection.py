"""The way to libvirtd: blocking calls in threads, lifecycle events to the loop.

libvirtd may hang. Keepalives end its connections then, and the calls on them; the next connect
hangs in its one thread until libvirtd goes on, and whoever needs it is told that the hypervisor is
silent, at once when that has been so for `silence_s`. Each call has a connection to itself while
it runs: where several threads share one that a keepalive ends, all but one of them hang, and
libvirt crashes when libvirtd goes on (seen with 9.0).
"""

import asyncio
import functools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import libvirt

from aerostat.kit.errors import Conflict, Fault, NotFound, Unavailable
from aerostat.kit.log import Logger
from aerostat.services.nova.drivers.libvirt.daemon import LiveConfig, ensure_libvirtd
from aerostat.services.nova.drivers.threads import Threads
from aerostat.services.nova.model.guest import SILENT, PowerState

T = TypeVar("T")
log = Logger("nova.libvirt")
CALLS_MAX = 16
MIGRATIONS_MAX = 4
FILES_MAX = 4
RECONNECT_S = 1.0
GRACE_S = 2.0
"""libvirtd may be away so long, being started anew, before the host is said to be ailing."""

KEEPALIVES = 3
"""Questions in a row that libvirtd leaves unanswered before a connection ends."""

CLOSE_S = 2.0


@functools.cache
def _event_thread() -> threading.Thread:
    """Return the thread that runs libvirt's event loop; libvirt allows one per process."""
    libvirt.virEventRegisterDefaultImpl()
    libvirt.registerErrorHandler(lambda _context, _error: None, None)

    def turn() -> None:
        while True:
            libvirt.virEventRunDefaultImpl()

    thread = threading.Thread(target=turn, name="libvirt-events", daemon=True)
    thread.start()
    return thread


class _Line:
    """A libvirtd that answers: `events` is the connection that they come by, `lost` its end.

    Calls take connections of their own from `_idle`, or open one.
    """

    def __init__(self, events: Any, uri: str, silence_s: float) -> None:
        self.events, self._uri, self._silence_s = events, uri, silence_s
        self.calls = Threads("libvirt", CALLS_MAX, silence_s)
        self.migrations = Threads("libvirt-migration", MIGRATIONS_MAX)
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._idle: list[Any] = []
        self._over = False

    async def run(self, threads: Threads, job: Callable[..., T], *args: Any) -> T:
        """Return `job(connection, *args)`. Raises: Unavailable (it is lost), what the job does."""
        call = asyncio.create_task(threads.run(self._in_thread, job, *args))
        waiting: set[asyncio.Future[Any]] = {call, self.lost}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if not call.done():
                raise Unavailable("The hypervisor went away.", detail="the connection was lost")
            result: T = call.result()
            return result
        finally:
            call.cancel()

    def _in_thread(self, job: Callable[..., T], *args: Any) -> T:
        try:
            conn = self._idle.pop()
        except IndexError:
            conn = keeping_alive(libvirt.open(self._uri), self._silence_s)
        try:
            return job(conn, *args)
        finally:
            if self._over or not conn.isAlive():
                _close(conn)
            else:
                self._idle.append(conn)

    def end(self) -> threading.Thread:
        """Take no more calls; return the thread that hangs up, which takes as long as it takes."""
        self._over = True
        if not self.lost.done():
            self.lost.set_result(None)
        thread = threading.Thread(target=self._hang_up, name="libvirt-close", daemon=True)
        thread.start()
        return thread

    def _hang_up(self) -> None:
        while self._idle:
            _close(self._idle.pop())
        _close(self.events)


class Connection:
    """Runs jobs against libvirtd and stays connected, as long as it is open.

    `on_event(uuid, state)` is called in the event loop for each lifecycle event; `on_health("")`
    after each connect (events from before it may be lost), and with what is wrong when there is
    no connection for longer than GRACE_S.
    """

    def __init__(
        self,
        state_dir: Path,
        live: LiveConfig,
        silence_s: float,
        on_event: Callable[[str, PowerState], None],
        on_health: Callable[[str], None],
    ) -> None:
        self._state_dir, self._on_event, self._on_health = state_dir, on_event, on_health
        self._live, self._silence_s = live, silence_s
        self._files = Threads("libvirt-files", FILES_MAX)
        self._opener = Threads("libvirt-open", 1)
        self._line: _Line | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._attempt: asyncio.Task[None] | None = None
        self._began = 0.0
        self._lost = asyncio.Event()
        self._lost.set()

    async def open(self) -> None:
        """Connect, and stay connected from now on, also if that fails. Raises: Unavailable."""
        self._loop = asyncio.get_running_loop()
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep(), name="libvirt-keeper")
        await self._connected(self._silence_s)

    async def close(self) -> None:
        """Let go of libvirtd, whether it answers or not."""
        tasks = [task for task in (self._keeper, self._attempt) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        line, self._line = self._line, None
        if line is not None:
            await self._opener.run(line.end().join, CLOSE_S)

    async def run(self, job: Callable[..., T], *args: Any) -> T:
        """Return `job(connection, *args)`, run in a thread. Raises: the Fault of its error."""
        line = await self._connected(self._silence_s)
        return await self._on(line, line.calls, job, *args)

    async def run_long(self, job: Callable[..., T], *args: Any) -> T:
        """Like `run`, for what may take many minutes; MIGRATIONS_MAX of them at once."""
        line = await self._connected(self._silence_s)
        return await self._on(line, line.migrations, job, *args)

    async def _on(self, line: _Line, threads: Threads, job: Callable[..., T], *args: Any) -> T:
        try:
            return await line.run(threads, job, *args)
        except libvirt.libvirtError as why:
            if why.get_error_domain() == libvirt.VIR_FROM_RPC:
                raise Unavailable("The hypervisor went away.", detail=str(why)) from why
            raise fault_of(why) from why

    async def blocking(self, job: Callable[..., T], *args: Any) -> T:
        """Return `job(*args)`, which works on files, run in a thread."""
        return await self._files.run(job, *args)

    async def _connected(self, patience_s: float) -> _Line:
        """Return the connection. Raises: Unavailable (none, `patience_s` after the first try)."""
        while (line := self._line) is None:
            now = asyncio.get_running_loop().time()
            if self._attempt is None:
                self._began = now
                self._attempt = asyncio.create_task(self._attach(), name="libvirt-open")
            attempt, left = self._attempt, self._began + patience_s - now
            done, _ = await asyncio.wait({attempt}, timeout=max(0.0, left))
            if not done:
                detail = f"libvirtd has not answered for {patience_s} s"
                raise Unavailable("The hypervisor does not answer.", code=SILENT, detail=detail)
            attempt.result()
        return line

    async def _attach(self) -> None:
        try:
            self._line = _Line(*await self._opener.run(self._connect), self._silence_s)
        except libvirt.libvirtError as why:
            raise Unavailable("libvirtd does not answer.", detail=str(why)) from why
        finally:
            self._attempt = None
        self._lost.clear()
        self._on_health("")

    def _connect(self) -> tuple[Any, str]:
        _event_thread()
        uri = ensure_libvirtd(self._state_dir, self._live)
        conn = keeping_alive(libvirt.open(uri), self._silence_s)
        conn.registerCloseCallback(self._closed, None)
        conn.domainEventRegisterAny(
            None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._lifecycle, None
        )
        return conn, uri

    async def _keep(self) -> None:
        while True:
            await self._lost.wait()
            try:
                await self._connected(GRACE_S)
            except Fault as why:
                self._on_health("Connection to libvirt lost")
                log.warning("libvirt.out_of_reach", detail=why.detail)
                await asyncio.sleep(RECONNECT_S)

    def _closed(self, conn: Any, _reason: int, _opaque: object) -> None:
        """In the event thread: libvirtd went away."""
        self._to_loop(self._forget)

    def _forget(self) -> None:
        line = self._line
        if line is not None and not line.events.isAlive():
            self._line = None
            line.end()
            self._lost.set()
            log.warning("libvirt.lost")

    def _lifecycle(self, _conn: Any, dom: Any, event: int, detail: int, _opaque: object) -> None:
        """In the event thread: a guest changed."""
        state = state_of_event(event, detail)
        if state is not None:
            self._to_loop(self._on_event, dom.UUIDString(), state)

    def _to_loop(self, call: Callable[..., None], *args: Any) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, *args)


def keeping_alive(conn: Any, silence_s: float) -> Any:
    """Return a connection that ends when libvirtd says nothing on it for `silence_s`."""
    conn.setKeepAlive(max(1, round(silence_s / (KEEPALIVES + 1))), KEEPALIVES)
    return conn


def state_of_event(event: int, detail: int) -> PowerState | None:
    """Return the state that a lifecycle event means, None for events that change nothing."""
    if event == libvirt.VIR_DOMAIN_EVENT_STOPPED:
        saved = detail == libvirt.VIR_DOMAIN_EVENT_STOPPED_SAVED
        return PowerState.SUSPENDED if saved else PowerState.SHUTDOWN
    table = {
        libvirt.VIR_DOMAIN_EVENT_STARTED: PowerState.RUNNING,
        libvirt.VIR_DOMAIN_EVENT_RESUMED: PowerState.RUNNING,
        libvirt.VIR_DOMAIN_EVENT_SUSPENDED: PowerState.PAUSED,
        libvirt.VIR_DOMAIN_EVENT_PMSUSPENDED: PowerState.SUSPENDED,
        libvirt.VIR_DOMAIN_EVENT_CRASHED: PowerState.CRASHED,
    }
    return table.get(event)


def fault_of(why: Any) -> Fault:
    """Return libvirt's error as one of ours; its text is private."""
    code, detail = why.get_error_code(), str(why)
    if code == libvirt.VIR_ERR_NO_DOMAIN:
        return NotFound("The host has no such guest.", code="guest_not_found", detail=detail)
    if code == libvirt.VIR_ERR_OPERATION_INVALID:
        return Conflict("The guest's state does not allow it.", code="guest_state", detail=detail)
    return Unavailable("The hypervisor failed.", code="hypervisor_failed", detail=detail)


def _close(conn: Any) -> None:
    try:
        conn.close()
    except libvirt.libvirtError:
        pass
