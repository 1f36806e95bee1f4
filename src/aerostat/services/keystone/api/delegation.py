"""What a token may not do that came of a delegation: a trust, an application credential, OAuth1.

Source: keystone bugs 1872735 (OSSA-2020-004), 2150089.
"""

from typing import Any

from aerostat.kit.context import Context
from aerostat.kit.errors import Forbidden
from aerostat.kit.http.route import Request

DELEGATIONS = {
    "trust_id": "trust_id",
    "app_cred_id": "application_credential_id",
    "access_token_id": "access_token_id",
}
"""What EC2 credentials call each delegation, and where the caller's identity has it."""


def check_unsigned(who: Context) -> None:
    """Raises: Forbidden, if somebody comes with the token of a signed EC2 or S3 request.

    Such tokens are for the service that got them. Source: keystone, 910ebab06 (2026).
    """
    if who.extra.get("signed"):
        raise Forbidden("EC2 credential tokens cannot be used for authorization.")


def undelegated(req: Request[Any], what: str) -> None:
    """Raises: Forbidden, if the caller's token came of any delegation."""
    if any(name in req.ctx.extra for name in DELEGATIONS.values()):
        raise Forbidden(f"{what} with a token issued via delegation.")


def unrestricted(req: Request[Any], what: str) -> None:
    """Raises: Forbidden, if the caller comes with a restricted application credential."""
    if req.ctx.extra.get("restricted"):
        raise Forbidden(
            f"Using method 'application_credential' is not allowed for managing additional {what}."
        )


def within(req: Request[Any], project_id: str) -> bool:
    """Tell whether the caller's token may touch a secret of this project, "" for of none."""
    delegated = any(name in req.ctx.extra for name in DELEGATIONS.values())
    return not delegated or (bool(project_id) and project_id == req.ctx.project_id)


def check_within(req: Request[Any], project_id: str) -> None:
    """Raises: Forbidden, unless the caller's token may touch a secret of this project."""
    if not within(req, project_id):
        raise Forbidden(
            "Credential project does not match the project scope of the delegated token"
        )
