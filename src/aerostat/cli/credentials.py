"""Who may log in: the admin's and demo's passwords, clouds.yaml, and demo's account itself."""

import os
import secrets
from pathlib import Path
from typing import Any

from aerostat.assembly.settings import Settings
from aerostat.cli.cloud import ApiError, Cloud, Login
from aerostat.cli.places import places, read_private, write_private

KEYSTONE_PORT = 5000
DEMO = "demo"
YAML = """# Written by aerostat; both clouds are this one, seen by two users.
clouds:
{entries}"""
ENTRY = """  {name}:
    region_name: {region}
    identity_api_version: 3
{trust}    auth:
      auth_url: {auth_url}
      username: {user}
      password: {password}
      project_name: {project}
      user_domain_name: {domain}
      project_domain_name: {domain}
"""


def auth_url(settings: Settings) -> str:
    """Return the URL that clients log in at."""
    return settings.url(KEYSTONE_PORT, "/v3")


def login_of(settings: Settings, who: str) -> Login:
    """Return how `admin` or `demo` logs in. Raises: CliError."""
    if who == "admin":
        password = read_private(settings.control_dir / "admin-password")
    else:
        password = read_private(_demo_password(settings))
    return Login(
        auth_url(settings), who, password, who, region=settings.region, cacert=settings.tls_ca
    )


def cloud_of(settings: Settings, who: str) -> Cloud:
    """Return the cloud as `admin` or `demo` sees it."""
    cache = places(settings).credentials / f"{who}-token.json"
    return Cloud(login_of(settings, who), cache)


def exports(login: Login) -> str:
    """Return shell commands that set what OpenStack clients read."""
    values = {
        "OS_AUTH_URL": login.auth_url,
        "OS_IDENTITY_API_VERSION": "3",
        "OS_AUTH_TYPE": "password",
        "OS_USERNAME": login.user,
        "OS_PASSWORD": login.password,
        "OS_PROJECT_NAME": login.project,
        "OS_USER_DOMAIN_NAME": login.domain,
        "OS_PROJECT_DOMAIN_NAME": login.domain,
        "OS_REGION_NAME": login.region,
    }
    if login.cacert:
        values["OS_CACERT"] = login.cacert
    return "\n".join(f"export {name}='{value}'" for name, value in values.items())


def ensure_demo(settings: Settings) -> None:
    """Have the project and the user `demo`; costs nothing once its password is on record."""
    if _demo_password(settings).exists():
        return
    admin, password = cloud_of(settings, "admin"), secrets.token_urlsafe(12)
    project = _ensure(admin, "project", {"description": "For trying things out"})
    user = _ensure(admin, "user", {"password": password, "default_project_id": project["id"]})
    admin.call("PATCH", "identity", f"/users/{user['id']}", {"user": {"password": password}})
    (role,) = admin.list("identity", "roles", name="member")
    grant = f"/projects/{project['id']}/users/{user['id']}/roles/{role['id']}"
    admin.call("PUT", "identity", grant)
    write_private(_demo_password(settings), password)


def write_clouds_yaml(settings: Settings) -> Path | None:
    """Write clouds.yaml; return where clients find it by themselves if it was put there too."""
    named = {"aerostat": login_of(settings, DEMO), "aerostat-admin": login_of(settings, "admin")}
    entries = "".join(
        ENTRY.format(
            name=name,
            trust=f"    cacert: {login.cacert}\n" if login.cacert else "",
            **{f: getattr(login, f) for f in Login.__struct_fields__},
        )
        for name, login in named.items()
    )
    text = YAML.format(entries=entries)
    write_private(places(settings).clouds_yaml, text)
    usual = Path.home() / ".config" / "openstack" / "clouds.yaml"
    if usual.exists() and not _ours(usual):
        return None
    usual.parent.mkdir(parents=True, exist_ok=True)
    if not usual.exists() or usual.read_text() != text:
        write_private(usual, text)
    return usual


def forget_clouds_yaml() -> None:
    """Remove what `write_clouds_yaml` put where clients look, unless it is somebody else's."""
    usual = Path.home() / ".config" / "openstack" / "clouds.yaml"
    if usual.exists() and _ours(usual):
        usual.unlink()


def _ours(path: Path) -> bool:
    return os.access(path, os.R_OK) and path.read_text().startswith(YAML.partition("\n")[0])


def _demo_password(settings: Settings) -> Path:
    return places(settings).credentials / "demo-password"


def _ensure(admin: Cloud, noun: str, attributes: dict[str, Any]) -> Any:
    body = {noun: {"name": DEMO, "domain_id": "default", **attributes}}
    try:
        return admin.post("identity", f"/{noun}s", body)[noun]
    except ApiError as why:
        if why.status != 409:
            raise
    (found,) = admin.list("identity", f"{noun}s", name=DEMO, domain_id="default")
    return found
