"""docs/advisories.md names tests that exist."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "advisories.md"


def test_every_test_that_is_named_is_there() -> None:
    files = {path.name: path.read_text() for path in TESTS.rglob("test_*.py")}
    home, missing = list[str](), []
    for section in PAGE.read_text().split("\n## "):
        home = re.findall(r"`tests/\w+/(test_\w+\.py)`", section) or home
        for cell in re.findall(r"^\|.*\| ([^|]+) \|$", section, re.MULTILINE):
            for part in cell.split(";"):
                name, _, tests = part.strip().rpartition(": ")
                file = name.rpartition("/")[2] or home[0]
                for test in re.findall(r"\btest_\w+\b(?!\.py)", tests):
                    if f"def {test}(" not in files.get(file, ""):
                        missing.append(f"{file}: {test}")
    assert missing == []
