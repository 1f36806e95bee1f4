"""Signatures of requests to EC2 and S3, as their clients make them.

Source: AWS signature versions 0, 1, 2 (EC2 query API), 4; S3 REST authentication.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from msgspec import Struct

V4 = "AWS4-HMAC-SHA256"
S3_SERVICES = ("s3", "iam", "sts")


class Ec2Request(Struct, frozen=True):
    """A signed request as the EC2 endpoint hands it on."""

    verb: str
    host: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    body_hash: str


def ec2_signature(request: Ec2Request, secret: str) -> str:
    """Return the signature that `request` must bear. Raises: ValueError, KeyError (no version)."""
    version = request.params.get("SignatureVersion")
    if version == "0":
        return _v0(request, secret)
    if version == "1":
        return _v1(request, secret)
    if version == "2":
        return _v2(request, secret)
    return _v4(request, secret)


def _encoded(secret: str, text: str, digest: str) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), digest)).decode()


def _v0(request: Ec2Request, secret: str) -> str:
    return _encoded(secret, request.params["Action"] + request.params["Timestamp"], "sha1")


def _v1(request: Ec2Request, secret: str) -> str:
    pairs = sorted(request.params.items(), key=lambda pair: pair[0].lower())
    return _encoded(secret, "".join(name + value for name, value in pairs), "sha1")


def _v2(request: Ec2Request, secret: str) -> str:
    params = {"SignatureMethod": "HmacSHA256", **request.params}
    digest = "sha1" if params["SignatureMethod"] == "HmacSHA1" else "sha256"
    lines = (request.verb, request.host, request.path, _query(params))
    return _encoded(secret, "\n".join(lines), digest)


def _query(params: Mapping[str, str]) -> str:
    return "&".join(f"{_escape(k)}={_escape(v)}" for k, v in sorted(params.items()))


def _escape(text: str) -> str:
    return quote(text, safe="-_.~")


def _v4(request: Ec2Request, secret: str) -> str:
    headers = {name.lower(): value for name, value in request.headers.items()}
    params = request.params
    auth = _authorization(headers.get("authorization", ""))
    credential = auth.get("Credential") or params["X-Amz-Credential"]
    signed = auth.get("SignedHeaders") or params["X-Amz-SignedHeaders"]
    stamp = headers.get("x-amz-date") or params.get("X-Amz-Date") or headers["date"]
    scope = credential.split("/")[1:]
    if len(scope) != 4 or scope[0] != stamp.split("T")[0] or scope[3] != "aws4_request":
        raise ValueError("Request date mismatch error")
    asked = {k: v for k, v in params.items() if k != "X-Amz-Signature"}
    canonical = (
        request.verb.upper(),
        request.path,
        "" if request.verb.upper() == "POST" else _query(asked),
        "".join(f"{name}:{headers[name].strip()}\n" for name in signed.split(";")),
        signed,
        request.body_hash,
    )
    digest = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
    to_sign = "\n".join((V4, stamp, "/".join(scope), digest))
    return hmac.new(_v4_key(secret, scope), to_sign.encode(), hashlib.sha256).hexdigest()


def _authorization(header: str) -> dict[str, str]:
    if not header.startswith(V4):
        return {}
    pairs = (part.strip().partition("=") for part in header[len(V4) :].split(","))
    return {name: value for name, _, value in pairs}


def _v4_key(secret: str, scope: list[str]) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def s3_signature(to_sign: bytes, secret: str) -> str:
    """Return the signature of an S3 client's string to sign. Raises: ValueError (malformed)."""
    if not to_sign.startswith(b"AWS4"):
        return base64.b64encode(hmac.digest(secret.encode(), to_sign, "sha1")).decode()
    lines = to_sign.decode("utf-8", "surrogateescape").split("\n")
    scope = lines[2].split("/") if len(lines) == 4 and lines[0] == V4 else []
    if len(scope) != 4 or scope[3] != "aws4_request" or scope[2] not in S3_SERVICES:
        raise ValueError("not a string to sign of S3")
    return hmac.new(_v4_key(secret, scope), to_sign, hashlib.sha256).hexdigest()


def timestamp_of(credentials: Mapping[str, Any]) -> str:
    """Return when a request says it was signed, "" if it does not."""
    params, headers = credentials.get("params") or {}, credentials.get("headers") or {}
    lower = {str(name).lower(): value for name, value in headers.items()}
    found = params.get("Timestamp") or lower.get("x-amz-date") or params.get("X-Amz-Date")
    return str(found or "")
