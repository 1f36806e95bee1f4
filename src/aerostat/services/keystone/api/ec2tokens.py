"""/v3/ec2tokens and /v3/s3tokens: tokens for requests that other services were sent.

Only services and administrators may ask, for a signature that leaked would else be a login.
Source: OSSA-2025-002.
"""

from typing import Any

from aerostat.kit.errors import BadRequest
from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.services.keystone import policies
from aerostat.services.keystone.api import token_views
from aerostat.services.keystone.api.token_views import signed_in
from aerostat.services.keystone.domain import ec2
from aerostat.services.keystone.runtime import Keystone
from aerostat.services.keystone.schemas.auth import SignedPost

routes: Routes[Keystone] = Routes("ec2tokens")


def _signed(body: SignedPost) -> dict[str, Any]:
    found = body.credentials or body.credential or body.ec2_credentials
    if not found and not body.extra:
        raise BadRequest("request must include a request body", field="credentials")
    return found or {}


@routes.post("/ec2tokens", policy=policies.EC2_TOKENS, body=SignedPost, status=200)
async def for_ec2(keystone: Keystone, req: Request[SignedPost]) -> Reply:
    """Give a token for a request that an EC2 credential signed."""
    found = await ec2.authenticate(keystone, _signed(req.body), ec2.ec2)
    body = await token_views.token_body(keystone, found, with_catalog=True)
    return signed_in(found, raw=body, headers={"X-Subject-Token": found.text})


@routes.post("/s3tokens", policy=policies.S3_TOKENS, body=SignedPost, status=200)
async def for_s3(keystone: Keystone, req: Request[SignedPost]) -> Reply:
    """Tell who signed a request to S3; the token itself stays here."""
    found = await ec2.authenticate(keystone, _signed(req.body), ec2.s3)
    body = await token_views.token_body(keystone, found, with_catalog=True)
    return signed_in(found, raw=body)
