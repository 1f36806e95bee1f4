"""What a seed decides: streams of random numbers, and which faults this run knows."""

import uuid
from collections.abc import Sequence
from random import Random
from typing import TypeVar

from msgspec import Struct

E = TypeVar("E")

CHAOS = ("control", "node", "fuse", "partition", "power_cut", "hang", "power_off", "refuse")
"""Kinds of fault that strike now and then: see sim/chaos.py."""


class Faults(Struct, frozen=True, kw_only=True):
    """The faults of one run. Probabilities are per message, per transaction, per operation.

    `split`: every call goes over a broker that may lose it, repeat it or bring it late; otherwise
    calls within a process are direct, and a process that dies is noticed at once.
    `skew_s`: how far apart the clocks of control processes are, at most.
    `rehearse`: transactions that are run, undone, and run again, as a deadlock makes them.
    `hasty`: deadlines of seconds, so that hosts are silent for longer than anybody waits.
    `chaos_s`: mean seconds between faults of the kinds in `chaos`.
    """

    split: bool = False
    controls: int = 1
    hosts: int = 3
    latency_s: float = 0.002
    skew_s: float = 0.0
    slow: float = 0.0
    lose_request: float = 0.0
    lose_reply: float = 0.0
    duplicate: float = 0.0
    late_duplicate: float = 0.0
    http_lost: float = 0.0
    rehearse: float = 0.0
    write_fails: float = 0.0
    reply_of_write_lost: float = 0.0
    driver_slow_s: float = 0.1
    driver_fails: float = 0.0
    driver_refuses: float = 0.0
    chaos: tuple[str, ...] = ()
    chaos_s: float = 6.0
    hasty: bool = False


CALM = Faults()
"""No faults at all; messages and commits take their time."""


def faults_of(seed: int) -> Faults:
    """Draw the faults of a seed: each run knows some kinds only, so that each kind gets its day."""
    r = Random(f"{seed}/faults")
    split = r.random() < 0.6

    def some(most: float, how_often: float = 0.5) -> float:
        drawn, amount = r.random(), r.random()
        return most * amount if drawn < how_often else 0.0

    return Faults(
        split=split,
        controls=r.choice((1, 2, 3)) if split else 1,
        hosts=r.choice((1, 2, 3)),
        latency_s=r.choice((0.0005, 0.002, 0.02)),
        slow=some(0.05) * split,
        lose_request=some(0.05) * split,
        lose_reply=some(0.05) * split,
        duplicate=some(0.1) * split,
        late_duplicate=some(0.05) * split,
        http_lost=some(0.05),
        rehearse=some(0.2),
        write_fails=some(0.03, 0.3),
        reply_of_write_lost=some(0.02, 0.3) * split,
        driver_slow_s=r.choice((0.0, 0.1, 2.0)),
        driver_fails=some(0.1),
        driver_refuses=some(0.1),
        chaos=tuple(k for k in CHAOS if r.random() < 0.5 and (split or k != "partition")),
        chaos_s=r.choice((2.0, 6.0, 15.0)),
        skew_s=r.choice((0.0, 0.01, 3.0)) if split else 0.0,
        hasty=r.random() < 0.3,
    )


class Chance:
    """One stream of a seed. Streams are apart, so that a draw more in one changes no other."""

    def __init__(self, seed: int, stream: str) -> None:
        self._random = Random(f"{seed}/{stream}")

    def happens(self, probability: float) -> bool:
        """Tell whether something of this probability happens now."""
        return probability > 0 and self._random.random() < probability

    def about(self, mean: float) -> float:
        """Return a positive number around `mean`, now and then several times as much."""
        return self._random.expovariate(1 / mean) if mean > 0 else 0.0

    def between(self, low: float, high: float) -> float:
        """Return a number of the interval."""
        return self._random.uniform(low, high)

    def number(self, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`, both included."""
        return self._random.randint(low, high)

    def pick(self, options: Sequence[E]) -> E:
        """Return one of `options`."""
        return self._random.choice(options)

    def weighted(self, weights: dict[str, int]) -> str:
        """Return a key, each as likely as its weight says."""
        return self._random.choices(list(weights), list(weights.values()))[0]

    def new_uuid(self) -> str:
        """Return a UUID: an IdSource (kit.ids)."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def bytes(self, count: int) -> bytes:
        """Return random bytes, for keys and secrets."""
        return self._random.randbytes(count)
