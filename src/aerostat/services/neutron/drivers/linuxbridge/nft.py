"""nftables scripts: applied as one transaction, and only if another one is in the kernel."""

import hashlib
import subprocess

from msgspec import Struct

TIMEOUT_S = 30


class NftError(OSError):
    """nft refused a script."""


class Script(Struct, frozen=True):
    """The whole text of some tables, `[(family, name, body)]`; the first bears the text's hash."""

    tables: list[tuple[str, str, str]]

    @property
    def hash(self) -> str:
        text = repr(self.tables)
        return "v_" + hashlib.sha256(text.encode()).hexdigest()[:20]

    def text(self) -> str:
        """Return a script that replaces these tables, whatever was there."""
        lines = []
        for place, (family, name, body) in enumerate(self.tables):
            mark = f"chain {self.hash} {{\n}}\n" if place == 0 else ""
            lines.append(f"table {family} {name}\ndelete table {family} {name}")
            lines.append(f"table {family} {name} {{\n{mark}{body}\n}}")
        return "\n".join(lines) + "\n"


def apply(script: Script) -> bool:
    """Load the script unless the kernel has exactly it; tell whether it did. Raises: NftError."""
    family, name, _ = script.tables[0]
    if _run("list", "chain", family, name, script.hash).returncode == 0:
        return False
    done = _run("-f", "-", stdin=script.text())
    if done.returncode:
        raise NftError(f"nft: {done.stderr.strip()[:500]}")
    return True


def delete(family: str, name: str) -> bool:
    """Delete a table; tell whether it was there."""
    return _run("delete", "table", family, name).returncode == 0


def _run(*args: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["nft", *args], input=stdin, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
