"""The pages of a login in a browser. They run no script but their own and leak nothing."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template

from aerostat.kit.http.route import Reply
from aerostat.services.keystone.api.token_views import SignedIn, signed_in
from aerostat.services.keystone.domain.tokens import Resolved
from aerostat.services.keystone.runtime import Keystone

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
HTML = "text/html; charset=utf-8"

SUBMIT = "document.forms['sso'].submit();"
_SUBMIT_HASH = base64.b64encode(hashlib.sha256(SUBMIT.encode()).digest()).decode()

PAGE = Template(
    """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Single sign-on</title></head>
<body>
<form id="sso" name="sso" action="$host" method="post">
<p>$words One moment, please ...</p>
$fields
<noscript><input type="submit" value="Continue"></noscript>
</form>
<script>"""
    + SUBMIT
    + """</script>
</body>
</html>
"""
)

FORM_HEADERS = {**NO_STORE, "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"}
OWN_FORM_HEADERS = {
    **FORM_HEADERS,
    "Content-Security-Policy": f"default-src 'none'; script-src 'sha256-{_SUBMIT_HASH}'; "
    "frame-ancestors 'none'",
}


def hand_over(keystone: Keystone, origin: str, found: Resolved) -> SignedIn:
    """Return the page that posts a token to the dashboard where the login began."""
    if file := keystone.config.sso_callback_template:
        page = Template(Path(file).read_text())
        raw = page.safe_substitute(host=escape(origin), token=escape(found.text)).encode()
        headers = FORM_HEADERS
    else:
        raw = _form(origin, {"token": found.text}, "You are logged in.")
        headers = OWN_FORM_HEADERS
    return signed_in(found, raw=raw, status=200, headers=headers, content_type=HTML)


def send(url: str, fields: Mapping[str, str], headers: Mapping[str, str], words: str) -> Reply:
    """Return the page that posts a form to a provider."""
    raw = _form(url, fields, words)
    return Reply(raw=raw, status=200, headers={**OWN_FORM_HEADERS, **headers}, content_type=HTML)


def _form(url: str, fields: Mapping[str, str], words: str) -> bytes:
    inputs = "\n".join(
        f'<input type="hidden" name="{escape(name)}" id="{escape(name)}" value="{escape(value)}">'
        for name, value in fields.items()
    )
    return PAGE.substitute(host=escape(url), fields=inputs, words=words).encode()


def choose(choices: Sequence[tuple[str, str]]) -> Reply:
    """Return the page on which somebody says who vouches for them: names and URLs."""
    items = "".join(f'<li><a href="{escape(url)}">{escape(name)}</a></li>' for name, url in choices)
    return _plain("Log in with", f"<ul>{items}</ul>")


def say(words: str) -> Reply:
    """Return a page that says something."""
    return _plain(words, "")


def _plain(title: str, body: str) -> Reply:
    raw = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title></head>"
        f"<body><h1>{escape(title)}</h1>{body}</body></html>\n"
    )
    policy = "default-src 'none'; frame-ancestors 'none'"
    headers = {**NO_STORE, "Content-Security-Policy": policy, "X-Frame-Options": "DENY"}
    return Reply(raw=raw.encode(), status=200, headers=headers, content_type=HTML)
