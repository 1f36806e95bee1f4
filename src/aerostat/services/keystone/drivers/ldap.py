"""Users and groups of a domain in an LDAP directory, read only; RFC 4511 and RFC 4515."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from ldap3 import BASE, LEVEL, NONE, SUBTREE, Connection, Server, Tls
from ldap3.core.exceptions import LDAPExceptionError
from ldap3.core.results import (
    RESULT_INVALID_CREDENTIALS,
    RESULT_NO_SUCH_OBJECT,
    RESULT_SUCCESS,
)
from ldap3.utils.conv import escape_filter_chars

from aerostat.kit.errors import Unavailable
from aerostat.services.keystone.drivers.ldap_entries import Entries, Entry, within
from aerostat.services.keystone.model.directories import (
    DirectoryGroup,
    DirectoryUser,
    IdentityBackend,
    LdapConfig,
)

T = TypeVar("T")

REFUSED = (RESULT_INVALID_CREDENTIALS, 48, 53)
"""Of a user's bind: wrong password, one that may not bind, one that policy locks out."""

VERIFY = {"demand": ssl.CERT_REQUIRED, "allow": ssl.CERT_NONE, "never": ssl.CERT_NONE}


def directories(threads: int) -> Callable[[LdapConfig], IdentityBackend]:
    """Return how LDAP directories are reached, with as many questions at once as `threads`."""
    pool = ThreadPoolExecutor(threads, "ldap")
    return lambda config: LdapDirectory(config, pool)


