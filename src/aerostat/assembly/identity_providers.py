"""Whether what [keystone.federation] points at is there: for `aerostat config check`."""

import time
from pathlib import Path

from cryptography.x509 import load_pem_x509_certificate

from aerostat.assembly.services import keystone_config
from aerostat.assembly.settings import Settings
from aerostat.kit.errors import BadRequest, Unavailable
from aerostat.services.keystone.drivers.openid import openid_providers
from aerostat.services.keystone.drivers.saml_peers import HttpPeers
from aerostat.services.keystone.federation_config import OpenIdClient, SamlPeer
from aerostat.services.keystone.saml.request import private_key


def configured(settings: Settings) -> dict[str, OpenIdClient | SamlPeer]:
    """Return how each provider and protocol is configured. Raises: BadRequest."""
    tables = keystone_config(settings).federation
    return {
        f"{idp_id}.{protocol_id}": config
        for idp_id, protocols in tables.items()
        for protocol_id, config in protocols.items()
    }


async def check(config: OpenIdClient | SamlPeer) -> str:
    """Return what a provider is. Raises: BadRequest (a file), Unavailable (no answer)."""
    try:
        if isinstance(config, SamlPeer):
            return await _saml(config)
        if config.client_secret_file:
            Path(config.client_secret_file).read_text()
    except (OSError, ValueError) as why:
        raise BadRequest(str(why), field="federation") from why
    endpoint = await openid_providers()(config).authorization_endpoint(time.time())
    return f"{config.issuer}: {endpoint}"


async def _saml(config: SamlPeer) -> str:
    try:
        found = await HttpPeers()(config, time.time())
    except Unavailable as why:
        raise ValueError(why.detail) from why
    keys = [private_key(Path(file).read_bytes()) for file in config.old_key_files]
    if config.key_file:
        keys.append(private_key(Path(config.key_file).read_bytes()))
    elif found.wants_signed:
        raise ValueError("the provider wants signed requests, and there is no key_file")
    if config.certificate_file:
        certificate = load_pem_x509_certificate(Path(config.certificate_file).read_bytes())
        if not keys or certificate.public_key() != keys[-1].public_key():
            raise ValueError("certificate_file is not of key_file")
    return f"{found.entity_id}: {len(found.certificates)} certificate(s)"
