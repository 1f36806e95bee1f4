"""A real OpenLDAP server for tests: in a directory of its own, on loopback."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ldap3 import MODIFY_REPLACE, Connection

from aerostat.assembly.engines import Server

SUFFIX = "dc=example,dc=org"
ADMIN = f"cn=admin,{SUFFIX}"
SECRET = "directory secret"

CONFIG = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb.la
pidfile {folder}/pid
allow bind_anon_dn
{tls}
database mdb
suffix "{suffix}"
rootdn "{admin}"
rootpw "{secret}"
directory {folder}/data
sizelimit size.soft=1000 size.hard=1000 size.prtotal=unlimited
access to attrs=userPassword by anonymous auth by * none
access to * by anonymous auth by users read
"""


class Slapd(Server):
    """An empty directory of dc=example,dc=org with ou=Users and ou=UserGroups.

    It lets a bind with a name and no password in as nobody, as many directories do. `tls` are the
    files of a certificate and its key.
    """

    user, package = "openldap", "slapd"
    program = Path("/usr/sbin/slapd")
    tls: tuple[Path, Path] | None = None

    @property
    def url(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    def initialise(self) -> None:
        tls = ""
        if self.tls:
            tls = f"TLSCertificateFile {self.tls[0]}\nTLSCertificateKeyFile {self.tls[1]}"
        text = CONFIG.format(folder=self.folder, suffix=SUFFIX, admin=ADMIN, secret=SECRET, tls=tls)
        (self.folder / "slapd.conf").write_text(text)

    def command(self) -> list[str]:
        return [
            *(str(self.program), "-d", "0", "-h", self.url),
            *("-f", str(self.folder / "slapd.conf")),
        ]

    def answers(self) -> bool:
        try:
            with Connection(self.url, ADMIN, SECRET) as connection:
                return bool(connection.bound)
        except Exception:
            return False

    def prepare(self) -> None:
        self.put(SUFFIX, ["dcObject", "organization"], dc="example", o="example")
        for name in ("Users", "UserGroups"):
            self.put(f"ou={name},{SUFFIX}", ["organizationalUnit"], ou=name)

    def put(self, dn: str, classes: Sequence[str], **attributes: Any) -> None:
        """Add an entry, unless it is there."""
        with Connection(self.url, ADMIN, SECRET) as connection:
            connection.add(dn, list(classes), attributes)
            assert connection.result["result"] in (0, 68), connection.result

    def clear(self) -> None:
        """Delete everything, and make the two units again."""
        with Connection(self.url, ADMIN, SECRET) as connection:
            connection.search(SUFFIX, "(objectClass=*)", attributes=None)
            below = [entry["dn"] for entry in connection.response]
            for dn in sorted(below, key=lambda dn: -dn.count(",")):
                connection.delete(dn)
        self.prepare()

    def change(self, dn: str, **attributes: Any) -> None:
        """Replace attributes of an entry."""
        changes: Mapping[str, Any] = {
            k: [(MODIFY_REPLACE, v if isinstance(v, list) else [v])] for k, v in attributes.items()
        }
        with Connection(self.url, ADMIN, SECRET) as connection:
            connection.modify(dn, changes)
            assert connection.result["result"] == 0, connection.result

    def remove(self, dn: str) -> None:
        """Delete an entry."""
        with Connection(self.url, ADMIN, SECRET) as connection:
            connection.delete(dn)
            assert connection.result["result"] == 0, connection.result

    def add_user(self, uid: str, name: str, password: str, **more: Any) -> str:
        """Add a person below ou=Users; return where."""
        dn = f"uid={uid},ou=Users,{SUFFIX}"
        fields = {"cn": name, "sn": name, "userPassword": password, **more}
        self.put(dn, ["inetOrgPerson"], uid=uid, **fields)
        return dn

    def add_group(self, cn: str, name: str, members: Sequence[str]) -> str:
        """Add a group below ou=UserGroups; return where."""
        dn = f"cn={cn},ou=UserGroups,{SUFFIX}"
        self.put(dn, ["groupOfNames"], cn=cn, ou=name, member=list(members))
        return dn
