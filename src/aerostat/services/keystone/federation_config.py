"""Options of federation in aerostat.toml: [keystone.federation.<idp>.<protocol>], [keystone.saml].

Source: RFD 0009; keystone's [federation] and [saml] where the meaning is upstream's.
"""

from typing import Literal

from msgspec import Struct

Cipher = Literal["aes128-gcm", "aes192-gcm", "aes256-gcm", "aes128-cbc", "aes192-cbc", "aes256-cbc"]
Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]


class _Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """Base of what stands below [keystone.federation.<idp>.<protocol>]; `kind` says what it is."""


class OpenIdClient(_Table, frozen=True, tag="openid"):
    """This cloud as a relying party of an OpenID Connect provider."""

    issuer: str
    """Who signs, exactly as in tokens; the discovery document is below it."""

    client_id: str
    """What the provider calls this cloud."""

    client_secret_file: str = ""
    """A file with the secret of `client_id`; none for a public client."""

    discovery_url: str = ""
    """Where the discovery document is; <issuer>/.well-known/openid-configuration if empty."""

    scopes: str = "openid email profile"
    """What web logins ask for."""

    clients: tuple[str, ...] = ()
    """Further clients of the provider (command lines, say) whose access tokens are accepted."""

    audiences: tuple[str, ...] = ()
    """Further audiences that may stand in access tokens, beside `client_id`."""

    introspect: bool = False
    """Access tokens are asked about (RFC 7662); otherwise they are JWTs, signed by the provider."""

    algorithms: tuple[Algorithm, ...] = ("RS256", "PS256", "ES256")
    """Signatures that count; never none, never HS..."""

    ca_file: str = ""
    """A PEM file: who signed the provider's TLS certificate; the system's authorities if empty."""

    timeout_s: float = 10.0
    """Seconds that the provider has to answer."""


class SamlPeer(_Table, frozen=True, tag="saml2"):
    """This cloud as a service provider of a SAML 2 identity provider."""

    metadata_file: str = ""
    """The provider's metadata: entity id, certificates, where to log in."""

    metadata_url: str = ""
    """Where the provider publishes them, https: read once an hour, so that new certificates count
    by themselves. `metadata_file` is for when it was never in reach, then."""

    ca_file: str = ""
    """A PEM file: who signed the TLS certificate of `metadata_url`; the system's authorities if
    empty."""

    timeout_s: float = 10.0
    """Seconds that `metadata_url` has to answer."""

    entity_id: str = ""
    """What this cloud calls itself; the URL of its metadata if empty."""

    key_file: str = ""
    """A PEM file: the RSA key that signs requests, and that reads what is encrypted for us.

    Without it requests are not signed, and encrypted assertions are refused.
    """

    certificate_file: str = ""
    """A PEM file: the certificate of `key_file`, which our metadata shows."""

    old_key_files: tuple[str, ...] = ()
    """PEM files: keys that still read, until the provider knows the certificate of the new one."""

    ciphers: tuple[Cipher, ...] = (
        *("aes256-gcm", "aes192-gcm", "aes128-gcm"),
        *("aes256-cbc", "aes192-cbc", "aes128-cbc"),
    )
    """What assertions may be encrypted with; our metadata asks for it in this order.

    ADFS and Azure AD know CBC only; where the provider knows GCM, leave the others out.
    """

    force_authn: bool = False
    """People have to prove who they are each time, whatever the provider remembers of them."""

    name_id_format: str = ""
    """Which kind of name a subject shall have, a URN; the provider chooses if empty."""

    authn_contexts: tuple[str, ...] = ()
    """How people have to log in (classes, URNs), one of these; however they like if empty."""

    unsolicited: bool = False
    """Whether assertions count that nobody here asked for. Needed from keystone to keystone."""

    idp_entity_id: str = ""
    """Which identity provider of the metadata, if they describe several."""


FederationTable = dict[str, dict[str, OpenIdClient | SamlPeer]]


class SamlIdp(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """This cloud as an identity provider for other clouds. Source: keystone [saml]."""

    certfile: str = ""
    """A PEM file: the certificate that other clouds know. [saml] certfile."""

    keyfile: str = ""
    """A PEM file: the RSA key of `certfile`. [saml] keyfile."""

    idp_entity_id: str = ""
    """What this cloud calls itself, a URL. [saml] idp_entity_id."""

    idp_sso_endpoint: str = ""
    """Where logins would begin, a URL that metadata must have. [saml] idp_sso_endpoint."""

    idp_organization_name: str = "SAML Identity Provider"
    """[saml] idp_organization_name."""

    idp_organization_display_name: str = "OpenStack SAML Identity Provider"
    """[saml] idp_organization_display_name."""

    idp_organization_url: str = "https://example.com/"
    """[saml] idp_organization_url."""

    idp_contact_email: str = ""
    """Whom to write to; metadata names nobody if empty. [saml] idp_contact_email."""

    assertion_expiration_time: int = 3600
    """Seconds that an assertion is good for. [saml] assertion_expiration_time."""

    relay_state_prefix: str = "ss:mem:"
    """What begins the relay state of ECP, as Shibboleth expects. [saml] relay_state_prefix."""
