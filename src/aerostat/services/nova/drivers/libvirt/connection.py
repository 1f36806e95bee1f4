"""One connection to libvirtd: blocking calls in a bounded pool, lifecycle events to the loop."""

import asyncio
import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import libvirt

from aerostat.kit.errors import Conflict, Fault, NotFound, Unavailable
from aerostat.kit.log import Logger
from aerostat.services.nova.drivers.libvirt.daemon import LiveConfig, ensure_libvirtd
from aerostat.services.nova.model.guest import PowerState

T = TypeVar("T")
log = Logger("nova.libvirt")
CALLS_MAX = 4
MIGRATIONS_MAX = 4
RECONNECT_S = 1.0
KEEPALIVE_S = 5
KEEPALIVE_COUNT = 3


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


class Connection:
    """Runs jobs against libvirtd and stays connected, as long as it is open.

    `on_event(uuid, state)` is called in the event loop for each lifecycle event, `on_up()` after
    each connect: events from before it may be lost.
    """

    def __init__(
        self,
        state_dir: Path,
        live: LiveConfig,
        on_event: Callable[[str, PowerState], None],
        on_up: Callable[[], None],
    ) -> None:
        self._state_dir, self._on_event, self._on_up = state_dir, on_event, on_up
        self._live = live
        self._pool = ThreadPoolExecutor(CALLS_MAX, thread_name_prefix="libvirt")
        self._long = ThreadPoolExecutor(MIGRATIONS_MAX, thread_name_prefix="libvirt-migration")
        self._lock = asyncio.Lock()
        self._conn: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()

    async def open(self) -> None:
        """Connect, and keep connected from now on. Raises: Unavailable."""
        self._loop = asyncio.get_running_loop()
        await self._connected()
        self._keeper = asyncio.create_task(self._keep(), name="libvirt-keeper")

    async def close(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        conn, self._conn = self._conn, None
        if conn is not None:
            await self._in_pool(_close, conn)
        self._pool.shutdown(wait=False)
        self._long.shutdown(wait=False)

    async def run(self, job: Callable[..., T], *args: Any) -> T:
        """Return `job(connection, *args)`, run in the pool. Raises: the Fault of its error."""
        return await self._run_in(self._pool, job, *args)

    async def run_long(self, job: Callable[..., T], *args: Any) -> T:
        """Like `run`, for what may take many minutes; MIGRATIONS_MAX of them at once."""
        return await self._run_in(self._long, job, *args)

    async def _run_in(self, pool: ThreadPoolExecutor, job: Callable[..., T], *args: Any) -> T:
        conn = await self._connected()
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, job, conn, *args)
        except libvirt.libvirtError as why:
            if why.get_error_domain() == libvirt.VIR_FROM_RPC:
                self._forget(conn)
            raise fault_of(why) from why

    async def blocking(self, job: Callable[..., T], *args: Any) -> T:
        """Return `job(*args)`, run in the same bounded pool."""
        return await self._in_pool(job, *args)

    async def _connected(self) -> Any:
        async with self._lock:
            if self._conn is None:
                self._lost.clear()
                try:
                    self._conn = await self._in_pool(self._connect)
                except libvirt.libvirtError as why:
                    raise Unavailable("libvirtd does not answer.", detail=str(why)) from why
                self._on_up()
            return self._conn

    def _connect(self) -> Any:
        _event_thread()
        conn = libvirt.open(ensure_libvirtd(self._state_dir, self._live))
        conn.setKeepAlive(KEEPALIVE_S, KEEPALIVE_COUNT)
        conn.registerCloseCallback(self._closed, None)
        conn.domainEventRegisterAny(
            None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._lifecycle, None
        )
        return conn

    async def _keep(self) -> None:
        while True:
            await self._lost.wait()
            try:
                await self._connected()
            except Fault as why:
                log.warning("libvirt.out_of_reach", detail=why.detail)
                await asyncio.sleep(RECONNECT_S)

    def _forget(self, conn: Any) -> None:
        if self._conn is conn:
            self._conn = None
            self._lost.set()
            log.warning("libvirt.lost")

    def _closed(self, conn: Any, _reason: int, _opaque: object) -> None:
        """In the event thread: libvirtd went away."""
        self._to_loop(self._forget_any)

    def _forget_any(self) -> None:
        if self._conn is not None and not self._conn.isAlive():
            self._forget(self._conn)

    def _lifecycle(self, _conn: Any, dom: Any, event: int, detail: int, _opaque: object) -> None:
        """In the event thread: a guest changed."""
        state = state_of_event(event, detail)
        if state is not None:
            self._to_loop(self._on_event, dom.UUIDString(), state)

    def _to_loop(self, call: Callable[..., None], *args: Any) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, *args)

    async def _in_pool(self, job: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, job, *args)


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
