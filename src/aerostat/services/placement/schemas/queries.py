"""The query language of resources, traits and aggregates. Source: placement api-ref."""

from aerostat.kit.errors import BadRequest
from aerostat.kit.http.schema import Query
from aerostat.kit.ids import is_uuid
from aerostat.services.placement.model.provider import CandidateQuery


def candidate_query(query: Query) -> CandidateQuery:
    """Read resources, required, member_of, in_tree and limit. Raises: BadRequest."""
    required, forbidden = _required(query.all("required"))
    member_of, not_member_of = _member_of(query.all("member_of"))
    in_tree = query.get("in_tree")
    if in_tree is not None and not is_uuid(in_tree):
        raise BadRequest("in_tree must be a UUID.", field="in_tree")
    return CandidateQuery(
        amounts=_amounts(query.get("resources")),
        required=required,
        forbidden=forbidden,
        member_of=member_of,
        not_member_of=not_member_of,
        in_tree=in_tree,
        limit=query.number("limit", None, least=1),
    )


def _amounts(text: str | None) -> dict[str, int]:
    out: dict[str, int] = {}
    for part in text.split(",") if text else ():
        name, _, amount = part.partition(":")
        if not name or not amount.isdecimal() or int(amount) < 1:
            raise BadRequest(
                f"Badly formed resources parameter: {text}. Expected CLASS:AMOUNT,...",
                field="resources",
            )
        out[name.strip()] = int(amount)
    return out


def _required(values: list[str]) -> tuple[list[list[str]], list[str]]:
    groups: list[list[str]] = []
    forbidden: list[str] = []
    for value in values:
        if value.startswith("in:"):
            groups.append([name for name in value[3:].split(",") if name])
            continue
        for name in value.split(","):
            if not name.strip():
                raise BadRequest(f"Invalid query string parameter: {value}", field="required")
            if name.startswith("!"):
                forbidden.append(name[1:])
            else:
                groups.append([name])
    return groups, forbidden


def _member_of(values: list[str]) -> tuple[list[list[str]], list[str]]:
    groups: list[list[str]] = []
    outside: list[str] = []
    for value in values:
        negative = value.startswith("!")
        text = value.removeprefix("!")
        uuids = text.removeprefix("in:").split(",")
        if not all(is_uuid(u) for u in uuids) or (len(uuids) > 1 and not text.startswith("in:")):
            raise BadRequest(
                f"Expected 'member_of' to be a UUID or in:UUID,UUID; got {value}",
                field="member_of",
            )
        if negative:
            outside += uuids
        else:
            groups.append(uuids)
    return groups, outside
