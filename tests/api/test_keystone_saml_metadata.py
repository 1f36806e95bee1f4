"""Metadata of SAML providers at URLs: new certificates count by themselves."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from keystone_cloud import Cloud
from saml_forge import (
    IDP,
    ISSUER,
    METADATA,
    OTHER,
    PAOS,
    SAML_AUTH,
    ask,
    bring,
    response,
    saml_cloud,
    sign,
)
from tests.certificates import Pair, pair

from aerostat.assembly.engines import free_port
from aerostat.kit.http.serve import HttpServer

NEW = pair("new")


class Publisher:
    """Serves the metadata of a provider that signs with `pair`, or what a test says."""

    def __init__(self) -> None:
        self.pair, self.status, self.broken, self.asked = IDP, 200, b"", 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked += 1
        raw = self.broken or metadata_of(self.pair)
        headers = [(b"content-type", b"application/samlmetadata+xml")]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": raw})


def metadata_of(signer: Pair) -> bytes:
    body = "".join(signer.certificate_pem.decode().splitlines()[1:-1])
    return METADATA.format(issuer=ISSUER, certificate=body).encode()


@asynccontextmanager
async def published(path: Path, **options: str) -> AsyncIterator[tuple[Cloud, Publisher]]:
    port, publisher = free_port(), Publisher()
    server = HttpServer(publisher, "127.0.0.1", port)
    await server.start()
    url = f"http://127.0.0.1:{port}/metadata"
    async with saml_cloud(path, metadata_url=url, **options) as cloud:
        yield cloud, publisher
    await server.stop()


async def status(cloud: Cloud, signer: Pair) -> int:
    begun = await cloud.http.get(SAML_AUTH, headers=PAOS)
    if begun.status_code != 200:
        return begun.status_code
    return (await bring(cloud, sign(response(cloud, await ask(cloud)), by=signer))).status_code


async def test_a_provider_changes_its_key(tmp_path: Path) -> None:
    async with published(tmp_path) as (cloud, publisher):
        assert await status(cloud, IDP) == 201 and publisher.asked == 1
        assert await status(cloud, IDP) == 201 and publisher.asked == 1
        publisher.pair = NEW
        for _ in range(3):  # Strangers cannot make us ask all the time.
            assert await status(cloud, OTHER) == 401
        assert publisher.asked == 1
        cloud.clock.time += 11
        assert await status(cloud, NEW) == 201 and publisher.asked == 2
        assert await status(cloud, IDP) == 401
        for publisher.status, publisher.broken in (
            (500, b""),
            (200, b"<x/>"),
            (200, b"<" * 600_000),
        ):
            cloud.clock.time += 3601
            asked = publisher.asked
            assert await status(cloud, NEW) == 201 and publisher.asked == asked + 1
            assert await status(cloud, OTHER) == 401 and publisher.asked == asked + 1
        publisher.status, publisher.broken, publisher.pair = 200, b"", IDP
        cloud.clock.time += 11
        assert await status(cloud, IDP) == 201


@pytest.mark.parametrize("file", [True, False])
async def test_a_provider_that_was_never_in_reach(tmp_path: Path, file: bool) -> None:
    options = {} if file else {"metadata_file": ""}
    async with published(tmp_path, **options) as (cloud, publisher):
        publisher.status = 404
        assert await status(cloud, IDP) == (201 if file else 503)


async def test_metadata_come_by_https(tmp_path: Path) -> None:
    options = {"metadata_url": "http://idp.example.org/metadata", "metadata_file": ""}
    async with saml_cloud(tmp_path, **options) as cloud:
        assert await status(cloud, IDP) == 503
