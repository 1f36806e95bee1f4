"""Keystone's parts on their own: keys, payloads, revocations, role graphs, hashes, schema."""

import ast
import inspect
import itertools
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aerostat.assembly.settings import options
from aerostat.kit.db.migrate import differences, upgrade
from aerostat.kit.db.sqlite import SqliteDatabase
from aerostat.kit.errors import BadRequest
from aerostat.services.keystone.config import KeystoneConfig
from aerostat.services.keystone.db.tables import metadata
from aerostat.services.keystone.hasher import Hasher
from aerostat.services.keystone.keyring import Keyring
from aerostat.services.keystone.model.catalog import substitute
from aerostat.services.keystone.model.revocations import AUDIT, USER, Revocation, Revocations, Ties
from aerostat.services.keystone.model.roles import Implication, Role, graph
from aerostat.services.keystone.model.tokens import Token, pack, unpack
from aerostat.services.keystone.policies import target
from aerostat.services.keystone.service import manifest

TOKEN = Token(
    user_id="3b93f0ccf28e4ffa869c7500b155c0fc",
    methods=("password", "token"),
    scope="project",
    scope_id="aeaa00aba65144509bd122aab35c6566",
    expires_at=1_800_000_000,
    issued_at=1_700_000_000.123456,
    audit_ids=("2kUQJiAxE1sbuCm9heuVVw", "3kUQJiAxE1sbuCm9heuVVw"),
)


async def test_migrations_make_the_tables(tmp_path: Path) -> None:
    db = SqliteDatabase(tmp_path / "db")
    await upgrade(db, "keystone", manifest.migrations)
    assert await db.read(differences, "keystone", metadata) == []
    await db.close()


def test_payload_comes_back(tmp_path: Path) -> None:
    assert unpack(pack(TOKEN)) == TOKEN
    text = Keyring(tmp_path).encrypt(pack(TOKEN))
    assert len(text) < 256 and "=" not in text
    with pytest.raises(ValueError):
        unpack(b"\x00rubbish")


def test_names_that_look_like_ids_stay_text() -> None:
    import msgspec

    upper = msgspec.structs.replace(
        TOKEN, user_id="3B93F0CCF28E4FFA869C7500B155C0FC", scope_id="ä" * 32
    )
    assert unpack(pack(upper)) == upper


def test_keys_rotate_as_upstreams(tmp_path: Path) -> None:
    ring = Keyring(tmp_path / "keys", 3)

    def names() -> list[str]:
        return sorted(p.name for p in (tmp_path / "keys").iterdir())

    assert names() == ["0", "1"]
    assert all((tmp_path / "keys" / n).stat().st_mode & 0o777 == 0o600 for n in names())
    staged = (tmp_path / "keys" / "0").read_text()
    old = ring.encrypt(b"old")
    ring.rotate()
    assert names() == ["0", "1", "2"]
    assert (tmp_path / "keys" / "2").read_text() == staged
    assert ring.decrypt(old) == b"old"
    ring.rotate()
    assert names() == ["0", "2", "3"]
    with pytest.raises(ValueError):
        ring.decrypt(old)


def test_another_process_rotates(tmp_path: Path) -> None:
    ours, theirs = Keyring(tmp_path, 3), Keyring(tmp_path, 3)
    for _ in range(3):
        theirs.rotate()
    assert ours.decrypt(theirs.encrypt(b"new")) == b"new"


