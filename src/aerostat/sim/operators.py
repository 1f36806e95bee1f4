"""The operator of a simulated cloud: moves servers, and saves those whose host has no power."""

import asyncio
import contextlib
from typing import Any

from aerostat.sim.cloud import Lost
from aerostat.sim.people import Person

WORK = {"migrate": 4, "live_migrate": 4, "evacuate": 4, "give_back": 3, "rest": 6}


class Operator(Person):
    """An administrator. `_down` are the hosts that this one has declared dead."""

    work = WORK
    account = ("admin", "admin")
    _down: tuple[str, ...] = ()

    async def rest(self) -> None:
        """Do nothing this time."""

    async def migrate(self) -> None:
        """Move a server that users made, with its guest off."""
        await self._act(self._server(), "migrate", {"migrate": None})

    async def live_migrate(self) -> None:
        """Move a server while its guest runs."""
        body = {"os-migrateLive": {"host": None, "block_migration": "auto"}}
        await self._act(self._server(), "live-migration", body)

    async def evacuate(self) -> None:
        """Declare a host without power dead, and have its servers built elsewhere."""
        off = [name for name, machine in self._cloud.machines.items() if machine.off]
        host = self._some(off)
        self._down = tuple({*self._down, host})
        await self._force_down(host, True)
        url = f"/v2.1/servers/detail?all_tenants=1&host={host}"
        found = await self._call("nova", "GET", url)
        for server in found.doc["servers"] if found.status == 200 else []:
            if self._cloud.machines[host].off:
                await self._act(server["id"], "evacuate", {"evacuate": {}})

    async def give_back(self) -> None:
        """Let hosts that have power again be used again."""
        for host in sorted(self._down):
            if not self._cloud.machines[host].off and await self._force_down(host, False):
                self._down = tuple(h for h in self._down if h != host)

    async def put_right(self) -> None:
        """Do so until all of them are."""
        while self._down:
            with contextlib.suppress(Lost):
                await self.give_back()
            await asyncio.sleep(1.0)

    async def _force_down(self, host: str, down: bool) -> bool:
        url = f"/v2.1/os-services?binary=nova-compute&host={host}"
        found = await self._call("nova", "GET", url)
        services: list[dict[str, Any]] = found.doc["services"] if found.status == 200 else []
        if not services:
            return False
        change = {"forced_down": down}
        got = await self._call("nova", "PUT", f"/v2.1/os-services/{services[0]['id']}", change)
        return got.status == 200
