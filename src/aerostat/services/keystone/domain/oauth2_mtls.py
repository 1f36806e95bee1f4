"""OAuth 2.0 clients that prove by a certificate who they are. Source: RFC 8705; keystone.

The client id is a user's id. What the certificate says goes through the mapping
`oauth2_cert_dn_mapping_id`, and must be that user.
"""

from cryptography import x509
from cryptography.x509.oid import NameOID

from aerostat.kit.db.engine import Tx
from aerostat.services.keystone.db import stores
from aerostat.services.keystone.db.actors import UserRecord
from aerostat.services.keystone.domain import authentication, identity, revocation
from aerostat.services.keystone.domain.proofs import Proven, check_active
from aerostat.services.keystone.domain.tokens import Resolved, refusal
from aerostat.services.keystone.model.federation import Mapping
from aerostat.services.keystone.model.mapping_engine import MappingFailed, apply
from aerostat.services.keystone.runtime import Keystone

METHOD = "oauth2_credential"


async def issue(keystone: Keystone, user_id: str, pem: str, thumbprint: str) -> Resolved:
    """Return a token of a user for the default project, bound to the certificate.

    TLS has verified that. Raises: Unauthorized.
    """
    await revocation.refresh(keystone)
    record = await identity.record(keystone, user_id)
    if record is None or not record.user.default_project_id:
        raise refusal("the client is no user, or has no default project")
    check_active(keystone, record)
    mapping = await keystone.db.read(_mapping, keystone.config.oauth2_cert_dn_mapping_id)
    if mapping is None:
        raise refusal("the mapping of certificates is not there")
    try:
        mapped = apply(mapping, attributes(pem))
    except (MappingFailed, ValueError) as why:
        raise refusal(f"the certificate is nobody's: {why}") from why
    _check_same(mapped.user, record)
    proven = Proven(record, (METHOD,))
    project_id = record.user.default_project_id
    return await authentication.issue_for(keystone, proven, project_id, thumbprint)


def _mapping(tx: Tx, mapping_id: str) -> Mapping | None:
    return stores.mappings.get(tx, mapping_id)


def attributes(pem: str) -> dict[str, tuple[str, ...]]:
    """Return the names in a certificate as Apache's mod_ssl calls them. Raises: ValueError."""
    certificate = x509.load_pem_x509_certificate(pem.encode())
    found: dict[str, tuple[str, ...]] = {}
    for whose, name in (("SUBJECT", certificate.subject), ("ISSUER", certificate.issuer)):
        for part in name:
            called = part.rfc4514_attribute_name
            if part.oid == NameOID.EMAIL_ADDRESS:
                called = "emailAddress"
            key = f"SSL_CLIENT_{whose}_DN_{called.upper()}"
            found[key] = (*found.get(key, ()), str(part.value))
    return found


def _check_same(user: dict[str, object], record: UserRecord) -> None:
    """Raises: Unauthorized, unless the mapping means this user, and says who at all."""
    domain = user.get("domain")
    where = domain if isinstance(domain, dict) else {}
    claimed = {
        "id": (user.get("id"), record.user.id),
        "name": (user.get("name"), record.user.name),
        "email": (user.get("email"), record.user.extra.get("email")),
        "domain id": (where.get("id"), record.domain.id),
        "domain name": (where.get("name"), record.domain.name),
    }
    if not (user.get("id") or user.get("name")):
        raise refusal("the mapping of certificates names nobody")
    for what, (said, known) in claimed.items():
        if said and said != known:
            raise refusal(f"the certificate has another {what} than the client")
