"""tools/tidy.py finds what style.md forbids."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

import tidy

LONG = "def f():\n" + "    x = 1\n" * 60
DOC = '"""What for."""\n'


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("a.py", DOC + "x = 1\n" * 500, "501 lines"),
        ("a.py", DOC + LONG, "f: 61 lines"),
        ("a.py", "x = 1\n", "no docstring"),
        ("utils.py", DOC, "the name says nothing"),
        ("helpers/a.py", DOC, "the name says nothing"),
        ("a.py", DOC + "def f(a, b, c, d, e, f, g): ...\n", "7 parameters"),
        ("a.py", DOC + "try:\n    pass\nexcept Exception:\n    pass\n", "catches everything"),
        ("a.py", DOC + "try:\n    pass\nexcept:\n    pass\n", "catches everything"),
    ],
)
def test_finds(path: str, source: str, expected: str) -> None:
    assert expected in "\n".join(text for _, _, text in tidy.check(Path(path), source))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("a.py", DOC + "def f(self, a, b, c, d, e, f, *, g, h): ...\n"),
        ("a.py", DOC + "try:\n    pass\nexcept Exception:\n    raise\n"),
        ("aerostat/kit/bus.py", DOC + "try:\n    pass\nexcept Exception:\n    pass\n"),
        ("db/migrations/0001.py", DOC + "x = 1\n" * 600),
        ("__init__.py", ""),
    ],
)
def test_lets_pass(path: str, source: str) -> None:
    assert list(tidy.check(Path(path), source)) == []
