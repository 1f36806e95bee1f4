"""Status codes of faults, and the error envelope of each upstream API."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from aerostat.kit.errors import Fault

STATUS: dict[str, int] = {
    "bad_request": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "version_out_of_range": 406,
    "conflict": 409,
    "generation_conflict": 409,
    "gone": 410,
    "quota_exceeded": 403,
    "too_large": 413,
    "unsupported_media_type": 415,
    "unsupported": 501,
    "no_valid_host": 500,
    "unavailable": 503,
    "deadline_exceeded": 503,
    "internal": 500,
}

Envelope = Callable[[int, Fault, str], tuple[str, Any]]
"""(status, fault, request id) -> (content type, document)."""


class MethodNotAllowed(Fault):
    """The method is not allowed for this resource."""

    code = "method_not_allowed"


class UnsupportedMediaType(Fault):
    """The content type is not supported."""

    code = "unsupported_media_type"


def status_of(fault: Fault, overrides: Mapping[str, int]) -> int:
    """Return the status of `fault`: by its code, else by the code of the kind it is."""
    if fault.code in overrides:
        return overrides[fault.code]
    for kind in type(fault).__mro__:
        code = str(kind.__dict__.get("code", ""))
        if code in overrides:
            return overrides[code]
        if code in STATUS:
            return STATUS[code]
    return 500


def phrase(status: int) -> str:
    """Return the reason phrase of `status`."""
    return HTTPStatus(status).phrase


def keystone(status: int, fault: Fault, _request_id: str) -> tuple[str, Any]:
    """Source: identity api-ref, "HTTP Status Codes"."""
    message = fault.message
    if status == 403 and fault.field:
        message = f"You are not authorized to perform the requested action: {fault.field}."
    error = {"code": status, "message": message, "title": phrase(status)}
    return "application/json", {"error": error}


def glance(status: int, fault: Fault, _request_id: str) -> tuple[str, Any]:
    """What webob renders for glance when JSON is accepted."""
    return "application/json", {
        "message": fault.message,
        "code": f"{status} {phrase(status)}",
        "title": phrase(status),
    }


_NOVA_NAMES = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    406: "notAcceptable",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}


def nova(status: int, fault: Fault, _request_id: str) -> tuple[str, Any]:
    """Source: compute api-guide, "Faults"."""
    name = _NOVA_NAMES.get(status, "computeFault")
    return "application/json", {name: {"code": status, "message": fault.message}}


def neutron(_status: int, fault: Fault, _request_id: str) -> tuple[str, Any]:
    """Source: networking api-ref; `type` is the fault's code where it names one of neutron's."""
    kind = fault.code if fault.code[:1].isupper() else _NEUTRON_TYPES.get(fault.code, "HTTPError")
    return "application/json", {
        "NeutronError": {"type": kind, "message": fault.message, "detail": ""}
    }


_NEUTRON_TYPES = {
    "bad_request": "HTTPBadRequest",
    "unauthorized": "HTTPUnauthorized",
    "forbidden": "PolicyNotAuthorized",
    "not_found": "HTTPNotFound",
    "conflict": "HTTPConflict",
    "generation_conflict": "RevisionNumberConstraintFailed",
    "quota_exceeded": "OverQuota",
}


def placement(status: int, fault: Fault, request_id: str) -> tuple[str, Any]:
    """Source: API-SIG guideline "Errors"; `code` since placement 1.23."""
    error = {
        "status": status,
        "title": phrase(status),
        "detail": fault.message,
        "code": fault.code if fault.code.startswith("placement.") else _placement_code(fault),
        "request_id": request_id,
    }
    return "application/json", {"errors": [error]}


def _placement_code(fault: Fault) -> str:
    if fault.code == "generation_conflict":
        return "placement.concurrent_update"
    return "placement.undefined_code"
