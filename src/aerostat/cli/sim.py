"""`aerostat sim`: whole clouds under simulated time and faults; every seed replays exactly.

How to read a failing seed: docs/guides/simulation.md.
"""

import logging
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from msgspec import to_builtins

from aerostat.cli.command import Command
from aerostat.cli.console import Console
from aerostat.sim.run import Outcome, simulate
from aerostat.sim.template import Template, make


def run(command: Command) -> int:
    """Run seeds; 1 if anything was wrong with one of them."""
    _same_order_of_sets()
    options = command.options
    seeds = list(range(options.first, options.first + options.seeds))
    seeds = seeds if options.seed is None else [options.seed]
    folder = Path(tempfile.mkdtemp(prefix="aerostat-sim-template-"))
    logging.disable(logging.NOTSET if options.trace else logging.INFO)
    try:
        template, began = make(folder), time.monotonic()
        if options.trace:
            outcomes = [simulate(seed, template, tell=command.console.say) for seed in seeds]
        else:
            outcomes = [
                _told(one, command.console) for one in _outcomes(template, seeds, options.jobs)
            ]
    finally:
        shutil.rmtree(folder)
    _summary(command.console, outcomes, time.monotonic() - began)
    return 1 if any(one.wrong for one in outcomes) else 0


def _same_order_of_sets() -> None:
    """Start again with hashes that are the same in every process, if they are not."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        sys.stdout.flush()
        os.execve(
            sys.executable, [sys.executable, "-m", "aerostat.cli", *sys.argv[1:]], environment
        )


def _outcomes(template: Template, seeds: list[int], jobs: int) -> Iterator[Outcome]:
    if jobs < 2:
        yield from (simulate(seed, template) for seed in seeds)
        return
    with multiprocessing.Pool(jobs) as pool:
        yield from pool.imap(partial(simulate, template=template), seeds)


def _told(outcome: Outcome, console: Console) -> Outcome:
    if outcome.wrong:
        console.say(f"seed {outcome.seed}: WRONG after {outcome.simulated_s:.0f} s simulated")
        for line in outcome.wrong:
            console.say(f"    {line}")
        console.say(f"    replay it: aerostat sim --seed {outcome.seed} --trace")
    return outcome


def _summary(console: Console, outcomes: list[Outcome], took_s: float) -> None:
    bad = [one.seed for one in outcomes if one.wrong]
    if console.as_json:
        console.json({"outcomes": to_builtins(outcomes), "wrong": bad, "took_s": round(took_s, 1)})
        return
    simulated_h = sum(one.simulated_s for one in outcomes) / 3600
    console.say(
        f"{len(outcomes)} seeds in {took_s:.0f} s: {simulated_h:.1f} hours of clouds,"
        f" {sum(one.requests for one in outcomes)} requests,"
        f" {sum(one.servers for one in outcomes)} servers."
    )
    if len(outcomes) == 1:
        console.say(f"trace: {outcomes[0].lines} lines, sha256 {outcomes[0].digest}")
    console.say(f"WRONG: {len(bad)} seeds: {bad}" if bad else "Nothing was wrong.")
