"""The stores of this cloud: several at once, one of them the default."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

from aerostat.kit.errors import BadRequest, Conflict, Fault, NotFound, Unavailable
from aerostat.kit.log import Logger
from aerostat.services.glance.model.image import Image, Location
from aerostat.services.glance.model.store import Store

log = Logger("glance.stores")


class Stores:
    """Drivers by the ids that an operator gave them (enabled_backends), the default first."""

    def __init__(self, drivers: Mapping[str, Store], default: str, weights: Mapping[str, int]):
        self.default, self._weights = default, weights
        self._drivers = {default: drivers[default], **drivers}

    @property
    def ids(self) -> list[str]:
        """The ids of all stores, the default first."""
        return list(self._drivers)

    @property
    def writable(self) -> list[str]:
        """The ids of the stores that take data, the default first."""
        return [name for name, driver in self._drivers.items() if driver.writable]

    def weight(self, store: str) -> int:
        """Return how much a store is preferred; more comes first."""
        return self._weights.get(store, 0)

    def get(self, store: str) -> Store:
        """Raises: BadRequest (there is no such store)."""
        if store not in self._drivers:
            raise BadRequest(f"Store {store} is not known.", field="stores", code="unknown_store")
        return self._drivers[store]

    def of(self, url: str) -> str:
        """Return the id of the store that serves `url`. Raises: BadRequest."""
        for name, driver in self._drivers.items():
            if driver.owns(url):
                return name
        raise BadRequest("Invalid location: no store serves it.", field="url")

    def ordered(self, locations: Sequence[Location], first: Sequence[str] = ()) -> list[Location]:
        """Return the locations that can be read: those in the stores `first`, then the heaviest."""
        known = [place for place in locations if place.store in self._drivers]
        ranks = {store: rank for rank, store in reversed(list(enumerate(first)))}
        return sorted(
            known, key=lambda at: (ranks.get(at.store, len(first)), -self.weight(at.store))
        )

    def preferred(self, locations: Sequence[Location]) -> Location:
        """Return the location that is read first, of at least one."""
        return next(iter(self.ordered(locations)), locations[0])

    def holding(self, image: Image) -> list[str]:
        """Return the stores that have an image, the most preferred first."""
        return sorted(image.stores, key=lambda store: -self.weight(store))

    async def read(
        self, places: Sequence[Location], start: int, length: int
    ) -> AsyncIterator[bytes]:
        """Return data from the first of `ordered` places that has it.

        Raises: NotFound, Unavailable.
        """
        failed: Fault = NotFound("Image data is not there.")
        for place in places:
            try:
                return await self._drivers[place.store].read(place.url, start, length)
            except (NotFound, Unavailable) as why:
                log.warning("store.unread", store=place.store, detail=why.detail or why.message)
                failed = why
        raise failed

    def near(self, places: Sequence[Location]) -> bool:
        """Tell whether the first of `ordered` places is a file of this host."""
        return any(self._drivers[place.store].local for place in places[:1])

    async def check_free(self, locations: Sequence[Location]) -> None:
        """Raises: Conflict (data is in use in its store), Unavailable."""
        for place in locations:
            driver = self._drivers.get(place.store)
            if driver is not None and await driver.in_use(place.url):
                raise Conflict("The image is in use in its store: others were cloned from it.")

    async def remove(self, store: str, url: str) -> bool:
        """Have nothing under `url`; tell whether that is so."""
        driver = self._drivers.get(store)
        if driver is None or not driver.writable:
            return driver is not None
        try:
            await driver.remove(url)
        except Fault as why:
            log.warning("store.not_removed", store=store, detail=why.detail or why.message)
            return False
        return True

    async def close(self) -> None:
        """Let go of threads and connections."""
        await asyncio.gather(*(driver.close() for driver in self._drivers.values()))
