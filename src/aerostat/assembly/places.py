"""What a process needs of the machine before it starts: its own folders, and files it is given."""

from pathlib import Path

from aerostat.assembly.roles import CONTROL, NODE, Roles
from aerostat.assembly.settings import Settings
from aerostat.kit.places import usable_file, usable_folder

FILES = ("tls_cert", "tls_key", "tls_client_ca", "tls_ca")


def check(roles: Roles, settings: Settings) -> None:
    """Have the folders that roles write into. Raises: BadRequest, naming the setting."""
    if roles & set(CONTROL):
        for folder in (settings.control_dir, settings.bus_path.parent):
            usable_folder(folder, "state_dir")
        database = settings.control_dir / "aerostat.db"
        if not settings.database_url and database.exists():
            usable_file(database, "state_dir", writable=True)
    if roles & set(NODE):
        usable_folder(settings.node_dir, "state_dir")
    for name in FILES:
        if given := getattr(settings, name):
            usable_file(Path(given), name)
