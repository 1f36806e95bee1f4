"""Policy rules with upstream's names and defaults, checked by oslo.policy.

An operator's policy.yaml overrides defaults, as upstream, and counts as soon as it is changed.
Source: oslo.policy documentation.
"""

import functools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oslo_config import cfg
from oslo_policy import _checks
from oslo_policy import policy as oslo

from aerostat.kit.context import Context
from aerostat.kit.errors import BadRequest, Forbidden
from aerostat.kit.log import Logger

log = Logger("policy")

LOOK_S = 1.0
"""How often the operator's file is looked at, at the most."""

ADMIN = "role:admin"
READER = "role:reader"
PROJECT_MEMBER = "role:member and project_id:%(project_id)s"
PROJECT_READER = "role:reader and project_id:%(project_id)s"
PROJECT_MANAGER = "role:manager and project_id:%(project_id)s"
PROJECT_MANAGER_OR_ADMIN = f"rule:context_is_admin or ({PROJECT_MANAGER})"
PROJECT_MEMBER_OR_ADMIN = f"rule:context_is_admin or ({PROJECT_MEMBER})"
PROJECT_READER_OR_ADMIN = f"rule:context_is_admin or ({PROJECT_READER})"
ANYONE = "@"
NOBODY = "!"


@dataclass(frozen=True, slots=True)
class Rule:
    """A policy rule: upstream's name, its default check string, what it guards.

    `scope` lists the token scopes that may pass: system, domain, project; empty means any.
    """

    name: str
    check: str
    guards: str = ""
    scope: tuple[str, ...] = ()


CONTEXT_IS_ADMIN = Rule("context_is_admin", ADMIN, "Who counts as an administrator.")

IMPLIED: dict[str, tuple[str, ...]] = {
    "admin": ("manager", "member", "reader"),
    "manager": ("member", "reader"),
    "member": ("reader",),
}
"""The default roles and those each implies. Keystone expands them into tokens; so do tests."""


class Policy:
    """The rules of one service, defaults overridden by the operator's file if there is one.

    Raises: BadRequest (the file cannot be read, or its rules make no sense). If that happens to
    it later, the rules that were read before go on.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        file: Path | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rules = {r.name: r for r in (CONTEXT_IS_ADMIN, *rules)}
        self._file, self._monotonic = file, monotonic
        self._version = _version(file)
        self._enforcer = _enforcer(tuple(self.rules.values()), file if self._version else None)
        self._look_at = monotonic() + LOOK_S

    def _look(self) -> None:
        """Read the file again if it is another one than before."""
        self._look_at = self._monotonic() + LOOK_S
        version = _version(self._file)
        if version == self._version:
            return
        self._version = version
        try:
            self._enforcer = _enforcer(tuple(self.rules.values()), self._file if version else None)
        except BadRequest as why:
            log.error("policy.file_refused", file=str(self._file), reason=why.message)
        else:
            log.info("policy.file_read", file=str(self._file), there=bool(version))

    def named(self, name: str) -> Rule | None:
        """Return a rule of the service, or one that the operator's file alone has."""
        if name in self.rules or name not in self._enforcer.rules:
            return self.rules.get(name)
        return Rule(name, "")

    def unknown(self) -> list[str]:
        """Return the rules of the operator's file that nothing here asks for or refers to."""
        text = " ".join(str(check) for check in self._enforcer.rules.values())
        given = sorted(set(self._enforcer.file_rules) - set(self.rules))
        return [name for name in given if f"rule:{name}" not in text]

    def allows(self, ctx: Context, rule: Rule, target: Mapping[str, Any] | None = None) -> bool:
        """Tell whether `ctx` may do what `rule` guards to `target` (default: its own project)."""
        if self._file is not None and self._monotonic() >= self._look_at:
            self._look()
        if rule.scope and _scope(ctx) not in rule.scope:
            return False
        check = self._enforcer.rules[rule.name]
        if target is None:
            target = {"project_id": ctx.project_id, "user_id": ctx.user_id}
        return _passes(check, target, ctx.credentials(), self._enforcer, rule.name)

    def enforce(self, ctx: Context, rule: Rule, target: Mapping[str, Any] | None = None) -> None:
        """Raises: Forbidden, with the name of the rule."""
        if not self.allows(ctx, rule, target):
            raise Forbidden(f"Policy doesn't allow {rule.name} to be performed.", field=rule.name)


def _version(file: Path | None) -> tuple[int, ...]:
    """Return what differs when a file does; nothing if there is none."""
    try:
        found = file.stat() if file is not None else None
    except OSError:
        found = None
    return (found.st_mtime_ns, found.st_size, found.st_ino) if found is not None else ()


def _enforcer(rules: tuple[Rule, ...], file: Path | None) -> oslo.Enforcer:
    return _defaults(rules) if file is None else _read(rules, file)


@functools.cache
def _defaults(rules: tuple[Rule, ...]) -> oslo.Enforcer:
    """Parse the defaults once for all who have no file: nobody changes them."""
    return _read(rules, None)


def _read(rules: Iterable[Rule], file: Path | None) -> oslo.Enforcer:
    conf = cfg.ConfigOpts()
    conf(args=[], default_config_files=[], default_config_dirs=[])
    made = oslo.Enforcer(
        conf, policy_file=str(file) if file else "/nonexistent", use_conf=file is not None
    )
    for rule in rules:
        made.register_default(oslo.RuleDefault(rule.name, rule.check))
    try:
        made.load_rules(force_reload=True)
        if file is not None:
            made.check_rules(raise_on_violation=True)
    except (ValueError, OSError, cfg.Error, oslo.InvalidDefinitionError) as why:
        raise BadRequest(f"The rules in {file} cannot be used: {why}", field="policy") from why
    return made


def _passes(check: Any, target: Mapping[str, Any], creds: Any, enforcer: Any, name: str) -> bool:
    """Evaluate a check as oslo.policy does, which inspects signatures at every node: 0.1 ms."""
    kind = type(check)
    if kind is _checks.AndCheck:
        return all(_passes(one, target, creds, enforcer, name) for one in check.rules)
    if kind is _checks.OrCheck:
        return any(_passes(one, target, creds, enforcer, name) for one in check.rules)
    if kind is _checks.NotCheck:
        return not _passes(check.rule, target, creds, enforcer, name)
    if kind is _checks.RuleCheck and check.match in enforcer.rules:
        return _passes(enforcer.rules[check.match], target, creds, enforcer, check.match)
    return bool(check(target, creds, enforcer, name))


def _scope(ctx: Context) -> str:
    if ctx.system_scope:
        return "system"
    if ctx.domain_id:
        return "domain"
    return "project"  # As oslo.policy has it of unscoped tokens too.
