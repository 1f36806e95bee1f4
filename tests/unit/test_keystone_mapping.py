"""The language of mappings, by upstream's documented behaviours."""

import json
from pathlib import Path
from typing import Any

import pytest

from aerostat.assembly.settings import Settings
from aerostat.cli.arguments import parse
from aerostat.cli.command import Command
from aerostat.cli.console import CliError, Console
from aerostat.cli.keystone import run
from aerostat.services.keystone.model.federation import Mapping
from aerostat.services.keystone.model.mapping_engine import Mapped, MappingFailed, apply, split

ADA = {"name": ("ada",), "mail": ("ada@corp.example",), "groups": ("dev", "ops", "all")}
USER = {"user": {"name": "{0}"}}
NAME = {"type": "name"}


def mapped(local: Any, remote: Any, said: Any = ADA, version: str = "1.0") -> Mapped:
    return apply(Mapping("m", [{"local": local, "remote": remote}], version), said)


def groups_of(condition: Any, said: Any = ADA) -> list[str]:
    local = [USER, {"groups": "{1}", "domain": {"id": "d"}}]
    found = mapped(local, [NAME, {"type": "groups", **condition}], said)
    assert all((g.domain_id, g.domain_name) == ("d", "") for g in found.group_names)
    return [g.name for g in found.group_names]


def test_conditions_filter_groups() -> None:
    assert groups_of({}) == ["dev", "ops", "all"]
    assert groups_of({"whitelist": ["dev", "all", "else"]}) == ["dev", "all"]
    assert groups_of({"blacklist": ["all"]}) == ["dev", "ops"]
    assert groups_of({"whitelist": ["^d", "p"], "regex": True}) == ["dev", "ops"]
    assert groups_of({"blacklist": ["^.{3}$"], "regex": True}) == []
    assert groups_of({"whitelist": ["none"]}) == []
    assert groups_of({"whitelist": ["^d", "p"], "regex": False}) == []


@pytest.mark.parametrize(
    ("condition", "applies"),
    [
        ({"any_one_of": ["dev", "x"]}, True),
        ({"any_one_of": ["x"]}, False),
        ({"any_one_of": ["^o"], "regex": True}, True),
        ({"not_any_of": ["x"]}, True),
        ({"not_any_of": ["dev", "x"]}, False),
        ({"not_any_of": ["^o"], "regex": True}, False),
    ],
)
def test_conditions_choose_rules(condition: Any, applies: bool) -> None:
    """They choose, and take no number: {0} is the name."""
    remote = [{"type": "groups", **condition}, NAME]
    if applies:
        assert mapped([USER], remote).user == {"type": "ephemeral", "name": "ada"}
    else:
        with pytest.raises(MappingFailed):
            mapped([USER], remote)


def test_every_rule_that_applies_counts_and_the_first_user() -> None:
    rules = [
        {"local": [USER], "remote": [NAME]},
        {"local": [{"user": {"name": "other"}}], "remote": [NAME]},
        {"local": [{"group": {"id": "g1"}}], "remote": [{"type": "mail"}]},
        {"local": [{"group": {"id": "g2"}}], "remote": [{"type": "absent"}]},
        {"local": [{"group_ids": "{0}"}], "remote": [{"type": "groups"}]},
        {"local": [{"group_ids": "['g3', 'g4']"}], "remote": [NAME]},
        {
            "local": [{"group": {"name": "{0}-team", "domain": {"name": "Corp"}}}],
            "remote": [NAME],
        },
    ]
    found = apply(Mapping("m", rules, "1.0"), ADA)
    assert found.user["name"] == "ada"
    assert found.group_ids == ["g1", "dev", "ops", "all", "g3", "g4"]
    assert [(g.name, g.domain_name) for g in found.group_names] == [("ada-team", "Corp")]


def test_places() -> None:
    local = [{"user": {"name": "{0} <{1}> {{0}}", "email": "{1}", "domain": {"id": "{0}"}}}]
    found = mapped(local, [NAME, {"type": "mail"}])
    assert found.user["name"] == "ada <ada@corp.example> {0}"
    assert found.user["domain"] == {"id": "ada"}
    with pytest.raises(MappingFailed, match="refers to a remote match that doesn't exist"):
        mapped([{"user": {"name": "{1}"}}], [NAME])
    odd = [{"user": {"name": "{0.__class__} {} { {0!r}"}}]
    assert mapped(odd, [NAME]).user["name"] == "{0.__class__} {} { {0!r}"


def test_groups_need_a_domain_or_bring_it() -> None:
    with pytest.raises(MappingFailed):
        mapped([USER, {"groups": "{1}"}], [NAME, {"type": "groups"}])
    both = (
        'JSON:{"name": "g1", "domain": {"name": "D"}}',
        'JSON:{"name":"g2","domain":{"id":"i"}}',
    )
    found = mapped([USER, {"groups": "{1}"}], [NAME, {"type": "gs"}], {**ADA, "gs": both})
    assert [(g.name, g.domain_name, g.domain_id) for g in found.group_names] == [
        ("g1", "D", ""),
        ("g2", "", "i"),
    ]
    for wrong in ("JSON:{", 'JSON:{"name": "x"}', "JSON:[]", 'JSON:{"name":"x","domain":3}'):
        with pytest.raises(MappingFailed):
            mapped([USER, {"groups": "{1}"}], [NAME, {"type": "gs"}], {**ADA, "gs": (wrong,)})


def test_default_domains_since_2() -> None:
    project = {"name": "{0}", "roles": [{"name": "member"}]}
    local = [USER, {"projects": [project], "domain": {"id": "d"}}]
    old, new = mapped(local, [NAME]), mapped(local, [NAME], version="2.0")
    assert "domain" not in old.user and "domain" not in old.projects[0]
    assert new.user["domain"] == new.projects[0]["domain"] == {"id": "d"}


def test_text_is_split_as_apache_joins_it() -> None:
    assert split({"a": "x;y", "b": 3}) == {"a": ("x", "y")}


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules, given = tmp_path / "rules.json", tmp_path / "input"
    rules.write_text(json.dumps([{"local": [USER], "remote": [NAME]}]))
    given.write_text("name: ada\n\nother: x;y\n")
    words = ["keystone", "mapping-engine", "--rules", str(rules), "--input", str(given)]
    settings = Settings(state_dir=tmp_path)
    assert run(Command(settings, parse(words), Console())) == 0
    assert json.loads(capsys.readouterr().out)["user"] == {"type": "ephemeral", "name": "ada"}
    for text in ("nonsense", "other: x"):
        given.write_text(text)
        with pytest.raises(CliError):
            run(Command(settings, parse(words), Console()))
