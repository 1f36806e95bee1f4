"""An operator's policy files: they bind, and what is wrong in one is told before anybody starts."""

from pathlib import Path

import pytest
from tests.sim.test_server_sagas import prepare
from tests.whole_cloud import WholeCloud

from aerostat.cli.configuration import check
from aerostat.kit.errors import BadRequest
from aerostat.kit.http.policy import Policy
from aerostat.services.nova.service import manifest

RULES = """
"billing": "role:accountant"
"os_compute_api:servers:create": "rule:context_is_admin"
"os_compute_api:os-simple-tenant-usage:list": "rule:context_is_admin or rule:billing"
"""


def write(folder: Path, text: str) -> None:
    (folder / "policy").mkdir(parents=True, exist_ok=True)
    (folder / "policy" / "nova.yaml").write_text(text)


async def test_rules_of_the_operator_bind(tmp_path: Path) -> None:
    write(tmp_path, RULES)
    cloud = WholeCloud(tmp_path)
    await cloud.start()
    admin, body = await prepare(cloud)
    member = await cloud.user("mia", "member", "admin")
    reply = await member.post("nova", "/v2.1/servers", body)
    assert reply.status_code == 403
    assert "os_compute_api:servers:create" in reply.json()["forbidden"]["message"]
    assert (await admin.post("nova", "/v2.1/servers", body)).status_code == 202
    assert (await member.get("nova", "/v2.1/servers")).status_code == 200
    await cloud.nova.sagas.idle()
    await cloud.stop()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (RULES, ""),
        ('"os_compute_api:servers:crate": "!"', "servers:crate"),
        ('"os_compute_api:servers:create": "rule:nobody_wrote_this"', "cannot be used"),
        ("{", "cannot be used"),
    ],
)
async def test_config_check_reads_them(tmp_path: Path, text: str, problem: str) -> None:
    write(tmp_path, text)
    cloud = WholeCloud(tmp_path)
    (found,) = [f for f in await check(cloud.settings) if f.name.endswith("nova.yaml")]
    assert problem in found.problem if problem else (found.text, found.problem) == ("good", "")
    if problem == "cannot be used":
        with pytest.raises(BadRequest, match=r"nova\.yaml"):
            await cloud.start()


async def test_changes_count_without_a_restart(tmp_path: Path) -> None:
    cloud = WholeCloud(tmp_path)
    await cloud.start()
    now = 0.0
    file = cloud.settings.policy_file("nova")
    cloud.plane.apps["nova"].policy = Policy(manifest.rules, file, monotonic=lambda: now)
    member = await cloud.user("mia", "member", "admin")

    async def status() -> int:
        return int((await member.get("nova", "/v2.1/servers")).status_code)

    listing = '"os_compute_api:servers:index": "{0}"'
    assert await status() == 200
    for text, expected in (
        (listing.format("!"), 403),
        ("{", 403),  # With mistakes: what was there before goes on.
        (listing.format("rule:nobody_wrote_this"), 403),
        (listing.format("@"), 200),
        (listing.format("role:reader and role:admin"), 403),
        ("", 200),
        (listing.format("!"), 403),
        (None, 200),  # Taken away: upstream's defaults.
    ):
        before = await status()
        if text is None:
            file.unlink()
        else:
            write(tmp_path, text)
        assert await status() == before  # Not looked at with every request.
        now += 1.0
        assert await status() == expected, text
    await cloud.stop()
