"""What an operator may set of keystone; the names are upstream's where the meaning is.

In aerostat.toml they stand below [keystone].
"""

from typing import Literal

from msgspec import Struct

from aerostat.services.keystone.federation_config import FederationTable, SamlIdp


class KeystoneConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of the identity service. Every default runs a whole cloud."""

    public_endpoint: str = ""
    """The URL of this API as clients reach it, without a version; the installation's own by itself.

    Federation goes by it, never by what a request says of its host. [DEFAULT] public_endpoint.
    """

    expiration: int = 3600
    """Seconds that a token is valid. Source: [token] expiration."""

    token_provider: Literal["fernet", "jws"] = "fernet"
    """What tokens are made as; those of the other kind are not understood. [token] provider."""

    allow_rescope_scoped_token: bool = True
    """Whether a scoped token may be exchanged for one with another scope. [token]."""

    allow_expired_window: int = 172_800
    """Seconds after expiry in which services may still validate a token. [token]."""

    max_active_keys: int = 3
    """Keys kept in each repository: staged, primary, secondary. [fernet_tokens]."""

    receipt_expiration: int = 300
    """Seconds in which the remaining methods must follow. Source: [receipt] expiration."""

    methods: tuple[str, ...] = (
        *("password", "token", "application_credential", "totp", "oauth1"),
        *("mapped", "saml2", "openid"),
    )
    """The ways to authenticate that are open. Source: [auth] methods."""

    password_hash_rounds: int = 12
    """Cost of bcrypt, as a power of two. [identity] password_hash_rounds."""

    password_hash_threads: int = 2
    """Passwords that are hashed at the same time."""

    max_password_length: int = 4096
    """Characters of a password. [identity] max_password_length."""

    lockout_failure_attempts: int = 0
    """Wrong passwords after which a user is locked out, 0 for never. [security_compliance]."""

    lockout_duration: int = 1800
    """Seconds that a lockout lasts; 0: until an administrator enables the user."""

    disable_user_account_days_inactive: int = 0
    """Days without a login after which a user counts as disabled, 0 for never."""

    password_expires_days: int = 0
    """Days that a new password is valid, 0 for ever. [security_compliance]."""

    unique_last_password_count: int = 0
    """How many of the last passwords a user may not choose again. [security_compliance]."""

    minimum_password_age: int = 0
    """Days before users may change a password that they chose. [security_compliance]."""

    password_regex: str = ""
    """What every new password must match from its beginning; "" allows any."""

    password_regex_description: str = ""
    """What users are told of password_regex."""

    change_password_upon_first_use: bool = False
    """Whether passwords that an administrator set must be changed before they let anybody in."""

    totp_included_previous_windows: int = 1
    """Earlier 30-second windows whose passcode still counts. [totp]."""

    auth_ttl: int = 15
    """Minutes that a signed EC2 or S3 request is good for. [credential] auth_ttl."""

    user_limit: int = -1
    """Application credentials of a user, -1 for any number. [application_credential]."""

    user_credential_limit: int = -1
    """Credentials of a user, -1 for any number. Source: [credential] user_limit."""

    request_token_duration: int = 28_800
    """Seconds in which a user must agree to an OAuth1 request. [oauth1]."""

    access_token_duration: int = 86_400
    """Seconds that an OAuth1 access token lasts, 0 for ever. [oauth1]."""

    max_redelegation_count: int = 3
    """How often a trust may be passed on. [trust] max_redelegation_count."""

    enforcement_model: Literal["flat", "strict_two_level"] = "flat"
    """How limits of a project relate to its parent's. [unified_limit] enforcement_model."""

    prohibited_implied_role: tuple[str, ...] = ("admin",)
    """Names of roles that no role may imply. [assignment] prohibited_implied_role."""

    max_project_tree_depth: int = 5
    """Levels of projects below their domain. max_project_tree_depth."""

    default_domain_id: str = "default"
    """The domain that is there from the start. [identity] default_domain_id."""

    cache_time: int = 600
    """Seconds that tokens rely on what a user's directory said last. [identity] cache_time."""

    directory_threads: int = 4
    """Questions to directories (LDAP) that are asked at the same time."""

    list_limit: int = 0
    """Rows of a list at the most, 0 for all. list_limit."""

    token_cache_entries: int = 10_000
    """Validated tokens kept in memory; the least recently used goes first."""

    revocation_buffer: int = 1800
    """Seconds that a revocation outlives the tokens it concerns. [revoke] expiration_buffer."""

    notification_opt_out: tuple[str, ...] = ()
    """Events that are not sent, such as identity.authenticate.success. Upstream hides logins."""

    oauth2_authn_methods: tuple[Literal["tls_client_auth", "client_secret_basic"], ...] = (
        "tls_client_auth",
        "client_secret_basic",
    )
    """How OAuth 2.0 clients may prove who they are. Source: [oauth2] oauth2_authn_methods."""

    oauth2_cert_dn_mapping_id: str = "oauth2_mapping"
    """The mapping that says whose a certificate is. [oauth2] oauth2_cert_dn_mapping_id."""

    report_invalid_password_hash: tuple[Literal["event"], ...] = ()
    """Where a keyed hash of wrong passwords is shown: guesses differ, forgotten scripts do not.

    Source: [security_compliance], as the next three.
    """

    invalid_password_hash_secret_key: str = ""
    """The key of these hashes; needed for them, the same in every copy."""

    invalid_password_hash_function: Literal["sha256", "sha384", "sha512"] = "sha256"
    """The function of these hashes."""

    invalid_password_hash_max_chars: int = 0
    """Characters of a hash that are shown, the fewer the safer; 0 for all."""

    federation: FederationTable = {}
    """The tables [keystone.federation.<idp>.<protocol>]: how this cloud speaks to a provider."""

    saml: SamlIdp = SamlIdp()
    """The table [keystone.saml]: this cloud as an identity provider for others."""

    trusted_dashboard: tuple[str, ...] = ()
    """URLs that a web login may hand its token to. [federation] trusted_dashboard."""

    sso_callback_template: str = ""
    """A file: the page ($host, $token) that ends a web login instead of our own. [federation]."""

    default_authorization_ttl: int = 0
    """Minutes that groups of federated users last; 0: for their tokens only. [federation]."""

    attribute_mapping_default_schema_version: Literal["1.0", "2.0", "3.0"] = "1.0"
    """The schema of mappings that do not name one. [federation]."""

    def __post_init__(self) -> None:
        """Raises: ValueError (options that do not go together)."""
        if self.report_invalid_password_hash and not self.invalid_password_hash_secret_key:
            raise ValueError("report_invalid_password_hash needs invalid_password_hash_secret_key")
