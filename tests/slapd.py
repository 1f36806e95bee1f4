"""A real OpenLDAP server for tests: in a directory of its own, on loopback."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from ldap3 import MODIFY_REPLACE, Connection

from aerostat.assembly.engines import Server, free_port

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
TLSCertificateFile {folder}/certificate.pem
TLSCertificateKeyFile {folder}/key.pem
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

    It lets a bind with a name and no password in as nobody, as many directories do. It speaks TLS
    with a certificate for localhost.
    """

    user, package = "openldap", "slapd"
    program = Path("/usr/sbin/slapd")
    tls_port = 0

    @property
    def url(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    def initialise(self) -> None:
        self._make_certificate()
        text = CONFIG.format(folder=self.folder, suffix=SUFFIX, admin=ADMIN, secret=SECRET)
        (self.folder / "slapd.conf").write_text(text)

    def command(self) -> list[str]:
        return [
            *(str(self.program), "-d", "0", "-h", f"{self.url} ldaps://127.0.0.1:{self.tls_port}"),
            *("-f", str(self.folder / "slapd.conf")),
        ]

    def _make_certificate(self) -> None:
        self.tls_port = free_port()
        key = generate_private_key(SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
            .sign(key, SHA256())
        )
        self.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
        secret = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self.folder / "key.pem").write_bytes(key.private_bytes(*secret))

    @property
    def certificate(self) -> Path:
        """The file of the certificate, which is its own authority."""
        return self.folder / "certificate.pem"

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
