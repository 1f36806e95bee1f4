"""Microversions as conversions at the edge: handlers know only the newest form.

Source: OpenStack API-SIG guideline "Microversion Specification".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import total_ordering
from typing import Any

from aerostat.kit.errors import BadRequest, Fault

Document = dict[str, Any]


class Shown(dict[str, Any]):
    """A resource in its newest form; `older` holds what only conversions downwards need."""

    __slots__ = ("older",)

    def __init__(self, newest: Document, **older: Any) -> None:
        super().__init__(newest)
        self.older = older


def older_of(doc: Document) -> Document:
    """Return what `Shown` keeps beside a document."""
    return doc.older if isinstance(doc, Shown) else {}


@total_ordering
@dataclass(frozen=True, slots=True)
class Version:
    """A microversion, `major.minor`."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> "Version":
        """Raises: ValueError."""
        major, _, minor = text.partition(".")
        if not (major.isdecimal() and minor.isdecimal()):
            raise ValueError(text)
        return cls(int(major), int(minor))

    def __lt__(self, other: "Version") -> bool:
        return (self.major, self.minor) < (other.major, other.minor)

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


class VersionOutOfRange(Fault):
    """The version is not supported by the API."""

    code = "version_out_of_range"


@dataclass(frozen=True)
class VersionChange:
    """What one microversion changed, for the routes whose tags meet `on`.

    `request` turns a body of the version before into this one's; `response` turns a response of
    this version into the one before. Both may change the document in place and return it.
    """

    version: Version
    title: str
    on: frozenset[str]
    request: Callable[[Document], Document] | None = None
    response: Callable[[Document], Document] | None = None


class Versions:
    """The microversions of one API: the range, the default, and the changes between them."""

    def __init__(
        self,
        service_type: str,
        least: str,
        newest: str,
        changes: Sequence[VersionChange] = (),
        legacy_header: str | None = None,
    ) -> None:
        self.service_type = service_type
        self.least, self.newest = Version.parse(least), Version.parse(newest)
        self.legacy_header = legacy_header
        self._changes = sorted(changes, key=lambda c: c.version)
        self._cache: dict[tuple[frozenset[str], Version], tuple[VersionChange, ...]] = {}

    def requested(self, header: str, legacy: str) -> Version:
        """Return the version that the headers ask for, the oldest one if they do not.

        Raises: BadRequest (malformed), VersionOutOfRange.
        """
        text = legacy
        for part in header.split(","):
            words = part.split()
            if len(words) == 2 and words[0].lower() == self.service_type:
                text = words[1]
        text = text.strip()
        if not text:
            return self.least
        if text.lower() == "latest":
            return self.newest
        try:
            version = Version.parse(text)
        except ValueError as why:
            raise BadRequest(
                f"API Version String {text} is of invalid format. Must be of format "
                "MajorNum.MinorNum."
            ) from why
        if not self.least <= version <= self.newest:
            raise VersionOutOfRange(
                f"Version {text} is not supported by the API. Minimum is {self.least} and "
                f"maximum is {self.newest}."
            )
        return version

    def newer(self, tags: frozenset[str], version: Version) -> tuple[VersionChange, ...]:
        """Return the changes after `version` that concern routes with `tags`, oldest first."""
        key = (tags, version)
        if key not in self._cache:
            self._cache[key] = tuple(
                c for c in self._changes if c.version > version and c.on & tags
            )
        return self._cache[key]
