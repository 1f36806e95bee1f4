"""A small client of the public APIs: a token, the catalogue, requests with JSON bodies.

The command line has to answer within a blink; the SDK alone takes longer than that to import.
"""

import functools
import http.client
import json
import ssl
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from msgspec import Struct

from aerostat.cli.console import CliError
from aerostat.cli.places import write_private

TIMEOUT_S = 60.0
TOKEN_MARGIN_S = 60.0
MICROVERSIONS = {"compute": "compute 2.96", "placement": "placement 1.39"}


class Login(Struct, frozen=True):
    """Who speaks, and to which cloud."""

    auth_url: str
    user: str
    password: str
    project: str
    domain: str = "Default"
    region: str = "RegionOne"
    cacert: str = ""
    """A PEM file: who signs the APIs' certificates, beside those that the machine trusts."""


class ApiError(CliError):
    """An API refused; `status` is 0 when nobody answered."""

    def __init__(self, status: int, message: str, advice: str = "") -> None:
        super().__init__(message, advice)
        self.status = status


class _Token(Struct):
    id: str
    expires: float
    catalog: dict[str, str]
    project_id: str


class Cloud:
    """The cloud as one user sees it. A token cached in a file saves the next command a login."""

    def __init__(self, login: Login, cache: Path | None = None) -> None:
        self.login = login
        self._cache = cache
        self._token: _Token | None = None

    @property
    def project_id(self) -> str:
        """Return the id of the user's project."""
        return self._valid().project_id

    def get(self, service: str, path: str, **query: Any) -> Any:
        tail = "?" + urlencode(query, doseq=True) if query else ""
        return self.call("GET", service, path + tail)

    def list(self, service: str, noun: str, path: str = "", **query: Any) -> list[Any]:
        """Return every item of a collection, page after page."""
        answer = self.get(service, path or f"/{noun}", **query)
        found: list[Any] = answer[noun]
        while following := _next_page(answer, noun):
            answer = self.call("GET", service, following)
            found += answer[noun]
        return found

    def post(self, service: str, path: str, body: Any) -> Any:
        return self.call("POST", service, path, body)

    def delete(self, service: str, path: str) -> bool:
        """Delete something; tell whether it was there."""
        try:
            self.call("DELETE", service, path)
        except ApiError as why:
            if why.status != 404:
                raise
            return False
        return True

    def call(self, method: str, service: str, path: str, body: Any = None) -> Any:
        """Return the answer's JSON. Raises: ApiError."""
        data = None if body is None else json.dumps(body).encode()
        status, raw = self._send(method, service, path, data, "application/json")
        if status == 401 and self._token is not None:  # a cached token of an earlier cloud
            self._forget()
            status, raw = self._send(method, service, path, data, "application/json")
        return _answer(status, raw, f"{method} {service} {path}")

    def upload(self, service: str, path: str, chunks: Iterable[bytes]) -> None:
        """PUT bytes as they come."""
        status, raw = self._send("PUT", service, path, chunks, "application/octet-stream")
        _answer(status, raw, f"PUT {service} {path}")

    def _send(
        self, method: str, service: str, path: str, data: bytes | Iterable[bytes] | None, kind: str
    ) -> tuple[int, bytes]:
        token = self._valid()
        if service not in token.catalog:
            raise ApiError(404, f"the catalogue has no {service} service", "./aerostat status")
        url = path if path.startswith("http") else token.catalog[service] + path
        headers = {"X-Auth-Token": token.id, "Content-Type": kind, "Accept": "application/json"}
        if service in MICROVERSIONS:
            headers["OpenStack-API-Version"] = MICROVERSIONS[service]
        status, raw, _ = send(method, url, data, headers, cacert=self.login.cacert)
        return status, raw

    def _valid(self) -> _Token:
        if self._token is None:
            self._token = self._cached()
        if self._token is None or self._token.expires < time.time() + TOKEN_MARGIN_S:
            self._token = log_in(self.login)
            if self._cache is not None and self._cache.parent.exists():
                text = json.dumps({k: getattr(self._token, k) for k in _Token.__struct_fields__})
                write_private(self._cache, text)
        return self._token

    def _cached(self) -> _Token | None:
        try:
            return _Token(**json.loads(self._cache.read_text())) if self._cache else None
        except (OSError, ValueError, TypeError):
            return None

    def _forget(self) -> None:
        self._token = None
        if self._cache is not None:
            self._cache.unlink(missing_ok=True)


