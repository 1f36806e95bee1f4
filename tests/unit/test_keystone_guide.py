"""The settings that the guide shows are settings that work."""

import re
import tomllib
from pathlib import Path

from aerostat.assembly.settings import options
from aerostat.services.keystone.config import KeystoneConfig
from aerostat.services.keystone.federation_config import OpenIdClient, SamlPeer

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "keystone.md"


def test_what_the_guide_shows() -> None:
    shown = re.findall(r"```toml\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    configs = [
        options(tomllib.loads(text)["keystone"], KeystoneConfig, "keystone") for text in shown
    ]
    tables = [table for config in configs for table in config.federation.values()]
    kinds = {type(peer) for table in tables for peer in table.values()}
    assert kinds == {OpenIdClient, SamlPeer} and any(config.saml.keyfile for config in configs)
