"""A real SAML identity provider for tests: SimpleSAMLphp on PHP's own server, on loopback."""

import shutil
from pathlib import Path

import httpx

from aerostat.assembly.engines import Server
from tests.certificates import write_pair

ENTITY = "https://idp.example.org/saml"
USERS = {
    "ada": ("engine", "Ada Lovelace", ["dev", "ops"]),
    "bob": ("builder", "Bob <Tables>", ["all"]),
}

CONFIG = """<?php
$config = [
    'baseurlpath' => '{url}/',
    'certdir' => '{folder}/', 'loggingdir' => '{folder}/', 'datadir' => '{folder}/',
    'tempdir' => '{folder}/tmp', 'metadatadir' => '{folder}/metadata',
    'secretsalt' => 'salt of the test', 'auth.adminpassword' => 'of no use',
    'timezone' => 'UTC', 'logging.handler' => 'errorlog', 'logging.level' => 4,
    'enable.saml20-idp' => true, 'store.type' => 'phpsession',
    'session.cookie.secure' => false, 'session.phpsession.savepath' => '{folder}/tmp',
    'session.cookie.samesite' => null,
    'module.enable' => ['exampleauth' => true, 'core' => true, 'saml' => true],
    'metadata.sources' => [['type' => 'flatfile']],
    'authproc.idp' => [],
];
"""
SOURCES = """<?php
$config = ['people' => ['exampleauth:UserPass',
{users}
]];
"""
PERSON = "'{0}:{1}' => ['uid' => ['{0}'], 'displayName' => ['{2}'], 'groups' => ['{3}']],"
HOSTED = """<?php
$metadata['{entity}'] = [
    'host' => '__DEFAULT__', 'privatekey' => 'key.pem', 'certificate' => 'certificate.pem',
    'auth' => 'people', 'saml20.ecp' => true, 'saml20.hok.assertion' => false,
    'attributes.NameFormat' => 'urn:oasis:names:tc:SAML:2.0:attrname-format:basic',
];
"""
REMOTE = """<?php
$metadata['{entity}'] = [
    'AssertionConsumerService' => [
        ['index' => 0, 'Binding' => 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST',
         'Location' => '{websso}'],
        ['index' => 1, 'Binding' => 'urn:oasis:names:tc:SAML:2.0:bindings:PAOS',
         'Location' => '{auth}'],
    ],
    'SingleLogoutService' => [['Binding' => '{logout}', 'Location' => '{base}/logout']],
    'NameIDFormat' => 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient',
    'saml20.sign.response' => {response}, 'saml20.sign.assertion' => {assertion},
    'validate.authnrequest' => {validate}, 'certData' => '{certificate}',
    'sign.logout' => true, 'redirect.sign' => true, 'validate.logout' => {validate},
    'assertion.encryption' => {encrypt}, 'nameid.encryption' => {encrypt},
];
"""


class SimpleSaml(Server):
    """An identity provider that knows USERS."""

    user, package = "www-data", "simplesamlphp php-cli php-xml"
    program = Path("/usr/bin/php")
    root = Path("/usr/share/simplesamlphp/www")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def logout_url(self) -> str:
        """Where people log out of everything."""
        return f"{self.url}/saml2/idp/initSLO.php?RelayState={self.url}/logout.php"

    @property
    def ecp_url(self) -> str:
        """Where programs log in."""
        return f"{self.url}/saml2/idp/SSOService.php"

    def initialise(self) -> None:
        for name in ("config", "metadata", "tmp"):
            (self.folder / name).mkdir()
        write_pair(self.folder / "certificate.pem", self.folder / "key.pem", "idp")
        config = CONFIG.format(url=self.url, folder=self.folder)
        (self.folder / "config" / "config.php").write_text(config)
        lines = [
            PERSON.format(name, password, shown, "', '".join(groups))
            for name, (password, shown, groups) in USERS.items()
        ]
        sources = SOURCES.format(users="\n".join(lines))
        (self.folder / "config" / "authsources.php").write_text(sources)
        hosted = HOSTED.format(entity=ENTITY)
        (self.folder / "metadata" / "saml20-idp-hosted.php").write_text(hosted)
        (self.folder / "metadata" / "saml20-sp-remote.php").write_text("<?php\n")
        for path in (self.folder, *self.folder.rglob("*")):
            shutil.chown(path, self.user, self.user)

    def trust(
        self,
        base: str,
        *,
        sign: str = "assertion",
        certificate: str = "",
        encrypt: bool = False,
        logout: str = "HTTP-Redirect",
    ) -> None:
        """Let in a service provider whose URLs of a provider and protocol begin with `base`.

        `sign` says what is signed (response, assertion); requests must be signed by `certificate`,
        and answers are encrypted for it if `encrypt`. `logout` is how it says who logged out.
        """
        text = REMOTE.format(
            entity=f"{base}/metadata",
            auth=f"{base}/auth",
            websso=f"{base}/websso".replace("/v3/", "/v3/auth/", 1),
            response=str("response" in sign).lower(),
            assertion=str("assertion" in sign).lower(),
            validate=str(bool(certificate)).lower(),
            certificate=certificate,
            encrypt=str(encrypt).lower(),
            base=base,
            logout=f"urn:oasis:names:tc:SAML:2.0:bindings:{logout}",
        )
        (self.folder / "metadata" / "saml20-sp-remote.php").write_text(text)

    def command(self) -> list[str]:
        fresh = ("-d", "opcache.enable=0")  # Else a changed file counts only after seconds.
        where = ("-S", f"127.0.0.1:{self.port}", "-t", str(self.root))
        return [str(self.program), *fresh, *where]

    def environment(self) -> dict[str, str]:
        return {
            **super().environment(),
            "SIMPLESAMLPHP_CONFIG_DIR": str(self.folder / "config"),
            "PHP_CLI_SERVER_WORKERS": "2",
        }

    def answers(self) -> bool:
        try:
            return self.metadata_file.write_bytes(self._metadata()) > 0
        except httpx.HTTPError:
            return False

    def _metadata(self) -> bytes:
        return httpx.get(f"{self.url}/saml2/idp/metadata.php").raise_for_status().content

    @property
    def metadata_file(self) -> Path:
        """What describes this identity provider."""
        return self.folder / "metadata.xml"