def test_copies_that_start_together_have_the_same_keys(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        rings = list(pool.map(lambda _: Keyring(tmp_path / "keys"), range(8)))
    for ours in rings:
        for theirs in rings:
            assert theirs.decrypt(ours.encrypt(b"one")) == b"one"
    assert sorted(p.name for p in (tmp_path / "keys").iterdir()) == ["0", "1"]
    assert {p.stat().st_mode & 0o777 for p in (tmp_path / "keys").iterdir()} == {0o600}


def test_revocations_cost_the_same_however_many() -> None:
    found = Revocations()
    found.add(Revocation(USER, "somebody", 2e9, 2e9))
    assert not found.revoked(TOKEN, Ties(("default",)))
    few = _cost(found)
    for number in range(100_000):
        found.add(Revocation(AUDIT, f"audit-{number}", 2e9, 2e9))
    assert _cost(found) < few * 5 + 1e-4
    found.add(Revocation(AUDIT, TOKEN.audit_ids[0], 1.7e9, 1.7e9))
    assert not found.revoked(TOKEN, Ties(("default",)))  # Issued after it.
    found.add(Revocation(AUDIT, TOKEN.audit_ids[0], 1.75e9, 1.75e9))
    assert found.revoked(TOKEN, Ties(("default",)))
    found.forget(2.1e9)
    assert len(found) == 0


def _cost(found: Revocations) -> float:
    def once() -> float:
        started = time.perf_counter()
        for _ in range(100):
            found.revoked(TOKEN, Ties(("default",)))
        return time.perf_counter() - started

    return min(once() for _ in range(5))


def _role(name: str, domain_id: str = "") -> Role:
    return Role(name, name, domain_id, "", {}, {})


def test_roles_expand_through_domain_roles_and_circles() -> None:
    roles = [_role("a"), _role("b"), _role("c"), _role("local", "d")]
    edges = [Implication("local", "a"), Implication("a", "b"), Implication("b", "a")]
    found = graph(roles, edges)
    assert {r.id for r in found.expand(["local"])} == {"a", "b"}
    assert found.paths("local") == {"a": "local", "b": "a"}
    assert found.expand(["gone"]) == []


async def test_hashes() -> None:
    hasher = Hasher(4, 1)
    hashed = await hasher.hash("secret")
    assert hashed.startswith("$2b$04$")
    assert await hasher.verify("secret", hashed)
    assert not await hasher.verify("Secret", hashed)
    assert not await hasher.verify("secret", "")
    assert not await hasher.verify("secret", "not a hash")
    assert not await hasher.verify("nobody has this password", "")
    hasher.close()


def test_urls_are_filled_in_or_left_out() -> None:
    assert substitute("http://x/v3", "", "") == "http://x/v3"
    assert substitute("http://x/$(project_id)s", "p", "u") == "http://x/p"
    assert substitute("http://x/%(tenant_id)s", "p", "u") == "http://x/p"
    assert substitute("http://x/$(project_id)s", "", "u") is None


def test_targets_hold_nothing_unknown() -> None:
    assert target(user__id="u", user__domain_id="") == {"target.user.id": "u"}
    assert target(user_id="u", target__domain_id="None") == {"user_id": "u"}


def test_every_option_is_documented() -> None:
    (options,) = [
        node
        for node in ast.parse(Path(inspect.getfile(KeystoneConfig)).read_text()).body
        if isinstance(node, ast.ClassDef) and node.name == KeystoneConfig.__name__
    ]
    for option, after in itertools.pairwise([*options.body, ast.Pass()]):
        if isinstance(option, ast.AnnAssign):
            assert isinstance(after, ast.Expr), ast.unparse(option.target)


def test_rules_have_unique_names() -> None:
    names = [rule.name for rule in manifest.rules]
    assert len(names) == len(set(names))


def test_the_options_of_the_guide_are_known() -> None:
    """docs/guides/keystone.md shows what an operator may write; a wrong name is told."""
    guide = Path(__file__).parents[2] / "docs" / "guides" / "keystone.md"
    shown = tomllib.loads(guide.read_text().split("```toml")[1].split("```")[0])
    config = options(shown["keystone"], KeystoneConfig, "keystone")
    assert config.lockout_failure_attempts == 5 and config.token_provider == "jws"
    for wrong in ({"lockout": 5}, {"token_provider": "pki"}, {"lockout_duration": "long"}):
        with pytest.raises(BadRequest, match="keystone"):
            options(wrong, KeystoneConfig, "keystone")
