"""Scheduler decisions a second: from a request to the claim of a host in placement.

One process with nova, placement and fake hosts; 1 and 32 requests under way. Every decision is
whole: allocation candidates, filters, weighers, claim. AEROSTAT_TEST_DATABASE names the engine.

usage: ./aerostat bench scheduler [--hosts=10,100,1000] [--decisions=500]
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from msgspec import structs

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.sim.test_server_moves import built
from tests.whole_cloud import WholeCloud

from aerostat.kit.ids import new_uuid
from aerostat.services.nova.db import servers
from aerostat.services.nova.model.server import Server
from aerostat.services.nova.sagas import scheduling


async def decisions(cloud: WholeCloud, like: Server, count: int, together: int) -> list[float]:
    """Return the milliseconds that each of `count` decisions took."""
    free, times = asyncio.Semaphore(together), list[float]()

    async def one() -> None:
        async with free:
            began = time.perf_counter()
            await scheduling.select_host(cloud.nova, structs.replace(like, uuid=new_uuid()))
            times.append((time.perf_counter() - began) * 1000)

    await asyncio.gather(*(one() for _ in range(count)))
    return sorted(times)


async def measure(hosts: int, count: int) -> None:
    """Print a line for each number of requests under way."""
    with tempfile.TemporaryDirectory(prefix="aerostat-scheduler-") as folder:
        cloud = WholeCloud(Path(folder), hosts)
        cloud.settings.nova["service_down_time_s"] = 3600.0  # hosts report once
        await cloud.start()
        _, server_id, _ = await built(cloud)
        like = await cloud.db.read(servers.get, server_id)
        await decisions(cloud, like, 50, 8)
        for together in (1, 32):
            began = time.perf_counter()
            times = await decisions(cloud, like, count, together)
            rate = count / (time.perf_counter() - began)
            p50, p99 = statistics.median(times), times[int(count * 0.99) - 1]
            print(
                f"{hosts:6} hosts, {together:2} at once: {rate:8.0f}/s"
                f"   p50 {p50:7.2f} ms   p99 {p99:7.2f} ms",
                flush=True,
            )
        await cloud.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", default="10,100,1000")
    parser.add_argument("--decisions", type=int, default=500)
    options = parser.parse_args()
    for hosts in map(int, options.hosts.split(",")):
        asyncio.run(measure(hosts, options.decisions))
    return 0


if __name__ == "__main__":
    sys.exit(main())
