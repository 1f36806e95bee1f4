"""A browser as far as logins need one: it follows redirects, keeps cookies and fills in forms."""

from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
from lxml import html

REDIRECTS = (301, 302, 303)
REDIRECTS_MAX = 10
NAVIGATION = {
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Site": "cross-site",
}
"""What browsers say of themselves when somebody goes to another page. Source: Fetch Metadata."""


class Browser:
    """Reaches real servers, and the clouds in `apps` by the hosts of their URLs.

    Cookies are for the host they come from: Python's own jar refuses those of addresses.
    """

    def __init__(self, **apps: Any) -> None:
        mounts = {f"http://{name}": httpx.ASGITransport(app=app) for name, app in apps.items()}
        self._client = httpx.AsyncClient(mounts=mounts, timeout=30)
        self.cookies: dict[str, dict[str, str]] = {}

    async def open(self, url: str) -> httpx.Response:
        """Go to a URL and where it leads."""
        return await self._go("GET", url)

    async def submit(self, page: httpx.Response, **values: str) -> httpx.Response:
        """Fill in the first form of a page that has such fields, and send it."""
        form = self.form(page, *values)
        fields = {name: value or "" for name, value in form.fields.items()}
        url = urljoin(str(page.url), form.action or str(page.url))
        return await self._go(form.method.upper(), url, {**fields, **values})

    async def _go(self, method: str, url: str, data: Any = None) -> httpx.Response:
        for _ in range(REDIRECTS_MAX):
            jar = self.cookies.setdefault(urlsplit(url).netloc, {})
            sent = dict(NAVIGATION)
            if jar:
                sent["Cookie"] = "; ".join(f"{n}={v}" for n, v in jar.items())
            self._client.cookies.clear()
            page = await self._client.request(method, url, data=data, headers=sent)
            for line in page.headers.get_list("set-cookie"):
                jar.update({n: m.value for n, m in SimpleCookie(line).items()})
            if page.status_code not in REDIRECTS:
                return page
            method, url, data = "GET", urljoin(url, page.headers["location"]), None
        raise AssertionError(f"more than {REDIRECTS_MAX} redirects, the last one to {url}")

    @staticmethod
    def form(page: httpx.Response, *names: str) -> Any:
        """Return the first form of a page that has fields of these names."""
        for form in html.fromstring(page.text).forms:
            if set(names) <= set(form.fields.keys()):
                return form
        raise AssertionError(f"{page.status_code} {page.url}: {page.text[:2000]}")

    async def close(self) -> None:
        await self._client.aclose()
