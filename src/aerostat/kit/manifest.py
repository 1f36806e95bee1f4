"""What a service tells assembly about itself: the only thing that assembly reads of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aerostat.kit.http.edge import ApiSpec
from aerostat.kit.http.policy import Rule


@dataclass(frozen=True)
class Manifest:
    """A service: its catalogue entry, its API, its policy rules and its schema.

    `port` is upstream's. `path` is where the one-port gateway mounts it, `suffix` what the
    catalogue's URL has behind the host and port (`$(project_id)s` is filled in).
    """

    name: str
    service_type: str
    description: str
    port: int
    path: str
    suffix: str
    api: ApiSpec
    rules: Sequence[Rule]
    migrations: Path
