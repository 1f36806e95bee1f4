"""What the entries of a directory mean as users and groups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ldap3.core.exceptions import LDAPInvalidDnError
from ldap3.utils.dn import parse_dn

from aerostat.kit.log import Logger
from aerostat.services.keystone.model.directories import (
    DirectoryGroup,
    DirectoryUser,
    LdapConfig,
)

log = Logger("keystone.ldap")

NAME_MAX = {"user": 255, "group": 64}
"""Characters of a name; entries with a longer one are left out."""

LOCAL_ID_MAX = 255


@dataclass(frozen=True)
class Entry:
    """An entry: where it is, and the values of its attributes as they were sent."""

    dn: str
    attributes: Mapping[str, Sequence[bytes]]

    def text(self, name: str | None) -> str:
        """Return the first value of an attribute, or nothing if it is no text."""
        values = self.attributes.get(name) if name else None
        return _text(values[0]) if values else ""


class Entries:
    """Reads entries as `config` says."""

    def __init__(self, config: LdapConfig) -> None:
        self._config = config

    def wanted(self, kind: str) -> list[str]:
        """Return the attributes that have to be asked for."""
        c = self._config
        if kind == "user":
            names = [c.user_id_attribute, c.user_name_attribute, *self._user_fields().values()]
        else:
            names = [
                *(c.group_id_attribute, c.group_name_attribute),
                *(c.group_desc_attribute, c.group_member_attribute),
            ]
        return list(dict.fromkeys(name for name in names if name))

    def user(self, entry: Entry) -> DirectoryUser | None:
        """Return the user that an entry is; nothing if it has no usable id or name."""
        c = self._config
        local_id = self._local_id(entry, c.user_id_attribute)
        name = entry.text(c.user_name_attribute)
        if not self._usable("user", entry, local_id, name):
            return None
        fields = self._user_fields()
        extra = {
            key: value for key in ("email", "description") if (value := entry.text(fields.get(key)))
        }
        project_id = entry.text(fields.get("default_project_id"))[:64]
        return DirectoryUser(local_id, name, entry.dn, self._enabled(entry), project_id, extra)

    def group(self, entry: Entry) -> DirectoryGroup | None:
        """Return the group that an entry is; nothing if it has no usable id or name."""
        c = self._config
        local_id = self._local_id(entry, c.group_id_attribute)
        name = entry.text(c.group_name_attribute)
        if not self._usable("group", entry, local_id, name):
            return None
        ignored = "description" in c.group_attribute_ignore
        description = "" if ignored else entry.text(c.group_desc_attribute)
        members = tuple(_text(v) for v in entry.attributes.get(c.group_member_attribute) or ())
        return DirectoryGroup(local_id, name, entry.dn, description, members)

    def _user_fields(self) -> dict[str, str]:
        c = self._config
        fields = {
            "email": c.user_mail_attribute,
            "description": c.user_description_attribute,
            "enabled": c.user_enabled_attribute,
            "default_project_id": c.user_default_project_id_attribute or "",
        }
        return {k: v for k, v in fields.items() if k not in c.user_attribute_ignore}

    def _enabled(self, entry: Entry) -> bool:
        """A mask's bits mean disabled; else only "false" is false, or the other way round."""
        c = self._config
        attribute = self._user_fields().get("enabled")
        if attribute is None:
            return True
        value = (entry.text(attribute) or c.user_enabled_default).strip().lower()
        if c.user_enabled_mask:
            number = int(value) if value.lstrip("-").isdigit() else 0
            return number & c.user_enabled_mask != c.user_enabled_mask
        return value != "true" if c.user_enabled_invert else value != "false"

    @staticmethod
    def _local_id(entry: Entry, attribute: str) -> str:
        """One of several values is the id: the one that the entry's own name has."""
        if len(entry.attributes.get(attribute) or ()) < 2:
            return entry.text(attribute)
        named = parse_dn(entry.dn, strip=True)[0]
        return str(named[1]) if named[0].lower() == attribute.lower() else entry.text(attribute)

    @staticmethod
    def _usable(kind: str, entry: Entry, local_id: str, name: str) -> bool:
        fits = len(name) <= NAME_MAX[kind] and len(local_id) <= LOCAL_ID_MAX
        if not (local_id and name and fits):
            log.warning("keystone.ldap_entry_left_out", dn=entry.dn, kind=kind)
            return False
        return True


def within(dn: str, tree: str, scope: Literal["one", "sub"]) -> bool:
    """Tell whether an entry is where a search below `tree` would find it."""
    try:
        mine, above = _parts(dn), _parts(tree)
    except LDAPInvalidDnError:
        return False
    depth = len(mine) - len(above)
    return mine[depth:] == above and (depth == 1 if scope == "one" else depth >= 0)


def _parts(dn: str) -> list[tuple[str, str]]:
    return [(name.lower(), value.lower()) for name, value, _ in parse_dn(dn, strip=True)]


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return ""
