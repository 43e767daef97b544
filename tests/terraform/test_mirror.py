"""The provider mirror: made once, checked each time, made again when damaged. Go and the registry are stand-ins."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from app.terraform.mirror import (
    PROVIDERS,
    MirrorError,
    ProviderPin,
    Tools,
    build_environment,
    ensure_provider,
    fetch_configuration,
    mirror_folder,
    platform_name,
    read_mirror,
)

GO = """\
#!/bin/sh
# Stands in for `go build ... -o OUTPUT .`: the "binary" is main.go.
echo "$*" >>{calls}
[ ! -e {hold} ] || { touch {held}; while [ -e {hold} ]; do sleep 0.05; done; }
[ ! -e {broken} ] || { echo 'dial tcp: no route to the module proxy' >&2; exit 1; }
cp main.go "$4" && chmod +x "$4"
"""
TERRAFORM = """\
#!{python}
# Stands in for `terraform providers mirror -platform=PLATFORM FOLDER` with a registry that answers.
import json, os, pathlib, sys, zipfile
assert sys.argv[1:3] == ["providers", "mirror"], sys.argv
assert pathlib.Path(os.environ["TF_CLI_CONFIG_FILE"]).read_text() == "disable_checkpoint = true\\n"
platform, folder = sys.argv[3].removeprefix("-platform="), pathlib.Path(sys.argv[4])
((name, pin),) = json.load(open("main.tf.json"))["terraform"]["required_providers"].items()
packed = folder / "registry.terraform.io" / pin["source"]
packed.mkdir(parents=True)
with zipfile.ZipFile(packed / f"terraform-provider-{name}_{pin['version']}_{platform}.zip", "w") as archive:
    archive.writestr("LICENSE", "free")
    archive.writestr(f"terraform-provider-{name}_v{pin['version']}", "from the registry")
