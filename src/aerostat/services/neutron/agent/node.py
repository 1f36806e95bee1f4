"""The network agents of a host, all or some: read what is wanted, apply differences, report."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from aerostat.kit.bus.endpoint import Bus
from aerostat.kit.clock import Clock, SystemClock
from aerostat.kit.errors import Fault, Unavailable
from aerostat.kit.log import Logger
from aerostat.services.neutron.agent.endpoint import (
    AgentReport,
    NetworkControl,
    apart,
    network_control,
    network_host,
)
from aerostat.services.neutron.agent.metadata import MetadataServer
from aerostat.services.neutron.config import NetworkAgentConfig
from aerostat.services.neutron.drivers.base import Applied, Dataplane
from aerostat.services.neutron.drivers.linuxbridge.driver import LinuxBridge
from aerostat.services.neutron.drivers.linuxbridge.links import cables
from aerostat.services.neutron.model.wanted import Wanted

log = Logger("neutron.agent")
METADATA_AGENT = "neutron-metadata-agent"
RETRY_S = 0.1
RETRY_MAX_S = 5.0
HOST_PARTS = ("bridge filter", "strangers", "security groups", "fake")
"""Parts of a run without which no guest of the host may be plugged."""


class NetworkAgent:
    """Level-triggered: every run reads the complete wanted state and applies what differs."""

    def __init__(
        self,
        bus: Bus,
        host: str,
        config: NetworkAgentConfig,
        dataplane: Dataplane | None = None,
        *,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._bus, self._host, self._config = bus, host, config
        self._dataplane = dataplane or LinuxBridge(config)
        self._control: NetworkControl = network_control.at(bus)
        self._metadata = MetadataServer(bus, host, config)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="neutron-dataplane")
        self._kick = asyncio.Event()
        self._done = asyncio.Condition()
        self._runs = 0
        self._wanted = Wanted(host, -1)
        self._taps: set[str] = set()
        self._reported: list[str] | None = None
        self._failed: dict[str, str] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._unwatch: Callable[[], None] = lambda: None

    async def start(self) -> None:
        """Serve and begin; returns at once, the first run follows.

        The bridge agent's process is `network_host`; others have endpoints of their own.
        """
        agents = self._config.agents
        for told in [network_host] if self._config.bridges else [apart[a] for a in agents]:
            told.serve(self._bus, self, host=self._host)
        self._unwatch = self._dataplane.watch(self._on_device)
        self._tasks = [asyncio.create_task(self._loop()), asyncio.create_task(self._beat())]

    async def close(self) -> None:
        """Stop working; what is on the wire stays there."""
        self._unwatch()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._metadata.close()
        await asyncio.to_thread(self._executor.shutdown)

    async def changed(self, *, revision: int) -> None:
        if revision > self._wanted.revision:
            self._kick.set()

    async def ensure(self, *, port_ids: list[str], revision: int) -> None:
        if self._has(port_ids, revision):
            return
        async with self._done:
            start = self._runs
            self._kick.set()
            await self._done.wait_for(
                lambda: self._has(port_ids, revision) or self._runs >= start + 2
            )
        if not self._has(port_ids, revision):
            raise Unavailable(f"Host {self._host} could not wire the ports", detail=self._why())

    async def audit(self) -> list[str]:
        wanted = await self._control.wanted(host=self._host)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._dataplane.differences, wanted)

    def _why(self) -> str:
        return "; ".join(f"{part}: {reason}" for part, reason in self._failed.items())

    def _has(self, port_ids: list[str], revision: int) -> bool:
        ports = {port.id: port for port in self._wanted.ports}
        if self._wanted.revision < revision or not set(port_ids) <= set(ports):
            return False
        networks = {ports[port_id].network_id for port_id in port_ids}
        parts = {f"{part}{n}" for n in networks for part in ("network ", "qdhcp-")}
        return not (parts | set(HOST_PARTS)) & set(self._failed)

    def _on_device(self, name: str) -> None:
        if name in self._taps or name == "tap":
            self._kick.set()

    async def _loop(self) -> None:
        pause = RETRY_S
        loop = asyncio.get_running_loop()
        while True:
            self._kick.clear()
            started = loop.time()
            try:
                await self._run()
            except Exception as why:  # the loop is this agent's edge: it must go on
                expected = isinstance(why, Fault | OSError)
                self._failed = {"run": str(why)}
                log.error("agent.run_failed", why=None if expected else why, reason=str(why))
            await self._finished()
            ended = loop.time()
            if self._failed:
                await self._wait(pause)
                pause = min(pause * 2, RETRY_MAX_S)
            else:
                pause = RETRY_S
                await self._wait(self._config.poll_interval_s)
            took = ended - started
            await asyncio.sleep(ended + min(took, self._config.coalesce_s) - loop.time())

    async def _wait(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._kick.wait()
        except TimeoutError:
            return

    async def _finished(self) -> None:
        async with self._done:
            self._runs += 1
            self._done.notify_all()

    async def _run(self) -> None:
        wanted = await self._control.wanted(host=self._host)
        self._taps = self._awaited(wanted)
        applied = await self._apply(wanted)
        self._failed = applied.failed
        self._wanted = wanted
        if applied.changes:
            log.info("agent.applied", revision=wanted.revision, changes=applied.changes[:50])
        if applied.failed:
            log.warning("agent.incomplete", failed=applied.failed)
        if METADATA_AGENT in self._config.agents:
            await self._listen(wanted)
        if applied.plugged != self._reported:
            await self._report(applied.plugged)

    async def _apply(self, wanted: Wanted) -> Applied:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._dataplane.sync, wanted)

    def _awaited(self, wanted: Wanted) -> set[str]:
        """Return the devices that others make, and that there is something to do about."""
        taps = {port.tap for port in wanted.ports}
        return taps if self._config.whole else taps | {cable.outer for cable in cables(wanted)}

    async def _listen(self, wanted: Wanted) -> None:
        """Open and close metadata sockets so that each wanted namespace has one."""
        want = {d.namespace for d in wanted.dhcp if d.metadata}
        want |= {r.namespace for r in wanted.routers}
        self._metadata.keep(lambda one: one.namespace in want and self._dataplane.stands(one))
        loop = asyncio.get_running_loop()
        for new in sorted(want - self._metadata.namespaces()):
            try:
                listener = await loop.run_in_executor(
                    self._executor, self._dataplane.listen, wanted, new
                )
            except OSError as why:
                self._failed = {**self._failed, new: str(why)}
                continue
            await self._metadata.add(listener)

    async def _beat(self) -> None:
        pause = RETRY_S
        while True:
            try:
                await self._report(self._reported or [])
                pause = RETRY_S
                await asyncio.sleep(self._config.report_interval_s)
            except Fault as why:
                log.debug("agent.report_failed", reason=why.message)
                await asyncio.sleep(pause)
                pause = min(pause * 2, RETRY_MAX_S)

    async def _report(self, plugged: list[str]) -> None:
        first = self._reported is None and self._runs == 0
        await self._control.report(
            host=self._host,
            agents=self._agents(),
            ports_up=plugged if self._config.bridges else None,
            now=self._clock.now(),
        )
        if not first or plugged:
            self._reported = plugged

    def _agents(self) -> list[AgentReport]:
        wanted, config = self._wanted, self._config
        bridge: dict[str, object] = {
            "bridge_mappings": config.bridge_mappings,
            "interface_mappings": config.physical_interface_mappings,
            "tunneling_ip": config.local_ip,
            "tunnel_types": ["vxlan"],
            "own_bridges": config.own_bridges,
            "devices": len(wanted.ports),
        }
        dhcp: dict[str, object] = {"networks": len(wanted.dhcp), "dhcp_driver": "dnsmasq"}
        router: dict[str, object] = {"routers": len(wanted.routers), "agent_mode": "legacy"}
        known = [
            AgentReport("Linux bridge agent", "neutron-linuxbridge-agent", bridge),
            AgentReport("DHCP agent", "neutron-dhcp-agent", dhcp),
            AgentReport("L3 agent", "neutron-l3-agent", router),
            AgentReport("Metadata agent", METADATA_AGENT, {}),
        ]
        own = [report for report in known if report.binary in config.agents]
        for report in own if not config.bridges else ():
            report.configurations["apart"] = True
        return own
