"""Placement's microversions, 1.0 to 1.39: what changed between a client's and the newest.

Source: placement documentation, "REST API Version History".
"""

from collections.abc import Callable

from aerostat.kit.http.microversion import Document, Version, VersionChange, Versions


def _change(
    version: str,
    title: str,
    *on: str,
    request: Callable[[Document], Document] | None = None,
    response: Callable[[Document], Document] | None = None,
) -> VersionChange:
    return VersionChange(Version.parse(version), title, frozenset(on), request, response)


def _without_links(*rels: str) -> Callable[[Document], Document]:
    def strip(doc: Document) -> Document:
        for provider in doc.get("resource_providers", [doc]):
            provider["links"] = [x for x in provider["links"] if x["rel"] not in rels]
        return doc

    return strip


def _without_tree(doc: Document) -> Document:
    for provider in doc.get("resource_providers", [doc]):
        provider.pop("parent_provider_uuid", None)
        provider.pop("root_provider_uuid", None)
    return doc


def _bare_aggregates(doc: Document) -> Document:
    doc.pop("resource_provider_generation", None)
    return doc


def _allocations_as_dict(doc: Document) -> Document:
    given = doc.get("allocations")
    if isinstance(given, list):
        doc["allocations"] = {
            a.get("resource_provider", {}).get("uuid", ""): {"resources": a.get("resources")}
            for a in given
        }
    return doc


def _candidates_as_list(doc: Document) -> Document:
    for request in doc["allocation_requests"]:
        request["allocations"] = [
            {"resource_provider": {"uuid": uuid}, "resources": found["resources"]}
            for uuid, found in request["allocations"].items()
        ]
    return doc


def _summaries_without(*names: str) -> Callable[[Document], Document]:
    def strip(doc: Document) -> Document:
        for summary in doc["provider_summaries"].values():
            for name in names:
                summary.pop(name, None)
        return doc

    return strip


def _requests_without_mappings(doc: Document) -> Document:
    for request in doc["allocation_requests"]:
        request.pop("mappings", None)
    return doc


def _holders_without_generation(doc: Document) -> Document:
    for holding in doc["allocations"].values():
        holding.pop("consumer_generation", None)
    return doc


def _without(*names: str) -> Callable[[Document], Document]:
    def strip(doc: Document) -> Document:
        for name in names:
            doc.pop(name, None)
        return doc

    return strip


def _flat_usages(doc: Document) -> Document:
    flat: dict[str, int] = {}
    for usages in doc["usages"].values():
        for name, amount in usages.items():
            if name != "consumer_count":
                flat[name] = flat.get(name, 0) + amount
    doc["usages"] = flat
    return doc


def _any_consumer(doc: Document) -> Document:
    doc.setdefault("consumer_generation", ANY_GENERATION)
    return doc


ANY_GENERATION = -1
"""What a body of before 1.28 says of the consumer's generation: whatever it is."""

PROVIDER, AGGREGATES = "resource_providers", "aggregates"
ALLOCATION, CANDIDATES, USAGES = "allocation", "candidates", "project_usages"
HOLDERS = "provider_allocations"

CHANGES = [
    _change("1.1", "Aggregates", PROVIDER, response=_without_links("aggregates")),
    _change("1.6", "Traits", PROVIDER, response=_without_links("traits")),
    _change("1.11", "Allocations link", PROVIDER, response=_without_links("allocations")),
    _change(
        "1.12",
        "Allocations as objects",
        ALLOCATION,
        request=_allocations_as_dict,
        response=_without("project_id", "user_id"),
    ),
    _change("1.12", "Candidates as objects", CANDIDATES, response=_candidates_as_list),
    _change("1.14", "Nested providers", PROVIDER, response=_without_tree),
    _change("1.17", "Traits in summaries", CANDIDATES, response=_summaries_without("traits")),
    _change(
        "1.19",
        "Generation of aggregates",
        AGGREGATES,
        response=_bare_aggregates,
    ),
    _change(
        "1.28",
        "Consumer generation",
        ALLOCATION,
        request=_any_consumer,
        response=_without("consumer_generation"),
    ),
    _change(
        "1.28",
        "Consumer generation of a provider's allocations",
        HOLDERS,
        response=_holders_without_generation,
    ),
    _change(
        "1.29",
        "Trees in summaries",
        CANDIDATES,
        response=_summaries_without("parent_provider_uuid", "root_provider_uuid"),
    ),
    _change("1.34", "Mappings", CANDIDATES, response=_requests_without_mappings),
    _change("1.38", "Consumer types", ALLOCATION, response=_without("consumer_type")),
    _change("1.38", "Usages by consumer type", USAGES, response=_flat_usages),
]

VERSIONS = Versions("placement", "1.0", "1.39", CHANGES)
