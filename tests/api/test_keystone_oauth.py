"""OAuth 1.0a, signed by oauthlib as consumers do, and the client credentials of OAuth 2.0."""

import base64
from typing import Any
from urllib.parse import parse_qs

import httpx
from keystone_cloud import PASSWORD, Cloud, by_token
from oauthlib import oauth1

BASE = "http://ks/v3/OS-OAUTH1"


class Consumer:
    """A consumer with its key, and whose rights it asks for."""

    def __init__(self, cloud: Cloud, made: Any, project_id: str) -> None:
        self.cloud, self.project_id = cloud, project_id
        self.key, self.secret = made["id"], made["secret"]

    async def send(
        self, url: str, headers: dict[str, str] | None = None, body: Any = None, **parts: Any
    ) -> httpx.Response:
        parts = {"timestamp": str(int(self.cloud.clock.now())), **parts}
        key, secret = parts.pop("key", self.key), parts.pop("secret", self.secret)
        client = oauth1.Client(key, client_secret=secret, **parts)
        _, signed, _ = client.sign(url, "POST", headers=headers or {})
        self.sent = dict(signed)
        return await self.cloud.http.post(url, headers=self.sent, json=body)

    async def asks(self, **parts: Any) -> dict[str, str]:
        headers = {"Requested-Project-Id": self.project_id}
        reply = await self.send(f"{BASE}/request_token", headers, callback_uri="oob", **parts)
        assert reply.status_code == 201, reply.text
        assert reply.headers["content-type"] == "application/x-www-form-urlencoded"
        assert "%" not in reply.text.partition("oauth_expires_at=")[2]  # Clients take it as it is.
        return form(reply)

    async def exchanges(self, asked: dict[str, str], verifier: str, **parts: Any) -> httpx.Response:
        return await self.send(
            f"{BASE}/access_token",
            resource_owner_key=asked["oauth_token"],
            resource_owner_secret=asked["oauth_token_secret"],
            verifier=verifier,
            **parts,
        )

    async def logs_in(self, access: dict[str, str], **parts: Any) -> httpx.Response:
        body = {"auth": {"identity": {"methods": ["oauth1"], "oauth1": {}}}}
        parts.setdefault("resource_owner_secret", access["oauth_token_secret"])
        owner = access["oauth_token"]
        url = "http://ks/v3/auth/tokens"
        return await self.send(url, None, body, resource_owner_key=owner, **parts)


def form(reply: httpx.Response) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(reply.text).items()}


async def consumer_of(cloud: Cloud, project_id: str) -> Consumer:
    return Consumer(cloud, await cloud.make("consumer", "OS-OAUTH1/consumers"), project_id)


async def agree(cloud: Cloud, token: str, asked: dict[str, str], *roles: str) -> httpx.Response:
    body = {"roles": [{"id": cloud.roles[role]} for role in roles]}
    return await cloud.call("PUT", f"/OS-OAUTH1/authorize/{asked['oauth_token']}", token, body)


async def whole(cloud: Cloud) -> tuple[Any, Consumer, dict[str, str], str]:
    """Return an authorizing user, its consumer, the access token and a token of the user."""
    user, project, token = await cloud.member("admin")
    consumer = await consumer_of(cloud, project["id"])
    asked = await consumer.asks()
    verifier = (await agree(cloud, token, asked, "member")).json()["token"]["oauth_verifier"]
    reply = await consumer.exchanges(asked, verifier)
    assert reply.status_code == 201, reply.text
    return user, consumer, form(reply), token


