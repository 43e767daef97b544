"""The front end is built when something changed and only then, with a stand-in for npm that counts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.setup.frontend import FrontendError, is_built, setup_frontend

NPM = """\
#!/bin/sh
echo "$1" >>calls
[ ! -e fail-$1 ] || { echo "npm error network"; exit 1; }
case $1 in
    ci) mkdir -p node_modules ;;
    run) mkdir -p static/dist; echo '{}' >static/dist/manifest.json; env >environment ;;
esac
"""


class Checkout:
    """A project's root with a front end, and what npm was asked to do in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "static" / "src" / "icons").mkdir(parents=True)
        for name in (
            "package.json",
            "package-lock.json",
            "static/build.mjs",
            "static/src/app.js",
            "static/src/icons/a.svg",
        ):
            (root / name).write_text(name)

    @property
    def calls(self) -> list[str]:
        path = self.root / "calls"
        return path.read_text().split() if path.exists() else []

    def build(self) -> None:
        setup_frontend(self.root, self.root / "cache", self.root / "setup.log")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "node").write_text("#!/bin/sh\necho v22.0.0\n")
    (programs / "npm").write_text(NPM)
    for program in programs.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("OS_PASSWORD", "secret")
    monkeypatch.delenv("npm_config_cache", raising=False)
    (tmp_path / "project").mkdir()
    return Checkout(tmp_path / "project")


def test_it_is_built_once(checkout: Checkout) -> None:
    assert not is_built(checkout.root)
    checkout.build()
    checkout.build()
    assert checkout.calls == ["ci", "run"]
    assert is_built(checkout.root)


@pytest.mark.parametrize("name", ["static/src/app.js", "static/src/icons/a.svg", "static/build.mjs"])
def test_a_changed_source_is_bundled_again_without_installing(checkout: Checkout, name: str) -> None:
    checkout.build()
    (checkout.root / name).write_text("changed")
    checkout.build()
    assert checkout.calls == ["ci", "run", "run"]


def test_a_new_and_a_removed_source_count_as_changes(checkout: Checkout) -> None:
    checkout.build()
    (checkout.root / "static" / "src" / "new.js").touch()
    assert not is_built(checkout.root)
    (checkout.root / "static" / "src" / "new.js").unlink()
    assert is_built(checkout.root)


def test_a_changed_lock_file_is_installed_again(checkout: Checkout) -> None:
    checkout.build()
    (checkout.root / "package-lock.json").write_text("changed")
    checkout.build()
    assert checkout.calls == ["ci", "run", "ci", "run"]


def test_a_build_that_was_cut_short_is_made_again(checkout: Checkout) -> None:
    checkout.build()
    (checkout.root / "static" / "dist" / "manifest.json").unlink()
    checkout.build()
    assert checkout.calls == ["ci", "run", "run"]


@pytest.mark.parametrize("step", ["ci", "run"])
def test_a_failure_names_the_cause_and_the_log_and_the_next_run_continues(checkout: Checkout, step: str) -> None:
    (checkout.root / f"fail-{step}").touch()
    with pytest.raises(FrontendError, match=r"npm error network.*HTTPS_PROXY.*setup\.log"):
        checkout.build()
    assert not is_built(checkout.root)
    (checkout.root / f"fail-{step}").unlink()
    checkout.build()
    assert is_built(checkout.root)


def test_npm_sees_no_credential_and_keeps_its_downloads_in_the_cache(checkout: Checkout) -> None:
    checkout.build()
    environment = (checkout.root / "environment").read_text()
    assert "OS_PASSWORD" not in environment
    assert f"npm_config_cache={checkout.root / 'cache' / 'npm'}" in environment
