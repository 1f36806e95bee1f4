"""A browser as far as logins need one: it follows redirects, keeps cookies and fills in forms."""

from typing import Any
from urllib.parse import urljoin

import httpx
from lxml import html


class Browser:
    """Reaches real servers, and the clouds in `apps` by the beginning of their URLs."""

    def __init__(self, **apps: Any) -> None:
        mounts = {f"http://{name}": httpx.ASGITransport(app=app) for name, app in apps.items()}
        self._client = httpx.AsyncClient(mounts=mounts, follow_redirects=True, timeout=30)

    async def open(self, url: str) -> httpx.Response:
        """Go to a URL and where it leads."""
        return await self._client.get(url)

    async def submit(self, page: httpx.Response, **values: str) -> httpx.Response:
        """Fill in the first form of a page that has such fields, and send it."""
        form = self.form(page, *values)
        fields = {name: value or "" for name, value in form.fields.items()}
        url = urljoin(str(page.url), form.action or str(page.url))
        return await self._client.request(
            form.method.upper(), url, data={**fields, **values}, headers={"Origin": str(page.url)}
        )

    @staticmethod
    def form(page: httpx.Response, *names: str) -> Any:
        """Return the first form of a page that has fields of these names."""
        for form in html.fromstring(page.text).forms:
            if set(names) <= set(form.fields.keys()):
                return form
        raise AssertionError(f"{page.status_code} {page.url}: {page.text[:2000]}")

    async def close(self) -> None:
        await self._client.aclose()