async def test_the_whole_dance(cloud: Cloud) -> None:
    user, consumer, access, token = await whole(cloud)
    reply = await consumer.logs_in(access)
    assert reply.status_code == 201, reply.text
    said = reply.json()["token"]
    assert said["user"]["id"] == user["id"] and said["methods"] == ["oauth1"]
    # Only the roles that the user agreed to: keystone bug 1873290 (OSSA-2020-005).
    assert {r["name"] for r in said["roles"]} == {"member", "reader"}
    ids = {"access_token_id": access["oauth_token"], "consumer_id": consumer.key}
    assert said["OS-OAUTH1"] == ids
    base = f"/users/{user['id']}/OS-OAUTH1/access_tokens"
    listed = (await cloud.get(base, token))["access_tokens"]
    assert [t["id"] for t in listed] == [access["oauth_token"]] and "secret" not in str(listed)
    roles = (await cloud.get(f"{base}/{access['oauth_token']}/roles", token))["roles"]
    assert [r["name"] for r in roles] == ["member"]
    assert (await cloud.get(f"{base}/{access['oauth_token']}/roles/{roles[0]['id']}", token))[
        "role"
    ]


async def test_what_came_of_an_access_token_ends_with_it(cloud: Cloud) -> None:
    user, consumer, access, token = await whole(cloud)
    given = (await consumer.logs_in(access)).headers["x-subject-token"]
    assert (await cloud.validate(given)).status_code == 200
    path = f"/users/{user['id']}/OS-OAUTH1/access_tokens/{access['oauth_token']}"
    assert (await cloud.call("DELETE", path, token)).status_code == 204
    assert (await cloud.validate(given)).status_code == 404
    assert (await consumer.logs_in(access)).status_code == 401
    events = (await cloud.get("/OS-REVOKE/events"))["events"]
    assert access["oauth_token"] in {e.get("OS-OAUTH1:access_token_id") for e in events}


async def test_a_consumer_goes_with_all_it_has(cloud: Cloud) -> None:
    _, consumer, access, _ = await whole(cloud)
    given = (await consumer.logs_in(access)).headers["x-subject-token"]
    await cloud.call("DELETE", f"/OS-OAUTH1/consumers/{consumer.key}")
    assert (await cloud.validate(given)).status_code == 404
    assert (await consumer.logs_in(access)).status_code == 401


async def test_tokens_of_consumers_delegate_nothing(cloud: Cloud) -> None:
    user, consumer, access, _ = await whole(cloud)
    given = (await consumer.logs_in(access)).headers["x-subject-token"]
    assert (await cloud.authenticate(by_token(given))).status_code == 403
    asked = await consumer.asks()
    assert (await agree(cloud, given, asked, "member")).status_code == 403
    path = f"/users/{user['id']}/application_credentials"
    body = {"application_credential": {"name": "x"}}
    assert (await cloud.call("POST", path, given, body)).status_code == 403


async def test_signatures_are_checked(cloud: Cloud) -> None:
    _, consumer, access, token = await whole(cloud)
    for method in (oauth1.SIGNATURE_HMAC_SHA1, oauth1.SIGNATURE_HMAC_SHA256):
        assert (await consumer.logs_in(access, signature_method=method)).status_code == 201
    bad: list[dict[str, Any]] = [
        {"secret": "wrong"},
        {"resource_owner_secret": "wrong"},
        {"key": "nobody"},
        {"timestamp": str(int(cloud.clock.now()) - 3600)},
        {"timestamp": "soon"},
    ]
    for parts in bad:
        assert (await consumer.logs_in(access, **parts)).status_code == 401, parts
    plain = await consumer.logs_in(access, signature_method=oauth1.SIGNATURE_PLAINTEXT)
    assert plain.status_code == 400
    body = {"auth": {"identity": {"methods": ["oauth1"], "oauth1": {}}}}
    assert (await consumer.logs_in(access)).status_code == 201
    replayed = await cloud.http.post("/v3/auth/tokens", headers=consumer.sent, json=body)
    assert replayed.status_code == 401
    unsigned = await cloud.http.post("/v3/auth/tokens", json=body)
    assert unsigned.status_code == 401
    asked = await consumer.asks()
    verifier = (await agree(cloud, token, asked, "member")).json()["token"]["oauth_verifier"]
    assert (await consumer.exchanges(asked, "wrong")).status_code == 401
    assert (await consumer.exchanges(asked, verifier, secret="wrong")).status_code == 401
    assert (await consumer.exchanges(asked, verifier)).status_code == 201
    assert (await consumer.exchanges(asked, verifier)).status_code == 404  # Once only.