"""


class Workshop:
    """A cache, a Go module, and stand-ins that count what is asked of them."""

    def __init__(self, folder: Path) -> None:
        self.cache, self.log, self.lines = folder / "cache", folder / "setup.log", list[str]()
        module = folder / "module"
        module.mkdir()
        (module / "main.go").write_text("built")
        (module / "go.mod").write_text("module example\n\ngo 1.24.0\n")
        self.pin = ProviderPin("example", "dummy", "1.2.3", module)
        self.calls, self.hold, self.held, self.broken = (folder / name for name in ("calls", "hold", "held", "broken"))
        self.go, self.terraform = folder / "go", folder / "terraform"
        script = GO
        for name in ("calls", "hold", "held", "broken"):
            script = script.replace("{" + name + "}", str(getattr(self, name)))
        self.go.write_text(script)
        self.terraform.write_text(TERRAFORM.replace("{python}", sys.executable))
        self.go.chmod(0o755)
        self.terraform.chmod(0o755)

    @property
    def tools(self) -> Tools:
        return Tools(lambda: self.go, lambda: self.terraform, self.log)

    @property
    def binary(self) -> Path:
        return mirror_folder(self.cache) / self.pin.source / "1.2.3" / platform_name() / self.pin.binary_name

    @property
    def builds(self) -> int:
        return len(self.calls.read_text().splitlines()) if self.calls.exists() else 0

    def ensure(self) -> None:
        ensure_provider(self.cache, self.lines.append, self.tools, self.pin)


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)


def no_tool() -> Path:
    raise MirrorError("it is not here")


def test_a_provider_is_built_once_into_the_layout_that_terraform_reads(workshop: Workshop) -> None:
    workshop.ensure()
    assert workshop.binary.read_text() == "built"
    assert os.access(workshop.binary, os.X_OK)
    workshop.ensure()
    assert workshop.builds == 1
    (provider,) = read_mirror(mirror_folder(workshop.cache))
    assert (provider.source, provider.version, provider.origin) == (
        "registry.terraform.io/example/dummy",
        "1.2.3",
        "built",
    )
    assert "Building the dummy provider 1.2.3" in workshop.lines[0]


def test_the_providers_folder_holds_the_provider_and_nothing_else(workshop: Workshop) -> None:
    workshop.ensure()
    assert [path.name for path in workshop.binary.parent.iterdir()] == [workshop.binary.name]


@pytest.mark.parametrize(
    "damage", ["truncated", "changed", "not executable", "missing", "stamp missing", "stamp broken"]
)
def test_a_provider_that_does_not_match_its_stamp_is_built_again(workshop: Workshop, damage: str) -> None:
    workshop.ensure()
    (stamp,) = (workshop.cache / "stamps").iterdir()
    match damage:
        case "truncated":
            workshop.binary.write_text("bui")
        case "changed":
            workshop.binary.write_text("bUilt")
        case "not executable":
            workshop.binary.chmod(0o644)
        case "missing":
            workshop.binary.unlink()
        case "stamp missing":
            stamp.unlink()
        case _:
            stamp.write_text('{"inputs":')
    workshop.ensure()
    assert workshop.builds == 2
    assert workshop.binary.read_text() == "built"
    assert os.access(workshop.binary, os.X_OK)


def test_changed_sources_are_built_again(workshop: Workshop) -> None:
    workshop.ensure()
    assert workshop.pin.module is not None
    (workshop.pin.module / "main.go").write_text("built anew")
    workshop.ensure()
    assert workshop.binary.read_text() == "built anew"


def test_an_interrupted_build_continues_with_the_next_call(workshop: Workshop, tmp_path: Path) -> None:
    code = textwrap.dedent(f"""
        from pathlib import Path
        from app.terraform.mirror import ProviderPin, Tools, ensure_provider
        pin = ProviderPin("example", "dummy", "1.2.3", Path({str(workshop.pin.module)!r}))
        tools = Tools(lambda: Path({str(workshop.go)!r}), lambda: Path("/nowhere"), Path({str(workshop.log)!r}))
        ensure_provider(Path({str(workshop.cache)!r}), print, tools, pin)
    """)
    workshop.hold.touch()
    process = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2])
    until(workshop.held.exists)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not workshop.binary.exists()
    workshop.hold.unlink()
    workshop.ensure()
    assert workshop.binary.read_text() == "built"
    assert not list(workshop.cache.glob("making-*"))


def test_two_set_ups_at_once_build_one_provider(workshop: Workshop) -> None:
    workshop.hold.touch()
    threads = [threading.Thread(target=workshop.ensure) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: sum("waiting for it" in line for line in workshop.lines) == 2)
    workshop.hold.unlink()
    for thread in threads:
        thread.join(30)
    assert workshop.builds == 1


def test_what_cannot_be_built_comes_from_the_registry(workshop: Workshop) -> None:
    workshop.broken.touch()
    workshop.ensure()
    assert workshop.binary.read_text() == "from the registry"
    (provider,) = read_mirror(mirror_folder(workshop.cache))
    assert provider.origin == "registry"
    assert any("no route to the module proxy" in line for line in workshop.lines)
    workshop.ensure()
    assert workshop.builds == 1, "what came from the registry is kept"


def test_a_provider_without_a_module_of_ours_comes_from_the_registry(workshop: Workshop) -> None:
    provider = ensure_provider(
        workshop.cache, workshop.lines.append, workshop.tools, replace(workshop.pin, module=None)
    )
    assert provider.origin == "registry"
    assert workshop.builds == 0


def test_when_neither_works_the_error_names_both_reasons_and_what_to_do(workshop: Workshop) -> None:
    workshop.broken.touch()
    tools = Tools(lambda: workshop.go, no_tool, workshop.log)
    with pytest.raises(MirrorError) as caught:
        ensure_provider(workshop.cache, workshop.lines.append, tools, workshop.pin)
    message = str(caught.value)
    assert "building it: go ended with code 1: dial tcp: no route to the module proxy" in message
    assert "fetching it: it is not here" in message
    assert "GOPROXY" in message
    assert str(workshop.binary.parent) in message
    assert str(workshop.log) in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("terraform-provider-{name}_v", "something-else-{name}_v"), "holds no single provider"),
        (('_{platform}.zip", "w"', '_other.zip", "w"'), "can't be read"),
    ],
)
def test_a_registry_archive_of_another_form_is_an_error(
    workshop: Workshop, change: tuple[str, str], message: str
) -> None:
    workshop.terraform.write_text(workshop.terraform.read_text().replace(*change))
    with pytest.raises(MirrorError, match=message):
        ensure_provider(workshop.cache, workshop.lines.append, workshop.tools, replace(workshop.pin, module=None))


def test_without_go_or_a_registry_nothing_is_left_in_the_mirror(workshop: Workshop) -> None:
    with pytest.raises(MirrorError):
        ensure_provider(workshop.cache, workshop.lines.append, Tools(no_tool, no_tool, workshop.log), workshop.pin)
    assert read_mirror(mirror_folder(workshop.cache)) == []


def test_a_provider_put_there_by_hand_has_no_origin(workshop: Workshop) -> None:
    workshop.binary.parent.mkdir(parents=True)
    workshop.binary.touch()
    (provider,) = read_mirror(mirror_folder(workshop.cache))
    assert provider.origin is None


def test_the_build_is_pinned_and_asks_no_checksum_server(tmp_path: Path) -> None:
    given = {"PATH": "/bin", "GOFLAGS": "-mod=mod", "GOPROXY": "https://proxy.test", "OS_PASSWORD": "secret"}
    environment = build_environment(tmp_path, given)
    assert environment["GOFLAGS"].startswith("-mod=readonly")
    assert (environment["GOSUMDB"], environment["GOTOOLCHAIN"]) == ("off", "local")
    assert environment["GOPROXY"] == "https://proxy.test"
    assert environment["GOCACHE"].startswith(str(tmp_path))
    assert "OS_PASSWORD" not in environment


def test_the_fetch_asks_for_exactly_the_pinned_version() -> None:
    required = json.loads(fetch_configuration(PROVIDERS[0]))["terraform"]["required_providers"]
    assert required == {"openstack": {"source": "terraform-provider-openstack/openstack", "version": "3.4.0"}}


def test_every_pinned_module_has_its_checksums_beside_it() -> None:
    for pin in PROVIDERS:
        assert pin.module is not None
        requirement = f"{pin.namespace}/terraform-provider-{pin.name}/v3 v{pin.version}"
        assert requirement in (pin.module / "go.mod").read_text()
        assert requirement in (pin.module / "go.sum").read_text()
