"""Tokens for requests that are signed with an EC2 credential. Source: api-ref, ec2tokens.

The token has what the credential was made with and no more: its trust, application credential
or access token, and only in the project that both name.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from aerostat.kit.clock import parse_iso
from aerostat.kit.errors import NotFound, Unauthorized
from aerostat.services.keystone.db import stores
from aerostat.services.keystone.domain import revocation, secrets
from aerostat.services.keystone.domain.authentication import (
    issue_for,
    issue_for_access_token,
    issue_for_credential,
    issue_for_trust,
)
from aerostat.services.keystone.domain.proofs import Proven
from aerostat.services.keystone.domain.tokens import Resolved, active_user, refusal
from aerostat.services.keystone.model.auth import ScopeRequest
from aerostat.services.keystone.model.secrets import Credential
from aerostat.services.keystone.model.signatures import (
    Ec2Request,
    ec2_signature,
    s3_signature,
    timestamp_of,
)
from aerostat.services.keystone.model.tokens import SIGNED
from aerostat.services.keystone.runtime import Keystone

Signed = Mapping[str, Any]
Signature = Callable[[Signed, str], list[str]]
"""Returns the signatures that would be right for a request under a secret. Raises: ValueError."""

BASIC = "%Y%m%dT%H%M%SZ"


def credential_id(access: str) -> str:
    """Return the id of the credential with this access key."""
    return hashlib.sha256(access.encode()).hexdigest()


def ec2(signed: Signed, secret: str) -> list[str]:
    """Signatures of an EC2 request; some clients leave the port out of what they sign."""
    host = str(signed.get("host", ""))
    return [ec2_signature(_request(signed, h), secret) for h in (host, host.rpartition(":")[0])]


def _request(signed: Signed, host: str) -> Ec2Request:
    return msgspec.convert(
        {
            "verb": signed.get("verb", ""),
            "host": host,
            "path": signed.get("path", ""),
            "params": signed.get("params") or {},
            "headers": signed.get("headers") or {},
            "body_hash": signed.get("body_hash", ""),
        },
        Ec2Request,
    )


def s3(signed: Signed, secret: str) -> list[str]:
    """Signatures of an S3 request, whose string to sign came as its token."""
    text = str(signed.get("token", ""))
    return [s3_signature(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), secret)]


async def authenticate(keystone: Keystone, signed: Signed, signature: Signature) -> Resolved:
    """Return a token for the user of the EC2 credential that signed a request.

    Raises: Unauthorized (no or a wrong signature, too old), NotFound (no such access key).
    """
    await revocation.refresh(keystone)
    access = signed.get("access")
    if not isinstance(access, str) or not access:
        raise Unauthorized("EC2 Signature not supplied")
    sealed = await keystone.db.read(stores.credentials.get, credential_id(access))
    if sealed is None or sealed.type != "ec2":
        raise NotFound("EC2 access key not found.")
    credential = secrets.unsealed(keystone, sealed)
    blob = msgspec.json.decode(credential.blob, type=dict[str, Any])
    _check(signed, str(blob.get("secret", "")), signature)
    _check_age(keystone, signed)
    return await _token(keystone, credential, blob)


def _check(signed: Signed, secret: str, signature: Signature) -> None:
    given = signed.get("signature")
    if not isinstance(given, str) or not given or not secret:
        raise Unauthorized("EC2 signature not supplied.")
    try:
        right = signature(signed, secret)
    except (ValueError, KeyError, msgspec.ValidationError) as why:
        raise Unauthorized("Invalid EC2 signature.") from why
    if not any(hmac.compare_digest(given.encode(), one.encode()) for one in right):
        raise Unauthorized("Invalid EC2 signature.")


def _check_age(keystone: Keystone, signed: Signed) -> None:
    """Raises: Unauthorized, if it was signed too long ago, or later. Source: CVE-2020-12692."""
    stamp = timestamp_of(signed)
    if not stamp:
        return
    try:
        when = _when(stamp)
    except ValueError as why:
        raise Unauthorized("Credential timestamp is invalid") from why
    if abs(keystone.clock.now() - when) > keystone.config.auth_ttl * 60:
        raise Unauthorized("Credential is expired")


def _when(stamp: str) -> float:
    if "-" in stamp:
        return parse_iso(stamp)
    return datetime.strptime(stamp, BASIC).replace(tzinfo=UTC).timestamp()


async def _token(keystone: Keystone, credential: Credential, blob: Mapping[str, Any]) -> Resolved:
    try:
        user = await active_user(keystone, credential.user_id)
        proven = Proven(user, (SIGNED,))
        if blob.get("trust_id"):
            return await _by_trust(keystone, proven, blob["trust_id"], credential)
        if blob.get("app_cred_id"):
            return await _by_credential(keystone, proven, blob["app_cred_id"], credential)
        if blob.get("access_token_id"):
            return await _by_access_token(keystone, proven, blob["access_token_id"], credential)
        return await issue_for(keystone, proven, credential.project_id)
    except NotFound as why:
        raise refusal(why.message) from why


async def _by_trust(
    keystone: Keystone, proven: Proven, trust_id: str, credential: Credential
) -> Resolved:
    trust = await keystone.db.read(stores.trusts.get, trust_id)
    parties = (trust.trustor_user_id, trust.trustee_user_id) if trust else ()
    if (
        trust is None
        or trust.project_id != credential.project_id
        or credential.user_id not in parties
    ):
        raise refusal("the trust is gone, or for another project")
    trustee = await active_user(keystone, trust.trustee_user_id)
    return await issue_for_trust(keystone, replace(proven, user=trustee), trust_id)


async def _by_credential(
    keystone: Keystone, proven: Proven, app_cred_id: str, credential: Credential
) -> Resolved:
    found = await keystone.db.read(stores.application_credentials.get, app_cred_id)
    if found is None or found.user_id != credential.user_id:
        raise refusal("the application credential is gone")
    if found.project_id != credential.project_id:
        raise Unauthorized(
            "EC2 credential project does not match the application credential project."
        )
    limited = replace(proven, credential=found)
    return await issue_for_credential(keystone, limited, ScopeRequest())


async def _by_access_token(
    keystone: Keystone, proven: Proven, token_id: str, credential: Credential
) -> Resolved:
    found = await keystone.db.read(stores.access_tokens.get, token_id)
    if found is None or found.user_id != credential.user_id:
        raise refusal("the access token is gone")
    if found.project_id != credential.project_id:
        raise Unauthorized("EC2 credential project does not match the OAuth1 access token project.")
    return await issue_for_access_token(keystone, replace(proven, access_token=found))
