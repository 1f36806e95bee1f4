"""Several factors: passcodes, rules, receipts. Source: RFC 6238, keystone "Auth receipts"."""

import base64
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from keystone_cloud import PASSWORD, Cloud, by_password, by_token
from lxml import etree
from saml_forge import SAML_AUTH, ask, response, saml_cloud, sign

SEED = b"twenty secret octets"
RULES = {"multi_factor_auth_rules": [["password", "totp"], ["telepathy"]]}


def passcode(at: float) -> str:
    return TOTP(SEED, 6, SHA1(), 30).generate(int(at)).decode()


def by_totp(user_id: str, code: str) -> Any:
    return {"methods": ["totp"], "totp": {"user": {"id": user_id, "passcode": code}}}


async def user_with_seed(cloud: Cloud, **options: Any) -> str:
    user = await cloud.user(options=options)
    blob = base64.b32encode(SEED).decode().rstrip("=")
    body = {"type": "totp", "blob": blob, "user_id": user["id"]}
    assert (await cloud.call("POST", "/credentials", json={"credential": body})).status_code == 201
    return user["id"]


async def test_passcodes_of_this_and_the_last_half_minute(cloud: Cloud) -> None:
    user = await user_with_seed(cloud)
    now = cloud.clock.now()
    for ago, status in ((0, 201), (30, 201), (60, 401), (-30, 401)):
        reply = await cloud.authenticate(by_totp(user, passcode(now - ago)))
        assert reply.status_code == status, ago
    methods = (await cloud.authenticate(by_totp(user, passcode(now)))).json()["token"]["methods"]
    assert methods == ["totp"]
    other = await cloud.user()
    assert (await cloud.authenticate(by_totp(other["id"], passcode(now)))).status_code == 401


async def first_half(cloud: Cloud, user: str) -> httpx.Response:
    reply = await cloud.authenticate(by_password(user))
    assert reply.status_code == 401 and "x-subject-token" not in reply.headers
    return reply


async def second_half(cloud: Cloud, receipt: str, identity: Any) -> httpx.Response:
    headers = {"Openstack-Auth-Receipt": receipt}
    body = {"auth": {"identity": identity}}
    return await cloud.http.post("/v3/auth/tokens", json=body, headers=headers)


async def test_a_receipt_stands_for_the_first_factor(cloud: Cloud) -> None:
    user = await user_with_seed(cloud, **RULES)
    reply = await first_half(cloud, user)
    said = reply.json()
    assert said["receipt"]["methods"] == ["password"] and said["receipt"]["user"]["id"] == user
    assert said["required_auth_methods"] == [["password", "totp"]]
    code = by_totp(user, passcode(cloud.clock.now()))
    done = await second_half(cloud, reply.headers["Openstack-Auth-Receipt"], code)
    assert done.status_code == 201
    assert set(done.json()["token"]["methods"]) == {"password", "totp"}
    again = await cloud.authenticate(by_token(done.headers["x-subject-token"]))
    assert again.status_code == 201  # A token remembers what was proven for it.


async def vouched(cloud: Cloud, receipt: str = "") -> httpx.Response:
    """Come from the identity provider; perhaps with what was proven here already."""
    raw = etree.tostring(sign(response(cloud, await ask(cloud))))
    headers = {"Openstack-Auth-Receipt": receipt} if receipt else {}
    return await cloud.http.post(SAML_AUTH, content=raw, headers=headers)


@pytest.mark.parametrize("vouched_first", [True, False])
async def test_an_identity_provider_is_one_factor(tmp_path: Path, vouched_first: bool) -> None:
    async with saml_cloud(tmp_path) as cloud:
        user = (await vouched(cloud)).json()["token"]["user"]["id"]
        blob = base64.b32encode(SEED).decode().rstrip("=")
        seed = {"type": "totp", "blob": blob, "user_id": user}
        await cloud.call("POST", "/credentials", json={"credential": seed})
        options = {"multi_factor_auth_rules": [["saml2", "totp"], ["password", "totp"]]}
        await cloud.call("PATCH", f"/users/{user}", json={"user": {"options": options}})
        code = by_totp(user, passcode(cloud.clock.now()))
        half = await (vouched(cloud) if vouched_first else cloud.authenticate(code))
        assert half.status_code == 401 and "x-subject-token" not in half.headers
        receipt, said = half.headers["Openstack-Auth-Receipt"], half.json()
        assert said["receipt"]["methods"] == ["saml2" if vouched_first else "totp"]
        assert ["saml2", "totp"] in said["required_auth_methods"]
        done = await (
            second_half(cloud, receipt, code) if vouched_first else vouched(cloud, receipt)
        )
        assert done.status_code == 201, done.text
        token = done.json()["token"]
        assert set(token["methods"]) == {"saml2", "totp"}
        assert ("OS-FEDERATION" in token["user"]) is not vouched_first  # As upstream.


async def test_both_factors_at_once(cloud: Cloud) -> None:
    user = await user_with_seed(cloud, **RULES)
    both = {**by_totp(user, passcode(cloud.clock.now())), **by_password(user)}
    both["methods"] = ["password", "totp"]
    assert (await cloud.authenticate(both)).status_code == 201
    both["totp"]["user"]["passcode"] = "000000"
    reply = await cloud.authenticate(both)
    assert reply.status_code == 401 and "Openstack-Auth-Receipt" not in reply.headers


async def test_receipts_are_not_transferable(cloud: Cloud) -> None:
    user = await user_with_seed(cloud, **RULES)
    other = await user_with_seed(cloud, **RULES)
    receipt = (await first_half(cloud, other)).headers["Openstack-Auth-Receipt"]
    code = by_totp(user, passcode(cloud.clock.now()))
    assert (await second_half(cloud, receipt, code)).status_code == 401
    assert (await second_half(cloud, "forged", code)).status_code == 401
    assert (await second_half(cloud, cloud.admin, code)).status_code == 401
    receipt = (await first_half(cloud, user)).headers["Openstack-Auth-Receipt"]
    assert (await cloud.validate(receipt)).status_code == 404
    cloud.clock.time += 300
    code = by_totp(user, passcode(cloud.clock.now()))
    assert (await second_half(cloud, receipt, code)).status_code == 401


@pytest.mark.parametrize(
    "options",
    [
        {**RULES, "multi_factor_auth_enabled": False},
        {"multi_factor_auth_rules": [["telepathy"]]},
        {"multi_factor_auth_rules": []},
        {"multi_factor_auth_rules": [["password", "telepathy"]]},
    ],
)
async def test_rules_that_ask_for_nothing_more(cloud: Cloud, options: Any) -> None:
    user = await cloud.user(options=options)
    assert (await cloud.authenticate(by_password(user["id"], PASSWORD))).status_code == 201
