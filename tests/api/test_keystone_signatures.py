"""EC2 and S3: requests signed with an access key become tokens, with no more rights than it has.

The signer here is keystoneclient's, which clients and services use.
"""

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from keystone_cloud import Cloud, by_token
from keystoneclient.contrib.ec2.utils import Ec2Signer


async def access_key(cloud: Cloud, user: Any, project: Any, token: str) -> tuple[str, str]:
    path = f"/users/{user['id']}/credentials/OS-EC2"
    reply = await cloud.call("POST", path, token, {"tenant_id": project["id"]})
    assert reply.status_code == 201, reply.text
    made = reply.json()["credential"]
    return made["access"], made["secret"]


def stamp(cloud: Cloud, shift_s: float = 0, form: str = "%Y-%m-%dT%H:%M:%SZ") -> str:
    return datetime.fromtimestamp(cloud.clock.now() + shift_s, UTC).strftime(form)


def request(cloud: Cloud, access: str, version: str, shift_s: float = 0) -> dict[str, Any]:
    params = {"Action": "DescribeInstances", "Filter.1": "a b/é", "AWSAccessKeyId": access}
    signed: dict[str, Any] = {"access": access, "verb": "GET", "host": "nova:8773", "path": "/"}
    signed.update(params=params, headers={}, body_hash="")
    if version != "4":
        params.update(SignatureVersion=version, Timestamp=stamp(cloud, shift_s))
        params.update({"SignatureMethod": "HmacSHA256"} if version == "2" else {})
        return signed
    at = stamp(cloud, shift_s, "%Y%m%dT%H%M%SZ")
    credential = f"{access}/{at[:8]}/region/ec2/aws4_request"
    said = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host;x-amz-date, Signature=x"
    signed["headers"] = {"Host": "nova:8773", "X-Amz-Date": at, "Authorization": said}
    signed["body_hash"] = hashlib.sha256(b"").hexdigest()
    return signed


def sign(signed: dict[str, Any], secret: str) -> dict[str, Any]:
    return {**signed, "signature": Ec2Signer(secret).generate({**signed})}


async def ask(
    cloud: Cloud, signed: Any, token: str | None = None, kind: str = "ec2"
) -> httpx.Response:
    return await cloud.call("POST", f"/{kind}tokens", token, {"credentials": signed})


@pytest.mark.parametrize("version", ["0", "1", "2", "4"])
async def test_every_version(cloud: Cloud, version: str) -> None:
    user, project, token = await cloud.member()
    access, secret = await access_key(cloud, user, project, token)
    signed = sign(request(cloud, access, version), secret)
    reply = await ask(cloud, signed)
    assert reply.status_code == 200, reply.text
    said = reply.json()["token"]
    assert said["user"]["id"] == user["id"] and said["project"]["id"] == project["id"]
    assert said["methods"] == ["ec2credential"] and said["catalog"]
    found = await cloud.validate(reply.headers["x-subject-token"])
    assert {r["name"] for r in found.json()["token"]["roles"]} == {"member", "reader"}
    assert (await ask(cloud, {**signed, "signature": "forged"})).status_code == 401
    assert (await ask(cloud, {**signed, "path": "/other"})).status_code == (
        200 if version in "01" else 401
    )
    assert (await ask(cloud, {**signed, "signature": None})).status_code == 401


async def test_some_clients_sign_without_the_port(cloud: Cloud) -> None:
    user, project, token = await cloud.member()
    access, secret = await access_key(cloud, user, project, token)
    signed = sign({**request(cloud, access, "2"), "host": "nova"}, secret)
    assert (await ask(cloud, {**signed, "host": "nova:8773"})).status_code == 200


async def test_signatures_age(cloud: Cloud) -> None:
    """Source: CVE-2020-12692."""
    user, project, token = await cloud.member()
    access, secret = await access_key(cloud, user, project, token)
    for version in ("2", "4"):
        for shift_s, status in ((-14 * 60, 200), (-16 * 60, 401), (3600, 401)):
            signed = sign(request(cloud, access, version, shift_s), secret)
            assert (await ask(cloud, signed)).status_code == status, (version, shift_s)


async def test_only_services_may_ask(cloud: Cloud) -> None:
    """Source: OSSA-2025-002."""
    user, project, token = await cloud.member()
    access, secret = await access_key(cloud, user, project, token)
    signed = sign(request(cloud, access, "2"), secret)
    assert (await ask(cloud, signed, "")).status_code == 401
    assert (await ask(cloud, signed, token)).status_code == 403
    _, _, service = await cloud.member("service")
    assert (await ask(cloud, signed, service)).status_code == 200
    assert (await ask(cloud, {}, service)).status_code == 400
    assert (await ask(cloud, {"access": "unknown"}, service)).status_code == 404


