"""Links to the next page, as nova's lists have them."""

from urllib.parse import urlencode

from aerostat.kit.http.route import Request


def page_links(
    req: Request[None], ids: list[str], limit: int | None, most: int
) -> list[dict[str, str]]:
    """Return the link to the next page, if this page was full."""
    if not ids or len(ids) < min(limit or most, most):
        return []
    query = [(k, v) for k, values in req.query.items() for v in values if k != "marker"]
    query.append(("marker", ids[-1]))
    return [{"rel": "next", "href": f"{req.url}?{urlencode(query)}"}]
