"""Each kind of difference between books and machine is found, and nothing where there is none."""

import pytest

from aerostat.assembly.estate import Estate
from aerostat.cli.audit import Books, Port, Server, differences

PORT = Port("0123456789abcdef", "compute:nova", "s", "net-1-with-long-id", ["10.0.0.5"])
DHCP = Port("fedcba9876543210", "network:dhcp", "d", "net-1-with-long-id", ["10.0.0.2"])


def books(**changes: object) -> Books:
    whole: dict[str, object] = {
        "servers": {"s": Server("s", "ACTIVE", "", "h")},
        "allocated": {"s"},
        "ports": [PORT, DHCP],
        "networks": {"net-1-with-long-id"},
        "routers": {"r"},
    }
    return Books(**{**whole, **changes})  # type: ignore[arg-type]


def machine(**changes: object) -> Estate:
    whole: dict[str, object] = {
        "guests": {"s": "RUNNING"},
        "directories": ["s"],
        "namespaces": ["qdhcp-net-1-with-long-id", "qrouter-r"],
        "devices": ["brqnet-1-with-", "tap0123456789a", "tapfedcba98765"],
    }
    return Estate(**{**whole, **changes})  # type: ignore[arg-type]


def test_no_difference() -> None:
    assert differences(books(), machine(), local_network=True) == []


def test_a_server_that_waits_for_a_verdict_is_no_difference() -> None:
    servers = {"s": Server("s", "VERIFY_RESIZE", "", "h")}
    said = books(servers=servers, allocated={"s", "m"}, moves={"m"})
    assert differences(said, machine(directories=["s", "s_resize"]), local_network=True) == []


STUCK = {"s": Server("s", "BUILD", "spawning", "h")}
OFF = {"s": Server("s", "SHUTOFF", "", "h")}
TWICE = Port("9", "compute:nova", "s", "net-1-with-long-id", ["10.0.0.5"])
STRAY = Port("8", "compute:nova", "gone", "net-1-with-long-id", ["10.0.0.8"])


@pytest.mark.parametrize(
    ("said", "found", "expected"),
    [
        (books(servers=STUCK), machine(), "server s rests in BUILD (spawning)"),
        (books(servers=OFF), machine(), "server s is SHUTOFF, its guest is RUNNING"),
        (books(allocated=set()), machine(), "has no allocation"),
        (books(allocated={"s", "x"}), machine(), "allocation of x, which is no server"),
        (books(moves={"m"}), machine(), "move m waits for its end without an allocation"),
        (books(), machine(directories=["s", "s_resize"]), "s_resize, but server s is ACTIVE"),
        (books(), machine(guests={}), "has no guest on the hypervisor"),
        (books(), machine(guests={"s": "RUNNING", "g": "RUNNING"}), "guest g, which is no server"),
        (books(), machine(directories=["s", "o"]), "instances/o, which is no server"),
        (books(ports=[PORT, DHCP, TWICE]), machine(), "address 10.0.0.5 is used 2 times"),
        (books(ports=[PORT, DHCP, STRAY]), machine(), "port 8 of gone, which is no server"),
        (books(), machine(namespaces=["qrouter-r"]), "qdhcp-net-1-with-long-id is missing"),
        (books(routers=set()), machine(), "qrouter-r, which no network or router wants"),
        (books(ports=[DHCP]), machine(), "tap0123456789a, which is no port"),
        (books(networks=set()), machine(), "brqnet-1-with-, which is no network"),
        (books(), machine(devices=["brqnet-1-with-"]), "has no tap"),
    ],
)
def test_every_difference(said: Books, found: Estate, expected: str) -> None:
    assert expected in "\n".join(differences(said, found, local_network=True))


def test_the_fake_driver_has_no_network_or_files() -> None:
    bare = Estate({"s": "RUNNING"})
    assert differences(books(), bare, local_network=False) == []
