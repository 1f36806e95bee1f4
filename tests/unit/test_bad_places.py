"""A folder or file that cannot be used is one line, which names the setting and the path."""

from pathlib import Path

import pytest

from aerostat.assembly import places
from aerostat.assembly.roles import CONTROL, NODE, Roles
from aerostat.assembly.settings import Settings, load
from aerostat.cli import up
from aerostat.cli.__main__ import main
from aerostat.cli.places import places as places_of
from aerostat.kit.errors import BadRequest
from aerostat.services.glance.filestore import FileStore


@pytest.mark.parametrize(("name", "roles"), [("control", CONTROL), ("node", NODE)])
def test_a_folder_that_is_a_file(tmp_path: Path, name: str, roles: tuple[str, ...]) -> None:
    (tmp_path / name).touch()
    with pytest.raises(BadRequest) as why:
        places.check(frozenset(roles), Settings(state_dir=tmp_path))
    assert why.value.message == f"state_dir: {tmp_path / name} cannot be used: File exists"


def test_a_certificate_that_is_not_there(tmp_path: Path) -> None:
    missing, roles = tmp_path / "cert.pem", Roles(NODE)
    with pytest.raises(BadRequest) as why:
        places.check(roles, Settings(state_dir=tmp_path, tls_cert=str(missing)))
    said = f"tls_cert: {missing} cannot be used: No such file or directory"
    assert why.value.message == said


def test_an_image_store_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "images"
    with pytest.raises(BadRequest) as why:
        FileStore(folder, 1, "sha512").prepare("filesystem_store_datadir")
    said = f"filesystem_store_datadir: {folder} cannot be used: Not a directory"
    assert why.value.message == said


@pytest.mark.parametrize("text", ["a = [", "\xff"])
def test_options_that_are_no_toml(tmp_path: Path, text: str) -> None:
    file = tmp_path / "aerostat.toml"
    file.write_text(text, encoding="latin-1")
    with pytest.raises(BadRequest, match="cannot be read") as why:
        load(tmp_path, {})
    assert str(file) in why.value.message


def test_a_command_refuses_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.touch()
    assert main(["--state-dir", str(file), "status"]) == 2
    said = f"state_dir: {file}/aerostat.toml cannot be used: Not a directory"
    assert capsys.readouterr().err.splitlines()[0] == f"aerostat: {said}"


def test_up_says_what_a_process_said(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    log = places_of(settings).log_file("control")
    log.parent.mkdir()
    log.write_text("{}\naerostat: tls_key: /k cannot be used: no\n  -> correct it\n")
    assert up._last_words(settings, "control") == "tls_key: /k cannot be used: no"
    log.write_text("aerostat: of another day\n  -> correct it\nTraceback\n")
    assert up._last_words(settings, "control") == ""
