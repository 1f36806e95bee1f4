"""Reads the end of a console log, however long it is and though virtlogd rotates it."""

from pathlib import Path

CONSOLE_BYTES_MAX = 100 * 1024


def tail(path: Path, lines: int | None) -> str:
    """Return the last `lines` lines, all for None, at most CONSOLE_BYTES_MAX bytes.

    Source: nova, MAX_CONSOLE_BYTES.
    """
    data = b""
    for part in (path, *(path.with_name(f"{path.name}.{n}") for n in range(3))):
        room = CONSOLE_BYTES_MAX - len(data)
        if room <= 0 or not part.exists():
            break
        data = _end(part, room) + data
    text = data.decode("utf-8", errors="replace")
    if lines is None:
        return text
    return "".join(text.splitlines(keepends=True)[-lines:]) if lines > 0 else ""


def _end(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - size))
        return file.read(size)
