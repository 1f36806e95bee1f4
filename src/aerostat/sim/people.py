"""The users of a simulated cloud: they create, poke and delete, give up, and ask again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from aerostat.sim.asgi import Answer
from aerostat.sim.chance import Chance
from aerostat.sim.cloud import Lost, SimCloud
from aerostat.sim.template import PROJECT, USER, headers_of, login

WORK = {
    "create": 24,
    "delete": 14,
    "act": 26,
    "rebuild": 5,
    "resize": 6,
    "verdict": 8,
    "show": 6,
    "create_port": 5,
    "delete_port": 3,
    "create_floating": 4,
    "aim_floating": 5,
    "delete_floating": 3,
}
"""What they do, and how often."""

ACTIONS: dict[str, Any] = {
    "os-start": None,
    "os-stop": None,
    "reboot": {"type": "SOFT"},
    "hard": {"type": "HARD"},
    "pause": None,
    "unpause": None,
    "suspend": None,
    "resume": None,
}
FITTING = {
    "ACTIVE": ["os-stop", "reboot", "hard", "pause", "suspend"],
    "SHUTOFF": ["os-start", "hard"],
    "PAUSED": ["unpause", "hard"],
    "SUSPENDED": ["resume", "hard"],
}
"""What may be done to a server by its status; asked for mostly, but not only."""

SAGA_OF = {"os-start": "start", "os-stop": "stop", "hard": "reboot"}
"""What os-instance-actions calls them where it is another name."""


class Accepted(Struct, frozen=True):
    """A request that was answered with yes: what it was about, and the saga it promised."""

    server_id: str
    saga: str


class Ledger(Struct):
    """What users know. `deleted`: servers (ports, floating addresses) somebody tried to delete."""

    servers: dict[str, int] = {}
    accepted: list[Accepted] = []
    deleted: set[str] = set()
    ports: list[str] = []
    floatings: list[str] = []
    surprises: list[str] = []
    requests: int = 0
    lost: int = 0


class Person:
    """One user: does one thing after the other, among what all of them know."""

    work = WORK
    account = (USER, PROJECT)

    def __init__(self, cloud: SimCloud, ledger: Ledger, name: str) -> None:
        self._cloud, self._ledger, self._name = cloud, ledger, name
        self._chance = Chance(cloud.seed, self._name)
        self._token = ""
        self._made = 0

    async def live(self, until: float, rest_s: float) -> None:
        """Do things until the loop's time is `until`, `rest_s` seconds apart on average."""
        loop = asyncio.get_running_loop()
        while loop.time() < until:
            await asyncio.sleep(self._chance.about(rest_s))
            do: Callable[[], Awaitable[None]] = getattr(self, self._chance.weighted(self.work))
            try:
                await do()
            except Lost:
                self._ledger.lost += 1

    async def _call(self, service: str, method: str, url: str, body: Any = None) -> Answer:
        """Call an API with a token. Raises: Lost."""
        if not self._token:
            found = await self._send("keystone", "POST", "/v3/auth/tokens", login(*self.account))
            if found.status != 201:
                raise Lost
            self._token = found.headers["x-subject-token"]
        got = await self._send(service, method, url, body)
        if got.status == 401:
            self._ledger.surprises.append(f"{method} {url}: 401")
            self._token = ""
        return got

    async def _send(self, service: str, method: str, url: str, body: Any) -> Answer:
        trace, self._ledger.requests = self._cloud.trace, self._ledger.requests + 1
        trace(self._name, "http.ask", f"{method} {service} {url}")
        try:
            got = await self._cloud.request(
                service, method, url, body, headers_of(service, self._token)
            )
        except Lost:
            trace(self._name, "http.lost", f"{method} {service} {url}")
            raise
        trace(self._name, "http.got", f"{got.status} {method} {service} {url}")
        return got

    async def create(self) -> None:
        """Make one server or some; look at each that was promised."""
        self._made += 1
        choose, t = self._chance, self._cloud.template
        body: dict[str, Any] = {
            "name": f"{self._name}-{self._made}",
            "imageRef": t.image_id,
            "flavorRef": t.flavor_ids[0 if choose.happens(0.8) else 1],
            "networks": self._networks(),
        }
        if choose.happens(0.15):
            body |= {"min_count": 1, "max_count": choose.number(2, 3)}
        wanted = len(body["networks"]) if isinstance(body["networks"], list) else 0
        got = await self._call("nova", "POST", "/v2.1/servers", {"server": body})
        if got.status != 202:
            return
        server_id = got.doc["server"]["id"]
        self._ledger.servers[server_id] = wanted
        self._ledger.accepted.append(Accepted(server_id, "create"))
        await self.show(server_id)

    def _networks(self) -> Any:
        choose = self._chance
        how = choose.weighted({"none": 2, "one": 6, "two": 2, "port": 3})
        nets = self._cloud.template.network_ids
        if how == "port" and self._ledger.ports:
            return [{"port": choose.pick(self._ledger.ports)}]
        if how == "none":
            return "none"
        return [{"uuid": n} for n in (nets if how == "two" else [choose.pick(nets)])]

    async def show(self, server_id: str = "") -> None:
        """Look at a server: one that was promised is there until somebody deletes it."""
        server_id = server_id or self._some(list(self._ledger.servers))
        got = await self._call("nova", "GET", f"/v2.1/servers/{server_id}")
        if got.status == 404 and server_id not in self._ledger.deleted:
            self._ledger.surprises.append(f"server {server_id} vanished")

    async def delete(self) -> None:
        """Delete a server, now and then twice."""
        server_id = self._some(list(self._ledger.servers))
        self._ledger.deleted.add(server_id)
        for _ in range(1 + self._chance.happens(0.2)):
            got = await self._call("nova", "DELETE", f"/v2.1/servers/{server_id}")
            if got.status == 204:
                self._ledger.accepted.append(Accepted(server_id, "delete"))

    async def act(self) -> None:
        """Start, stop, reboot, pause, suspend, or the opposite."""
        server_id = self._server()
        found = await self._call("nova", "GET", f"/v2.1/servers/{server_id}")
        status = found.doc["server"]["status"] if found.status == 200 else ""
        some = FITTING.get(status) if self._chance.happens(0.8) else None
        name = self._chance.pick(some or list(ACTIONS))
        body = {"reboot" if name == "hard" else name: ACTIONS[name]}
        await self._act(server_id, SAGA_OF.get(name, name), body)

    async def resize(self) -> None:
        """Ask for another flavor."""
        flavor = self._chance.pick(self._cloud.template.flavor_ids)
        server_id = self._server()
        await self._act(server_id, "resize", {"resize": {"flavorRef": flavor}})

    async def verdict(self) -> None:
        """Confirm or revert what was resized or migrated."""
        url = "/v2.1/servers/detail?status=VERIFY_RESIZE"
        found = await self._call("nova", "GET", url)
        if found.status == 200:
            server_id = self._some([s["id"] for s in found.doc["servers"]])
            said = self._chance.pick(["confirmResize", "revertResize"])
            await self._act(server_id, said, {said: None})

    async def rebuild(self) -> None:
        """Rebuild a server."""
        body = {"rebuild": {"imageRef": self._cloud.template.image_id}}
        await self._act(self._server(), "rebuild", body)

    async def _act(self, server_id: str, saga: str, body: dict[str, Any]) -> None:
        got = await self._call("nova", "POST", f"/v2.1/servers/{server_id}/action", body)
        if got.status == 202:
            self._ledger.accepted.append(Accepted(server_id, saga))

    async def create_port(self) -> None:
        """Make a port for a server to come."""
        port = {"network_id": self._chance.pick(self._cloud.template.network_ids)}
        got = await self._call("neutron", "POST", "/v2.0/ports", {"port": port})
        if got.status == 201:
            self._ledger.ports.append(got.doc["port"]["id"])

    async def delete_port(self) -> None:
        """Delete a port."""
        port_id = self._some(self._ledger.ports)
        self._ledger.deleted.add(port_id)
        got = await self._call("neutron", "DELETE", f"/v2.0/ports/{port_id}")
        if got.status in (204, 404) and port_id in self._ledger.ports:
            self._ledger.ports.remove(port_id)

    async def create_floating(self) -> None:
        """Take a floating address."""
        body = {"floatingip": {"floating_network_id": self._cloud.template.external_id}}
        got = await self._call("neutron", "POST", "/v2.0/floatingips", body)
        if got.status == 201:
            self._ledger.floatings.append(got.doc["floatingip"]["id"])

    async def aim_floating(self) -> None:
        """Put a floating address before a port, or before none."""
        floating_id = self._some(self._ledger.floatings)
        found = await self._call("neutron", "GET", "/v2.0/ports")
        ports = [p["id"] for p in (found.doc or {}).get("ports", [])] if found.status == 200 else []
        aim = {"floatingip": {"port_id": self._chance.pick([*ports, None])}}
        await self._call("neutron", "PUT", f"/v2.0/floatingips/{floating_id}", aim)

    async def delete_floating(self) -> None:
        """Give a floating address back."""
        floating_id = self._some(self._ledger.floatings)
        self._ledger.deleted.add(floating_id)
        got = await self._call("neutron", "DELETE", f"/v2.0/floatingips/{floating_id}")
        if got.status in (204, 404) and floating_id in self._ledger.floatings:
            self._ledger.floatings.remove(floating_id)

    def _server(self) -> str:
        """Return a server, mostly one that nobody has deleted. Raises: Lost (there is none)."""
        known = list(self._ledger.servers)
        if self._chance.happens(0.9):
            known = [s for s in known if s not in self._ledger.deleted]
        return self._some(known)

    def _some(self, known: list[str]) -> str:
        """Return one of `known`. Raises: Lost (there is none: nothing to do)."""
        if not known:
            raise Lost
        return self._chance.pick(known)