async def test_a_user_gives_only_what_it_has(cloud: Cloud) -> None:
    user, project, token = await cloud.member("admin")
    other = await cloud.make("project")
    consumer = await consumer_of(cloud, other["id"])
    asked = await consumer.asks()
    assert (await agree(cloud, token, asked, "member")).status_code == 401
    assert (await agree(cloud, token, asked)).status_code == 400
    assert (await agree(cloud, token, {"oauth_token": "unknown"}, "member")).status_code == 404
    _, _, member = await cloud.member("member", project)
    assert (await agree(cloud, member, asked, "member")).status_code == 403
    cloud.clock.time += 28_800
    again = await cloud.log_in(user["id"], scope={"project": {"id": project["id"]}})
    reply = await agree(cloud, again, asked, "member")
    assert reply.status_code == 401 and "expired" in reply.text


async def test_requests_without_their_parts(cloud: Cloud) -> None:
    _, project, _ = await cloud.member("admin")
    consumer = await consumer_of(cloud, project["id"])
    reply = await consumer.send(f"{BASE}/request_token")
    assert reply.status_code == 400 and "Requested-Project-Id" in reply.text
    reply = await consumer.send(f"{BASE}/access_token")
    assert reply.status_code == 400 and "oauth_token" in reply.text
    assert (await cloud.http.post("/v3/OS-OAUTH1/request_token")).status_code == 401
    reply = await consumer.send(f"{BASE}/request_token", key="a\0b")
    assert reply.status_code == 401


async def ask_token(cloud: Cloud, auth: Any = None, **sent: str) -> httpx.Response:
    return await cloud.http.post("/v3/OS-OAUTH2/token", data=sent, auth=auth)


async def test_client_credentials(cloud: Cloud) -> None:
    user, project, token = await cloud.member()
    path = f"users/{user['id']}/application_credentials"
    made = await cloud.make("application_credential", path, token)
    grant = {"grant_type": "client_credentials"}
    reply = await ask_token(cloud, (made["id"], made["secret"]), **grant)
    assert reply.status_code == 200, reply.text
    said = reply.json()
    assert said["token_type"] == "Bearer" and 3590 < said["expires_in"] <= 3600
    assert reply.headers["cache-control"] == "no-store"
    found = (await cloud.validate(said["access_token"])).json()["token"]
    assert found["project"]["id"] == project["id"] and found["user"]["id"] == user["id"]
    by_form = {"client_id": made["id"], "client_secret": made["secret"]}
    assert (await ask_token(cloud, **grant, **by_form)).status_code == 200
    for auth, form_, status, error in (
        ((made["id"], "wrong"), grant, 401, "invalid_client"),
        ((user["id"], PASSWORD), grant, 401, "invalid_client"),
        (("\0", "x"), grant, 401, "invalid_client"),
        (None, {**grant, "client_id": "\0", "client_secret": "x"}, 401, "invalid_client"),
        (None, grant, 401, "invalid_client"),
        ((made["id"], made["secret"]), {}, 400, "invalid_request"),
        ((made["id"], made["secret"]), {"grant_type": "password"}, 400, "unsupported_grant_type"),
    ):
        reply = await ask_token(cloud, auth, **form_)
        assert (reply.status_code, reply.json()["error"]) == (status, error)
    broken = {"Authorization": "Basic " + base64.b64encode(b"\xff").decode()}
    reply = await cloud.http.post("/v3/OS-OAUTH2/token", data=grant, headers=broken)
    assert reply.status_code == 401