async def test_s3(cloud: Cloud) -> None:
    user, project, token = await cloud.member()
    access, secret = await access_key(cloud, user, project, token)

    def proof(to_sign: bytes, signature: str) -> Any:
        text = base64.urlsafe_b64encode(to_sign).decode()
        return {"access": access, "token": text, "signature": signature}

    old = b"GET\n\n\nThu, 17 Nov 2023 18:49:58 GMT\n/bucket/key"
    digest = hmac.new(secret.encode(), old, "sha1").digest()
    good = proof(old, base64.b64encode(digest).decode())
    assert (await ask(cloud, good, kind="s3")).json()["token"]["project"]["id"] == project["id"]
    assert (await ask(cloud, proof(old + b"2", good["signature"]), kind="s3")).status_code == 401
    for service, status in (("s3", 200), ("ec2", 401)):
        scope = f"20231117/region/{service}/aws4_request"
        new = f"AWS4-HMAC-SHA256\n20231117T184958Z\n{scope}\n{'0' * 64}".encode()
        key = f"AWS4{secret}".encode()
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), "sha256").digest()
        signature = hmac.new(key, new, "sha256").hexdigest()
        reply = await ask(cloud, proof(new, signature), kind="s3")
        assert reply.status_code == status and "x-subject-token" not in reply.headers


async def test_who_is_disabled_signs_nothing(cloud: Cloud) -> None:
    user, project, token = await cloud.member()
    access, secret = await access_key(cloud, user, project, token)
    signed = sign(request(cloud, access, "2"), secret)
    for path, noun in ((f"/users/{user['id']}", "user"), (f"/projects/{project['id']}", "project")):
        await cloud.call("PATCH", path, json={noun: {"enabled": False}})
        assert (await ask(cloud, signed)).status_code == 401
        await cloud.call("PATCH", path, json={noun: {"enabled": True}})
        assert (await ask(cloud, signed)).status_code == 200
    await cloud.call("DELETE", f"/projects/{project['id']}")
    assert (await ask(cloud, signed)).status_code == 404


async def test_no_more_than_the_delegation(cloud: Cloud) -> None:
    """Keys of a delegation have its roles, not the user's. Source: CVE-2020-12691."""
    user, project, token = await cloud.member("admin")
    body = {"name": "limited", "roles": [{"name": "member"}], "unrestricted": True}
    path = f"/users/{user['id']}/application_credentials"
    made = (await cloud.call("POST", path, token, {"application_credential": body})).json()
    credential = made["application_credential"]
    proof = {"id": credential["id"], "secret": credential["secret"]}
    identity = {"methods": ["application_credential"], "application_credential": proof}
    reply = await cloud.authenticate(identity)
    limited = reply.headers["x-subject-token"]
    access, secret = await access_key(cloud, user, project, limited)
    signed = sign(request(cloud, access, "2"), secret)
    said = (await ask(cloud, signed)).json()["token"]
    assert {r["name"] for r in said["roles"]} == {"member", "reader"}
    assert said["application_credential"]["id"] == credential["id"]
    other = await cloud.make("project")
    elsewhere = f"/users/{user['id']}/credentials/OS-EC2"
    reply = await cloud.call("POST", elsewhere, limited, {"tenant_id": other["id"]})
    assert reply.status_code == 403  # Bug 2150089
    key = hashlib.sha256(access.encode()).hexdigest()
    blob = {"credential": {"blob": f'{{"access": "{access}", "secret": "{secret}"}}'}}
    assert (await cloud.call("PATCH", f"/credentials/{key}", token, blob)).status_code == 400
    await cloud.call("DELETE", f"{path}/{credential['id']}", token)
    assert (await ask(cloud, signed)).status_code == 401


async def test_delegated_tokens_see_no_other_secrets(cloud: Cloud) -> None:
    """Source: keystone bug 2150089."""
    user, project, token = await cloud.member("admin")
    seed = await cloud.make("credential", token=token, type="totp", blob="x", user_id=user["id"])
    body = {"name": "any", "unrestricted": True}
    path = f"/users/{user['id']}/application_credentials"
    made = (await cloud.call("POST", path, token, {"application_credential": body})).json()
    proof = {k: made["application_credential"][k] for k in ("id", "secret")}
    identity = {"methods": ["application_credential"], "application_credential": proof}
    limited = (await cloud.authenticate(identity)).headers["x-subject-token"]
    assert (await cloud.get("/credentials", limited))["credentials"] == []
    for method, sent in (("GET", None), ("PATCH", {"credential": {"blob": "y"}}), ("DELETE", None)):
        reply = await cloud.call(method, f"/credentials/{seed['id']}", limited, sent)
        assert reply.status_code == 403, method
    assert (await cloud.call("GET", "/OS-TRUST/trusts", limited)).status_code == 403
    assert project["id"]


async def test_their_tokens_are_for_services(cloud: Cloud) -> None:
    """Whoever signs has no other way into the identity API by that. Source: keystone 910ebab06."""
    user, project, token = await cloud.member("admin")
    access, secret = await access_key(cloud, user, project, token)
    reply = await ask(cloud, sign(request(cloud, access, "2"), secret))
    signed = reply.headers["x-subject-token"]
    for path in ("/projects", f"/users/{user['id']}/credentials/OS-EC2", "/auth/projects"):
        refused = await cloud.call("GET", path, signed)
        assert refused.status_code == 403
        assert "EC2 credential tokens" in refused.json()["error"]["message"]
    again = await cloud.authenticate(by_token(signed))  # As upstream; but it stays what it is.
    assert again.status_code == 201
    assert (
        await cloud.call("GET", "/projects", again.headers["x-subject-token"])
    ).status_code == 403
    assert (await cloud.validate(signed)).status_code == 200
