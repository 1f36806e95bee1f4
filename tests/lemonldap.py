"""A real OpenID Connect provider for tests: LemonLDAP::NG on Plack's own server, on loopback.

It knows LemonLDAP's people for demonstrations: dwho, rtyler and msmith, whose passwords are
their names.
"""

import json
import shutil
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from aerostat.assembly.engines import Server

REDIRECT_URI = "http://ks/v3/auth/OS-FEDERATION/identity_providers/corp/protocols/openid/websso"
TOOL_URI = "http://localhost:9990/auth/websso/"
SECRET = "secret of the cloud + %41 /"
INI = """[all]
logLevel = warn
[configuration]
type = File
dirName = {folder}/conf
[portal]
staticPrefix = /static
templateDir = /usr/share/lemonldap-ng/portal/templates
languages = en
[handler]
"""
CAPTCHA = """package Lemonldap::NG::Portal::Captcha::None;
use Mouse; extends 'Lemonldap::NG::Common::Module'; sub init { 1 } 1;
"""
"""The default one is not used either, but needs ImageMagick to be loaded."""

CAPTCHA_FILE = "lib/Lemonldap/NG/Portal/Captcha/None.pm"

CLIENT = {
    "ClientID": "aerostat",
    "ClientSecret": SECRET,
    "IDTokenSignAlg": "RS256",
    "AccessTokenSignAlg": "RS256",
    "AccessTokenJWT": 1,
    "AccessTokenClaims": 1,
    "BypassConsent": 1,
    "RequirePKCE": 1,
    "AllowPasswordGrant": 1,
    "AllowClientCredentialsGrant": 1,
}
CLAIMS = {"email": "mail", "name": "cn", "preferred_username": "uid", "groups": "groups"}


class Lemonldap(Server):
    """A provider with a client for the cloud (`aerostat`), and those of people: tool, other."""

    user, package = "www-data", "liblemonldap-ng-portal-perl and more"
    program = Path("/usr/bin/plackup")
    root = Path("/usr/share/perl5/Lemonldap/NG/Portal")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def secret_file(self) -> Path:
        """A file with the secret of the client `aerostat`."""
        return self.folder / "secret"

    def initialise(self) -> None:
        for name in ("conf", "sessions", "psessions", "lock", "cache"):
            (self.folder / name).mkdir()
        self.secret_file.write_text(f"{SECRET}\n")
        (self.folder / "lemonldap-ng.ini").write_text(INI.format(folder=self.folder))
        (self.folder / CAPTCHA_FILE).parent.mkdir(parents=True)
        (self.folder / CAPTCHA_FILE).write_text(CAPTCHA)
        (self.folder / "portal.psgi").write_text(
            "use Lemonldap::NG::Portal::Main; Lemonldap::NG::Portal::Main->run({});\n"
        )
        self._configure()

    def _configure(self) -> None:
        key = generate_private_key(65537, 2048)
        private = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        public = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        clients = {
            "cloud": {**CLIENT, "RedirectUris": REDIRECT_URI},
            "tool": {**CLIENT, "ClientID": "tool", "RequirePKCE": 0, "RedirectUris": TOOL_URI},
            "other": {**CLIENT, "ClientID": "other", "RequirePKCE": 0},
        }
        folders = {"Directory": f"{self.folder}/sessions", "LockDirectory": f"{self.folder}/lock"}
        lasting = {**folders, "Directory": f"{self.folder}/psessions"}
        config = {
            **{"cfgNum": 1, "cfgAuthor": "test", "cfgDate": 1, "cfgVersion": "2.16.1"},
            **{
                "portal": self.url,
                "domain": "127.0.0.1",
                "authentication": "Demo",
                "userDB": "Same",
            },
            **{"globalStorage": "Apache::Session::File", "globalStorageOptions": folders},
            **{"persistentStorage": "Apache::Session::File"},
            "persistentStorageOptions": lasting,
            "localSessionStorage": "",
            "captcha": "::Captcha::None",
            "locationRules": {"nowhere.example.org": {"default": "deny"}},
            "securedCookie": 0,
            "demoExportedVars": {"cn": "cn", "mail": "mail", "uid": "uid"},
            "issuerDBOpenIDConnectActivation": 1,
            "oidcServiceMetaDataIssuer": self.url,
            "oidcServicePrivateKeySig": key.private_bytes(*private).decode(),
            "oidcServicePublicKeySig": key.public_key().public_bytes(*public).decode(),
            "oidcServiceKeyIdSig": "first",
            "oidcServiceIgnoreScopeForClaims": 1,
            "groups": {"dev": "$uid eq 'dwho'", "people": "1"},
            "oidcRPMetaDataOptions": {
                name: {f"oidcRPMetaDataOptions{option}": value for option, value in client.items()}
                for name, client in clients.items()
            },
            "oidcRPMetaDataExportedVars": dict.fromkeys(clients, CLAIMS),
        }
        (self.folder / "conf" / "lmConf-1.json").write_text(json.dumps(config))
        for path in (self.folder, *self.folder.rglob("*")):
            shutil.chown(path, self.user, self.user)

    def command(self) -> list[str]:
        where = ("--host", "127.0.0.1", "--port", str(self.port))
        return [
            str(self.program),
            *where,
            "--no-default-middleware",
            "-E",
            "production",
            str(self.folder / "portal.psgi"),
        ]

    def environment(self) -> dict[str, str]:
        ini = str(self.folder / "lemonldap-ng.ini")
        return {
            **super().environment(),
            "LLNG_DEFAULTCONFFILE": ini,
            "PERL5LIB": str(self.folder / "lib"),
        }

    def answers(self) -> bool:
        try:
            found = httpx.get(f"{self.url}.well-known/openid-configuration")
            return found.status_code == 200
        except httpx.HTTPError:
            return False
