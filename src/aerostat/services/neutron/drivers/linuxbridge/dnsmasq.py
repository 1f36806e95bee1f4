"""One dnsmasq process in a namespace: started, told of changes, restarted only when it must."""

import hashlib
import os
import signal
import subprocess
import time
from pathlib import Path

import msgspec

from aerostat.services.neutron.drivers.linuxbridge.dnsmasq_files import DnsmasqFiles

START_TIMEOUT_S = 20
STOP_TIMEOUT_S = 5.0


class Dnsmasq:
    """The process whose files are in `directory`. Call from inside its namespace."""

    def __init__(self, directory: Path) -> None:
        self._dir = directory

    def settle(self, files: DnsmasqFiles) -> str | None:
        """Have the process running with these files; return what was done, None for nothing.

        `applied` is written last, so that a crash in between only means to do it again.
        """
        pid = self.pid()
        applied = self._read("applied")
        if pid is not None and applied == _digest(files):
            return None
        restart = pid is None or self._read("config") != files.config
        restart = restart or self._stale_leases(files.hosts)
        self._dir.mkdir(parents=True, exist_ok=True)
        for name, text in msgspec.structs.asdict(files).items():
            self._write(name, text)
        if restart or pid is None:
            self.stop()
            self._drop_stale_leases(files.hosts)
            self._start()
        else:
            os.kill(pid, signal.SIGHUP)
        self._write("applied", _digest(files))
        return "start" if restart else "reload"

    def pid(self) -> int | None:
        """Return the process id if it is alive and really ours."""
        text = self._read("pid").strip()
        if not text.isdigit():
            return None
        try:
            command = Path(f"/proc/{text}/cmdline").read_bytes().decode(errors="replace")
        except OSError:
            return None
        return int(text) if str(self._dir / "config") in command else None

    def stop(self) -> bool:
        """End the process; tell whether it ran."""
        pid = self.pid()
        if pid is None:
            return False
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while os.path.exists(f"/proc/{pid}") and time.monotonic() < deadline:
            if _is_zombie(pid):
                break
            time.sleep(0.005)
        return True

    def _start(self) -> None:
        leases = self._dir / "leases"
        leases.touch()
        done = subprocess.run(
            ["dnsmasq", f"--conf-file={self._dir}/config", f"--user={self._user()}"],
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            raise OSError(f"dnsmasq: {done.stderr.strip()[:500]}")

    def _user(self) -> str:
        """Return an unprivileged user if that one can reach the files, else root."""
        reachable = all(p.stat().st_mode & 0o001 for p in (self._dir, *self._dir.parents))
        return "dnsmasq" if reachable else "root"

    def _leases(self) -> list[list[str]]:
        return [line.split() for line in self._read("leases").splitlines()]

    def _stale_leases(self, hosts: str) -> bool:
        """Tell whether an address is leased to another than it now belongs to."""
        owner = _owners(hosts)
        return any(
            len(lease) > 2 and lease[2] in owner and owner[lease[2]] != lease[1].lower()
            for lease in self._leases()
            if len(lease) > 2 and "." in lease[2]
        )

    def _drop_stale_leases(self, hosts: str) -> None:
        owner = _owners(hosts)
        keep = [
            " ".join(lease)
            for lease in self._leases()
            if len(lease) < 3 or "." not in lease[2] or owner.get(lease[2]) == lease[1].lower()
        ]
        self._write("leases", "".join(line + "\n" for line in keep))

    def _read(self, name: str) -> str:
        try:
            return (self._dir / name).read_text(encoding="utf-8")
        except OSError:
            return ""

    def _write(self, name: str, text: str) -> None:
        temporary = self._dir / f".{name}.new"
        temporary.write_text(text, encoding="utf-8")
        temporary.chmod(0o644)
        temporary.rename(self._dir / name)


def _digest(files: DnsmasqFiles) -> str:
    return hashlib.sha256(msgspec.msgpack.encode(files)).hexdigest()


def _owners(hosts: str) -> dict[str, str]:
    lines = [line.split(",") for line in hosts.splitlines()]
    return {parts[-1]: parts[0].lower() for parts in lines if len(parts) > 2}


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