class LdapDirectory:
    """`model.directories.IdentityBackend` over LDAP; each call is one connection in `pool`."""

    def __init__(self, config: LdapConfig, pool: ThreadPoolExecutor) -> None:
        self._config, self._pool = config, pool
        self._entries = Entries(config)

    async def users(self, name: str = "") -> list[DirectoryUser]:
        """Return all users, or those with this name."""
        return await self._run(self._users, self._config.user_name_attribute, name)

    async def user(self, local_id: str) -> DirectoryUser | None:
        """Return one user."""
        found = await self._run(self._users, self._config.user_id_attribute, local_id)
        return next((user for user in found if user.local_id == local_id), None)

    async def groups(self, name: str = "") -> list[DirectoryGroup]:
        """Return all groups, or those with this name."""
        return await self._run(self._groups, self._config.group_name_attribute, name)

    async def group(self, local_id: str) -> DirectoryGroup | None:
        """Return one group."""
        found = await self._run(self._groups, self._config.group_id_attribute, local_id)
        return next((group for group in found if group.local_id == local_id), None)

    async def groups_of(self, user: DirectoryUser) -> list[DirectoryGroup]:
        """Return the groups that a user is in."""
        member = user.local_id if self._config.group_members_are_ids else user.dn
        return await self._run(self._groups, self._config.group_member_attribute, member)

    async def members_of(self, group: DirectoryGroup) -> list[DirectoryUser]:
        """Return the users in a group; members that are no users are left out."""
        return await self._run(self._members, group)

    async def check_password(self, user: DirectoryUser, password: str) -> bool:
        """Tell whether `password` is the user's, which a bind as the user shows.

        An empty one never is: directories let it in as nobody (RFC 4513, 5.1.2).
        """
        if not password:
            return False
        return await self._run(self._bind_as, user.dn, password)

    async def _run(self, fn: Callable[..., T], *args: Any) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, fn, *args)
        except (LDAPExceptionError, OSError, ValueError) as why:
            raise unavailable(f"{type(why).__name__}: {why}") from why

    def _users(self, attribute: str, value: str) -> list[DirectoryUser]:
        with self._connected() as connection:
            found = self._search(connection, self._config.user_tree, "user", attribute, value)
        return [user for entry in found if (user := self._entries.user(entry))]

    def _groups(self, attribute: str, value: str) -> list[DirectoryGroup]:
        with self._connected() as connection:
            found = self._search(connection, self._config.group_tree, "group", attribute, value)
        return [group for entry in found if (group := self._entries.group(entry))]

    def _members(self, group: DirectoryGroup) -> list[DirectoryUser]:
        config = self._config
        found: list[Entry] = []
        with self._connected() as connection:
            for member in group.members:
                if config.group_members_are_ids:
                    id_attribute = config.user_id_attribute
                    found += self._search(
                        connection, config.user_tree, "user", id_attribute, member
                    )
                elif within(member, config.user_tree, config.query_scope):
                    found += self._search(connection, member, "user")
        return [user for entry in found if (user := self._entries.user(entry))]

    def _bind_as(self, dn: str, password: str) -> bool:
        with self._connection(dn, password) as connection:
            connection.bind()
            code = connection.result["result"]
            if code not in (RESULT_SUCCESS, *REFUSED):
                raise unavailable(f"bind of a user: {connection.result['description']}")
            return bool(code == RESULT_SUCCESS)

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        config = self._config
        with self._connection(config.user, config.password) as connection:
            if not connection.bind():
                raise unavailable(f"bind: {connection.result['description']}")
            yield connection

    @contextmanager
    def _connection(self, user: str | None, password: str | None) -> Iterator[Connection]:
        config = self._config
        wait_s = config.connection_timeout
        tls = Tls(validate=VERIFY[config.tls_req_cert], ca_certs_file=config.tls_cacertfile)
        server = Server(config.url, get_info=NONE, connect_timeout=wait_s, tls=tls)
        connection = Connection(
            server,
            user or None,
            password or None,
            auto_referrals=False,
            read_only=True,
            receive_timeout=wait_s,
        )
        try:
            connection.open()
            if config.use_tls and not server.ssl and not connection.start_tls():
                raise unavailable(f"StartTLS: {connection.result['description']}")
            yield connection
        finally:
            connection.unbind()

    def _search(
        self, connection: Connection, base: str, kind: str, attribute: str = "", value: str = ""
    ) -> list[Entry]:
        """Return the entries of a kind below `base`, or of `base` itself if no attribute is named.

        Raises: Unavailable (refused, or more than the directory hands out).
        """
        config = self._config
        scope = {"one": LEVEL, "sub": SUBTREE}[config.query_scope] if attribute else BASE
        asked: dict[str, Any] = {
            "search_base": base,
            "search_filter": self._filter(kind, attribute, value),
            "search_scope": scope,
            "attributes": self._entries.wanted(kind),
        }
        if not (config.page_size and attribute):
            return self._part(connection, asked)[0]
        asked["paged_size"] = config.page_size
        found, cookie = self._part(connection, asked)
        while cookie:
            more, cookie = self._part(connection, {**asked, "paged_cookie": cookie})
            found += more
        return found

    def _filter(self, kind: str, attribute: str, value: str) -> str:
        config = self._config
        is_user = kind == "user"
        objectclass = config.user_objectclass if is_user else config.group_objectclass
        parts = [f"(objectClass={escape_filter_chars(objectclass)})"]
        parts.append((config.user_filter if is_user else config.group_filter) or "")
        if value:
            parts.append(f"({attribute}={escape_filter_chars(value)})")
        return f"(&{''.join(parts)})"

    def _part(self, connection: Connection, asked: dict[str, Any]) -> tuple[list[Entry], bytes]:
        connection.search(**asked)
        result = connection.result
        if result["result"] == RESULT_NO_SUCH_OBJECT:
            return [], b""
        if result["result"] != RESULT_SUCCESS:
            raise unavailable(f"search: {result['description']}")
        found = [
            Entry(one["dn"], one["raw_attributes"])
            for one in connection.response
            if one["type"] == "searchResEntry"
        ]
        pages = (result.get("controls") or {}).get("1.2.840.113556.1.4.319", {})
        return found, pages.get("value", {}).get("cookie") or b""


def unavailable(detail: str) -> Unavailable:
    """Return the fault that says that a directory does not work; why goes to the log only."""
    return Unavailable("The identity directory of the domain is not available.", detail=detail)
