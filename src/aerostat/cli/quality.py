"""`aerostat test`: style, types, layers, tidiness, then every test; pytest has the last word."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

from aerostat.assembly.engines import PACKAGES
from aerostat.cli.command import Command, repository
from aerostat.cli.console import CliError, Console

BIN = Path(sys.prefix) / "bin"
POLICY = Path("/usr/sbin/policy-rc.d")
"""Debian asks it before it starts a service. Source: invoke-rc.d(8)."""

SIDE_BY_SIDE = ["-n", "2"]
"""The machine's own tests one after the other (tests/conftest.py), beside them all the rest."""

CHECKS = (
    ("ruff check", ["ruff", "check", "."]),
    ("ruff format", ["ruff", "format", "--check", "."]),
    ("mypy --strict", ["mypy"]),
    ("import-linter", ["lint-imports"]),
    ("tidy", ["python", "tools/tidy.py"]),
)


def run(command: Command) -> int:
    """Run everything (or, with arguments, pytest with these only); 0 if all of it holds."""
    root, console = repository(), command.console
    _install(root, console)
    _install_servers(console)
    failed = [] if command.options.rest else _checks(root, console)
    console.say(f"  {'pytest':<34} from here on")
    words = command.options.rest or SIDE_BY_SIDE
    code = subprocess.call([BIN / "python", "-m", "pytest", *words], cwd=root)
    return code or (1 if failed else 0)


def _checks(root: Path, console: Console) -> list[str]:
    failed = []
    for title, argv in CHECKS:
        began = time.monotonic()
        done = subprocess.run(
            [BIN / argv[0], *argv[1:]], cwd=root, capture_output=True, text=True, check=False
        )
        verdict = "FAILED" if done.returncode else "ok"
        console.say(f"  {title:<34} {time.monotonic() - began:5.1f} s  {verdict}")
        if done.returncode:
            failed.append(title)
            console.say(done.stdout + done.stderr)
    if failed:
        console.say(f"  NOT GOOD: {', '.join(failed)} (above)")
    return failed


def _install_servers(console: Console) -> None:
    """Have the servers that tests start, from Debian's packages; none of them is started here."""
    missing = [name for name in PACKAGES if not _installed(name)]
    if not missing:
        return
    if os.geteuid() != 0:
        raise CliError(f"tests need {' '.join(missing)}", f"apt-get install {' '.join(missing)}")
    ours = not POLICY.exists()
    if ours:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    apt = ["apt-get", "-y", "-q", "-o", "DPkg::Lock::Timeout=300"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        with console.step("servers for tests"):
            for words in (["update"], ["install", "--no-install-recommends", *missing]):
                done = subprocess.run(
                    [*apt, *words], capture_output=True, text=True, check=False, env=environment
                )
            if done.returncode:
                advice = "see that apt-get reaches its registry, then run this again"
                raise CliError(f"apt-get failed\n{done.stderr[-2000:]}", advice)
    finally:
        if ours:
            POLICY.unlink()


def _installed(package: str) -> bool:
    done = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Status}", package],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.endswith(" installed")


def _install(root: Path, console: Console) -> None:
    """Have the development packages at their locked versions."""
    lock, stamp = root / "requirements-dev.lock", Path(sys.prefix) / ".aerostat-dev"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    pip = ["-m", "pip", "install", "--no-input", "--no-deps", "--disable-pip-version-check"]
    with console.step("development packages"):
        done = subprocess.run(
            [BIN / "python", *pip, "-q", "-r", lock], capture_output=True, text=True, check=False
        )
        if done.returncode:
            advice = "see that pip reaches its registry, then run this again"
            raise CliError(f"pip failed\n{done.stderr[-2000:]}", advice)
    stamp.write_text(wanted)
