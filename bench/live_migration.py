"""Live migration downtime, beside plain `virsh migrate --live` of the same guest in the same run.

usage: ./aerostat bench live_migration

Starts a laboratory of two hosts of its own, moves one guest to and fro ROUNDS times each way of
doing it, and prints what QEMU says it stood still and what the whole took.
"""

import statistics
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "tests" / "node")]
from laboratory import Guest, Laboratory  # noqa: E402

ROUNDS = 5
FIRST, SECOND = "lab-1", "lab-2"


def by_api(guest: Guest, host: str) -> tuple[float, float]:
    """Return downtime and whole time in ms of a move through the compute API."""
    began = time.monotonic()
    guest.act({"os-migrateLive": {"host": host, "block_migration": "auto"}})
    guest.becomes("ACTIVE")
    took = (time.monotonic() - began) * 1000
    assert guest.host == host
    log = guest.lab.settings.control_dir / "aerostat.db"
    return downtime_of(log, guest.id), took


def downtime_of(database: Path, server_id: str) -> float:
    """Return the downtime in ms that the newest move of a server has recorded."""
    import json
    import sqlite3

    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as db:
        rows = db.execute(
            "SELECT stats FROM nova_migrations WHERE instance_uuid = ? "
            "AND status = 'completed' ORDER BY created_at DESC",
            (server_id,),
        )
        return float(json.loads(rows.fetchone()[0])["downtime_ms"])


def by_virsh(guest: Guest, source: str, host: str) -> tuple[float, float]:
    """Return downtime and whole time in ms of the same move by virsh alone, over TLS as ours is."""
    pki = guest.lab.settings.node_dir / "pki" / "libvirt"
    address = guest.lab.lab.host(guest.lab.number(host)).address
    began = time.monotonic()
    guest.lab.inside(
        *(source, "virsh", "migrate", "--live", "--p2p", "--persistent", "--unsafe"),
        *("--tls", guest.id, f"qemu+tls://{address}/system?pkipath={pki}", f"tcp://{address}"),
    )
    took = (time.monotonic() - began) * 1000
    told = guest.lab.inside(source, "virsh", "domjobinfo", guest.id, "--completed")
    (line,) = [text for text in told.splitlines() if text.startswith("Total downtime")]
    guest.lab.inside(source, "virsh", "undefine", guest.id)
    return float(line.split()[2]), took


def show(name: str, found: list[tuple[float, float]]) -> None:
    downtimes, times = zip(*found, strict=True)
    print(
        f"{name:28} downtime {statistics.median(downtimes):6.0f} ms "
        f"({min(downtimes):.0f} to {max(downtimes):.0f}), whole {statistics.median(times):6.0f} ms"
    )


def main() -> None:
    lab = Laboratory(Path("/var/lib/aerostat-bench-lab"))
    lab.run("down")
    lab.up(2, share=2)
    try:
        guest, anchor = lab.create("mover", FIRST), lab.create("anchor", SECOND)
        for one in (guest, anchor):
            one.becomes("ACTIVE")
            one.answers()
        ours = []
        for _ in range(ROUNDS):
            ours += [by_api(guest, SECOND), by_api(guest, FIRST)]
        show("aerostat, os-migrateLive", ours)
        # A second guest keeps the network on both hosts; virsh does not know of networks.
        keeper = lab.create("keeper", FIRST)
        keeper.becomes("ACTIVE")
        plain = []
        for _ in range(ROUNDS):
            plain += [by_virsh(guest, FIRST, SECOND), by_virsh(guest, SECOND, FIRST)]
        show("virsh migrate --live --p2p", plain)
    finally:
        lab.run("down")


if __name__ == "__main__":
    main()
