"""Signatures of OAuth 1.0a. Source: RFC 5849, sections 3.3 to 3.5."""

import base64
import hmac
import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from aerostat.services.keystone.model.auth import SignedRequest

_PAIR = re.compile(r'^\s*([A-Za-z0-9_%.~-]+)\s*=\s*"([^"]*)"\s*$')
METHODS = ("HMAC-SHA1", "HMAC-SHA256", "HMAC-SHA512")
FORM = "application/x-www-form-urlencoded"
DEFAULT_PORTS = {"http": 80, "https": 443}


def parameters(header: str) -> dict[str, str]:
    """Return the parameters of an Authorization header, decoded. Raises: ValueError."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() != "oauth":
        raise ValueError("not an OAuth header")
    found: dict[str, str] = {}
    for part in filter(None, map(str.strip, rest.split(","))):
        pair = _PAIR.match(part)
        if pair is None or unquote(pair[1]) in found:
            raise ValueError("malformed OAuth header")
        found[unquote(pair[1])] = unquote(pair[2])
    return found


def signature(
    request: SignedRequest, oauth: dict[str, str], client_secret: str, token_secret: str
) -> str:
    """Return the signature that `request` must bear, whose method `oauth` names."""
    pairs = [*request.query, *((k, v) for k, v in oauth.items() if k not in UNSIGNED)]
    base = "&".join(map(_escape, (request.method, _base_url(request.url), _normal(pairs))))
    key = f"{_escape(client_secret)}&{_escape(token_secret)}"
    digest = oauth["oauth_signature_method"].removeprefix("HMAC-").lower()
    return base64.b64encode(hmac.digest(key.encode(), base.encode(), digest)).decode()


UNSIGNED = ("oauth_signature", "realm")


def _normal(pairs: Iterable[tuple[str, str]]) -> str:
    return "&".join(f"{k}={v}" for k, v in sorted((_escape(k), _escape(v)) for k, v in pairs))


def _base_url(url: str) -> str:
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    if parts.port and parts.port != DEFAULT_PORTS.get(parts.scheme):
        host += f":{parts.port}"
    return f"{parts.scheme.lower()}://{host}{parts.path or '/'}"


def _escape(text: str) -> str:
    return quote(text, safe="-._~")


def query_pairs(query: str) -> tuple[tuple[str, str], ...]:
    """Return the parameters of a query string, all of which are signed."""
    return tuple(parse_qsl(query, keep_blank_values=True))