def log_in(login: Login) -> _Token:
    """Return a token for the user's project. Raises: ApiError."""
    domain = {"name": login.domain}
    user = {"name": login.user, "domain": domain, "password": login.password}
    identity = {"methods": ["password"], "password": {"user": user}}
    scope = {"project": {"name": login.project, "domain": domain}}
    body = json.dumps({"auth": {"identity": identity, "scope": scope}}).encode()
    url, headers = f"{login.auth_url}/auth/tokens", {"Content-Type": "application/json"}
    status, raw, answered = send("POST", url, body, headers, cacert=login.cacert)
    doc = _answer(status, raw, f"login of {login.user}")["token"]
    when = time.strptime(doc["expires_at"][:19], "%Y-%m-%dT%H:%M:%S")
    catalog = {
        entry["type"]: endpoint["url"].rstrip("/")
        for entry in doc["catalog"]
        for endpoint in entry["endpoints"]
        if endpoint["interface"] == "public" and endpoint["region"] == login.region
    }
    expires = float(time.mktime(when) - time.timezone)
    return _Token(answered["X-Subject-Token"] or "", expires, catalog, doc["project"]["id"])


def send(
    method: str,
    url: str,
    data: bytes | Iterable[bytes] | None = None,
    headers: dict[str, str] | None = None,
    *,
    timeout_s: float = TIMEOUT_S,
    cacert: str = "",
) -> tuple[int, bytes, http.client.HTTPMessage]:
    """Return status, body and headers. Raises: ApiError with status 0 when nobody answers."""
    at = urlsplit(url)
    target = (at.path or "/") + (f"?{at.query}" if at.query else "")
    connection: http.client.HTTPConnection
    if at.scheme == "https":
        context = _trusting(cacert)
        connection = http.client.HTTPSConnection(
            at.hostname or "", at.port, timeout=timeout_s, context=context
        )
    else:
        connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=timeout_s)
    try:
        connection.request(method, target, body=data, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    except (OSError, http.client.HTTPException) as why:
        text = f"nobody answers at {at.scheme}://{at.netloc} ({why})"
        raise ApiError(0, text, "./aerostat status shows what runs; ./aerostat up starts") from why
    finally:
        connection.close()


@functools.cache
def _trusting(cacert: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if cacert:
        context.load_verify_locations(cacert)
    return context


def _next_page(answer: Any, noun: str) -> str:
    """Return where the next page is: image says it its own way."""
    if isinstance(answer.get("next"), str):
        return str(answer["next"])
    links = answer.get(f"{noun}_links") or []
    for link in links if isinstance(links, list) else []:
        if link["rel"] == "next":
            return str(link["href"])
    return ""


def _answer(status: int, raw: bytes, what: str) -> Any:
    doc: Any = None
    if raw:
        try:
            doc = json.loads(raw)
        except ValueError:
            doc = raw.decode(errors="replace")[:300]
    if status >= 400:
        raise ApiError(status, f"{what}: {status} {_message(doc)}")
    return doc


def _message(doc: Any) -> str:
    """Return the message within any service's error envelope."""
    if isinstance(doc, dict):
        for key in ("message", "detail", "title"):
            if isinstance(doc.get(key), str):
                return str(doc[key])
        for value in doc.values():
            if text := _message(value[0] if isinstance(value, list) and value else value):
                return text
        return ""
    return doc if isinstance(doc, str) else ""
