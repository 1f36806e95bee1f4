"""Every failure a service may report; HTTP status codes are decided in kit.http.errors only.

Fault
├── BadRequest           the request itself is wrong; names the field
├── Unauthorized         who are you
├── Forbidden            seen, but not allowed
├── NotFound             unknown or unseen
├── Conflict             the resource is in a state that does not allow it
├── GenerationConflict   somebody else changed it first; read again, retry
├── QuotaExceeded        over a limit of the project
├── TooLarge             the body or the thing is larger than allowed
├── Unsupported          a method, type or feature that this cloud does not do
├── NoValidHost          no host passes the filters
└── Unavailable          a part is out of reach right now (retryable)
    └── DeadlineExceeded it did not answer in time
"""


class Fault(Exception):
    """An expected failure.

    `code` is stable and dotted, `message` is public, `detail` goes to logs only.
    `retryable` says that the same call may succeed later without any change.
    `headers` are for the HTTP edge (Retry-After and the like).
    """

    code = "internal"
    retryable = False

    def __init__(
        self, message: str = "", *, code: str | None = None, detail: str = "", field: str = ""
    ) -> None:
        super().__init__(message or self.__class__.__doc__ or self.code)
        self.message = message or str(self)
        self.detail = detail
        self.field = field
        self.headers: dict[str, str] = {}
        if code is not None:
            self.code = code


class BadRequest(Fault):
    """The request is malformed."""

    code = "bad_request"


class Unauthorized(Fault):
    """The request you have made requires authentication."""

    code = "unauthorized"


class Forbidden(Fault):
    """You are not authorized to perform the requested action."""

    code = "forbidden"


class NotFound(Fault):
    """The resource could not be found."""

    code = "not_found"


class Conflict(Fault):
    """The resource is in a state that does not allow this."""

    code = "conflict"


class GenerationConflict(Conflict):
    """The resource was changed by another request."""

    code = "generation_conflict"


class QuotaExceeded(Fault):
    """Quota exceeded."""

    code = "quota_exceeded"


class TooLarge(Fault):
    """The request is too large."""

    code = "too_large"


class Unsupported(Fault):
    """This cloud does not support that."""

    code = "unsupported"


class NoValidHost(Fault):
    """No valid host was found."""

    code = "no_valid_host"


class Unavailable(Fault):
    """A part of the cloud is out of reach."""

    code = "unavailable"
    retryable = True


class DeadlineExceeded(Unavailable):
    """No answer in time."""

    code = "deadline_exceeded"


BY_CODE: dict[str, type[Fault]] = {
    kind.code: kind
    for kind in (
        Fault,
        BadRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        Conflict,
        GenerationConflict,
        QuotaExceeded,
        TooLarge,
        Unsupported,
        NoValidHost,
        Unavailable,
        DeadlineExceeded,
    )
}


def kind_of(fault: Fault) -> str:
    """Return the code of the nearest kind in the tree above that `fault` is."""
    for code, kind in reversed(BY_CODE.items()):
        if isinstance(fault, kind):
            return code
    return Fault.code
