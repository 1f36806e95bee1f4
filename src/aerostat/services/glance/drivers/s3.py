"""Image data as objects of an S3 bucket, signed with AWS Signature Version 4."""

import asyncio
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from aerostat.kit.clock import Clock
from aerostat.kit.errors import BadRequest, NotFound, TooLarge, Unavailable
from aerostat.services.glance.config import S3Store
from aerostat.services.glance.drivers.aws import EMPTY, Signer, digest
from aerostat.services.glance.drivers.web_client import Answer, Client, fault_of, once, span


class S3Driver:
    """`s3://<bucket>/<image id>`; the server and the keys are settings, never in the URL."""

    kind = "s3"
    writable = True
    local = False

    def __init__(self, config: S3Store, clock: Clock) -> None:
        self._bucket, self._part = config.s3_store_bucket, config.s3_store_large_object_chunk_size
        self._large = config.s3_store_large_object_size
        self._root = urlsplit(config.s3_store_host)
        self._signer = Signer(
            config.s3_store_access_key, config.s3_store_secret_key, config.s3_store_region, clock
        )
        self._client = Client(f"{self._root.scheme}://{self._root.netloc}", config.timeout_s)

    @property
    def properties(self) -> dict[str, Any]:
        """What operators are told of the store."""
        return {
            "s3_store_large_object_size": self._large,
            "s3_store_large_object_chunk_size": self._part,
        }

    def url(self, image_id: str) -> str:
        """Return where the data of an image goes."""
        return f"s3://{self._bucket}/{image_id}"

    def owns(self, url: str) -> bool:
        """Tell whether `url` is an object of the bucket."""
        return url.startswith(self.url("")) and len(url) > len(self.url(""))

    async def add(self, image_id: str, source: Path) -> None:
        """Put the object: at once, or in parts if it is large. Raises: TooLarge, Unavailable."""
        size = source.stat().st_size
        path = self._path(self.url(image_id))
        if size <= self._large:
            hashed = await asyncio.to_thread(digest, source, 0, size)
            await self._ask("PUT", path, body=span(source, 0, size), hashed=hashed, length=size)
            return
        started = await self._ask("POST", path, query={"uploads": ""}, expect=(200,))
        upload = {"uploadId": _text(started.body, "UploadId")}
        try:
            await self._parts(path, upload["uploadId"], source, size)
        except BaseException:
            await asyncio.shield(self._ask("DELETE", path, query=upload, expect=(204, 404)))
            raise

    async def _parts(self, path: str, upload: str, source: Path, size: int) -> None:
        done = []
        for number, start in enumerate(range(0, size, self._part), 1):
            length = min(self._part, size - start)
            put = await self._ask(
                "PUT",
                path,
                query={"partNumber": str(number), "uploadId": upload},
                body=span(source, start, length),
                hashed=await asyncio.to_thread(digest, source, start, length),
                length=length,
            )
            tag = put.headers["etag"].strip('"')
            done.append(f"<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>")
        text = f"<CompleteMultipartUpload>{''.join(done)}</CompleteMultipartUpload>".encode()
        reply = await self._ask(
            "POST",
            path,
            query={"uploadId": upload},
            body=once(text),
            hashed=digest(text),
            length=len(text),
        )
        if b"<Error>" in reply.body:  # S3 may say 200 first and fail afterwards.
            raise Unavailable("The S3 store failed.", detail=reply.body[:500].decode("latin-1"))

    async def read(self, url: str, start: int, length: int) -> AsyncIterator[bytes]:
        """Return `length` bytes from `start`. Raises: NotFound, Unavailable."""
        span = {"range": f"bytes={start}-{start + length - 1}"}
        path = self._path(url)
        headers = self._sign("GET", path, {}, EMPTY, span)
        reply = await self._client.open("GET", path, headers)
        if reply.status != 206:
            failed = await reply.whole()
            raise _fault(failed)
        return reply.pieces()

    async def size(self, url: str) -> int:
        """Return how many bytes the object has. Raises: NotFound, Unavailable."""
        reply = await self._ask("HEAD", self._path(url))
        return int(reply.headers["content-length"])

    async def in_use(self, url: str) -> bool:
        """Return False: nobody can."""
        return False

    async def remove(self, url: str) -> None:
        """Delete the object if it is there. Raises: Unavailable."""
        await self._ask("DELETE", self._path(url), expect=(200, 204, 404))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _path(self, url: str) -> str:
        if not self.owns(url):
            raise BadRequest("Invalid location of an object.", field="url")
        key = url.removeprefix(self.url(""))
        return f"{self._root.path.rstrip('/')}/{quote(self._bucket)}/{quote(key)}"

    async def _ask(self, method: str, path: str, **more: Any) -> Answer:
        """Send a signed request; `more`: query, body, hashed, length, expect."""
        query, length = more.get("query", {}), more.get("length", 0)
        extra = {"content-length": str(length)} if method in ("PUT", "POST") else {}
        headers = self._sign(method, path, query, more.get("hashed", EMPTY), extra)
        reply = await self._client.open(method, path, headers, query, more.get("body"))
        answer = await reply.whole()
        if answer.status not in more.get("expect", (200, 204)):
            raise _fault(answer)
        return answer

    def _sign(
        self, method: str, path: str, query: dict[str, str], hashed: str, extra: dict[str, str]
    ) -> dict[str, str]:
        signed = self._signer.headers(method, self._root.netloc, (path, query), hashed)
        return {**signed, **extra}


def _fault(answer: Answer) -> NotFound | TooLarge | Unavailable:
    return fault_of(answer, "The S3 store failed.")


def _text(body: bytes, name: str) -> str:
    try:
        found = [one.text for one in ET.fromstring(body).iter() if one.tag.endswith(name)]
    except ET.ParseError as why:
        raise Unavailable("The S3 store failed.", detail=repr(body[:500])) from why
    if not found or not found[0]:
        raise Unavailable("The S3 store failed.", detail=repr(body[:500]))
    return found[0]
