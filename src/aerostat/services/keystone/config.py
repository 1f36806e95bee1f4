"""What an operator may set of keystone; the names are upstream's where the meaning is."""

from msgspec import Struct


class KeystoneConfig(Struct, frozen=True, kw_only=True):
    """Options of the identity service. Every default runs a whole cloud."""

    expiration: int = 3600
    """Seconds that a token is valid. Source: [token] expiration."""

    allow_expired_window: int = 172_800
    """Seconds after expiry in which services may still validate a token. [token]."""

    max_active_keys: int = 3
    """Fernet keys kept: staged, primary and secondary ones. [fernet_tokens] max_active_keys."""

    password_hash_rounds: int = 12
    """Cost of bcrypt, as a power of two. [identity] password_hash_rounds."""

    password_hash_threads: int = 2
    """Passwords that are hashed at the same time."""

    max_password_length: int = 4096
    """Characters of a password. [identity] max_password_length."""

    max_project_tree_depth: int = 5
    """Levels of projects below their domain. max_project_tree_depth."""

    default_domain_id: str = "default"
    """The domain that is there from the start. [identity] default_domain_id."""

    list_limit: int = 0
    """Rows of a list at the most, 0 for all. list_limit."""

    token_cache_entries: int = 10_000
    """Validated tokens kept in memory; the least recently used goes first."""

    revocation_buffer: int = 1800
    """Seconds that a revocation outlives the tokens it concerns. [revoke] expiration_buffer."""

    max_redelegation_count: int = 3
    """How often a trust may be passed on. [trust] max_redelegation_count."""
