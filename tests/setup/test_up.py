"""What `mchub up` starts, and what it says when it can't; `mchub setup`'s commands; `./run.sh`'s own first checks."""

from __future__ import annotations

import fcntl
import http.server
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.processes import ProcessError, run_logged
from app.settings import Settings
from app.setup import commands, up
from app.terraform.engine import EngineError
from app.terraform.mirror import MirrorError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def settings(tmp_path: Path, free_port: int) -> Settings:
    return Settings(data=tmp_path / "data", cache=tmp_path / "cache", port=free_port, sandbox_port=free_port)


@pytest.fixture
def nothing_to_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up, "set_up", lambda _settings: None)


def test_sandbox_and_nodes_come_with_the_hub_when_no_cloud_is_named(settings: Settings) -> None:
    programs = up.programs_to_run(settings, {"PATH": "/bin", "OS_USERNAME": "left over"})
    assert [Path(program.command[0]).name + " " + program.command[1] for program in programs] == [
        "mchub sandbox",
        "mchub nodes",
        "mchub serve",
    ]
    sandbox, nodes, hub = programs
    assert not any(name.startswith("OS_") for name in sandbox.environment)
    for program in (nodes, hub):
        cloud = {name: value for name, value in program.environment.items() if name.startswith("OS_")}
        clouds = str(settings.data / "sandbox" / "clouds.yaml")
        assert cloud == {"OS_CLOUD": "sandbox", "OS_CLIENT_CONFIG_FILE": clouds}
        assert program.environment["MCHUB_DATA"] == str(settings.data)


@pytest.mark.parametrize("variable", ["OS_CLOUD", "OS_AUTH_URL"])
def test_a_cloud_that_is_named_is_used_in_place_of_the_sandbox(settings: Settings, variable: str) -> None:
    (hub,) = up.programs_to_run(settings, {"PATH": "/bin", variable: "mine", "OS_PASSWORD": "secret"})
    assert hub.command[1] == "serve"
    assert (hub.environment[variable], hub.environment["OS_PASSWORD"]) == ("mine", "secret")


def test_all_can_end_within_20_s(settings: Settings) -> None:
    assert sum(program.stop_seconds for program in up.programs_to_run(settings, {})) < 20


def test_the_sandbox_is_ready_when_it_answers_and_its_clouds_yaml_is_there(settings: Settings) -> None:
    sandbox = up.programs_to_run(settings, {})[0]
    assert not sandbox.is_ready()
    server = http.server.HTTPServer(("127.0.0.1", settings.sandbox_port), http.server.BaseHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        assert up.answers("127.0.0.1", settings.sandbox_port)
        assert not sandbox.is_ready()
        (settings.data / "sandbox").mkdir(parents=True)
        (settings.data / "sandbox" / "clouds.yaml").touch()
        assert sandbox.is_ready()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.usefixtures("nothing_to_set_up")
def test_a_port_that_is_taken_is_named_with_what_to_do(settings: Settings) -> None:
    with (
        socket.create_server(("127.0.0.1", settings.port)),
        pytest.raises(
            up.UpError, match=rf"127\.0\.0\.1:{settings.port} can't be listened on.*MCHUB_PORT={settings.port + 1}"
        ),
    ):
        up.run(settings, 0)


@pytest.mark.usefixtures("nothing_to_set_up")
def test_a_second_hub_on_the_same_data_is_refused(settings: Settings) -> None:
    settings.data.mkdir()
    with (settings.data / "run.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(up.UpError, match=r"Another \./run\.sh runs with .*MCHUB_DATA, MCHUB_PORT"):
            up.run(settings, 0)


def announcement(settings: Settings, capsys: pytest.CaptureFixture[str], with_sandbox: bool) -> str:
    up._announce(settings, with_sandbox, time.monotonic())
    return capsys.readouterr().out


def test_the_newcomer_is_told_the_url_and_what_to_try(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    text = announcement(settings, capsys, with_sandbox=True)
    assert f"http://localhost:{settings.port}" in text
    assert "press Apply" in text
    assert "OS_CLOUD=sandbox" in text


def test_on_another_address_the_token_is_asked_for(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_CLOUD", "mine")
    text = announcement(settings.model_copy(update={"bind": "0.0.0.0"}), capsys, with_sandbox=False)
    assert "start-up token" in text
    assert "Cloud    mine" in text


class TestCommands:
    """`mchub setup ...`."""

    @pytest.fixture(autouse=True)
    def _environment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MCHUB_DATA", str(tmp_path / "data"))
        monkeypatch.setenv("MCHUB_CACHE", str(tmp_path / "cache"))

    def test_status_tells_what_is_there(self) -> None:
        result = CliRunner().invoke(commands.setup, ["status"])
        assert result.exit_code == 0
        assert "Terraform  1." in result.output
        assert "none in the mirror: run `mchub setup providers`" in result.output

    def test_an_expected_error_is_a_message_and_not_a_traceback(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MCHUB_TERRAFORM", "/nowhere/terraform")
        result = CliRunner().invoke(commands.setup, ["status"])
        assert result.exit_code == 1
        assert "Error: /nowhere/terraform does not answer" in result.output

    def test_a_setting_that_cannot_be_used_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MCHUB_PORT", "http")
        for command in (commands.up, commands.setup):
            result = CliRunner().invoke(command, ["status"] if command is commands.setup else [])
            assert result.exit_code == 1
            assert "MCHUB_PORT" in result.output

    @pytest.mark.parametrize("error", [EngineError("no engine"), MirrorError("no mirror"), up.UpError("port taken")])
    def test_up_ends_with_what_to_do(self, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
        def fail(*_: object) -> None:
            raise error

        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
        monkeypatch.setattr(commands, "run", fail)
        try:
            result = CliRunner().invoke(commands.up)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        assert (result.exit_code, result.output) == (1, f"Error: {error}\n")


class TestRunSh:
    """The shell script itself, in a folder of its own."""

    @pytest.fixture
    def checkout(self, tmp_path: Path) -> Path:
        folder = tmp_path / "check out"
        folder.mkdir()
        shutil.copy(ROOT / "run.sh", folder)
        return folder

    def test_without_a_python_it_says_what_to_install(self, checkout: Path, tmp_path: Path) -> None:
        programs = tmp_path / "bin"
        programs.mkdir()
        for name in ("bash", "env", "realpath", "dirname", "mkdir", "flock"):
            (programs / name).symlink_to(str(shutil.which(name)))
        answer = subprocess.run(
            [checkout / "run.sh"], env={"PATH": str(programs)}, capture_output=True, text=True, check=False
        )
        assert answer.returncode == 1
        assert "Python 3.11 or later is needed" in answer.stderr
        assert "apt-get install python3 python3-venv" in answer.stderr

    def test_an_unknown_argument_shows_how_it_is_used(self, checkout: Path) -> None:
        answer = subprocess.run([checkout / "run.sh", "--help"], capture_output=True, text=True, check=False)
        assert answer.returncode == 2
        assert "./run.sh python [--dev]" in answer.stdout

    def test_a_half_made_environment_is_made_whole(self, checkout: Path) -> None:
        (checkout / "pyproject.toml").write_text('[project]\nname = "empty"\nversion = "1"\n')
        (checkout / "requirements.txt").write_text("nothing-of-this-name==1.0\n")
        (checkout / ".venv" / "bin").mkdir(parents=True)
        (checkout / ".venv" / "bin" / "python").symlink_to(sys.executable + ".gone")
        environment = os.environ | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(checkout)}
        environment.pop("MCHUB_DATA", None)
        answer = subprocess.run(
            [checkout / "run.sh", "python"], env=environment, capture_output=True, text=True, check=False
        )
        assert answer.returncode == 1, "this folder's requirement can't be had"
        assert "The Python packages could not be installed: ERROR: No matching distribution" in answer.stderr
        assert "start ./run.sh again" in answer.stderr
        (checkout / "requirements.txt").write_text("")
        subprocess.run(
            [checkout / ".venv" / "bin" / "python", "-m", "pip", "--version"], check=True, capture_output=True
        )


class TestRunLogged:
    """Programs of the set-up."""

    def test_a_program_that_cannot_be_started_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ProcessError, match="/nowhere/npm could not be started"):
            run_logged(["/nowhere/npm"], tmp_path, {}, tmp_path / "log", 5)

    def test_a_program_that_takes_too_long_is_ended_with_its_children(self, tmp_path: Path) -> None:
        command = ["/bin/sh", "-c", "sleep 60 & echo $! >child; wait"]
        with pytest.raises(ProcessError, match="sh was ended: it took more than 1 s"):
            run_logged(command, tmp_path, {"PATH": os.defpath}, tmp_path / "log", 1)
        child = int((tmp_path / "child").read_text())
        deadline = time.monotonic() + 10
        while Path(f"/proc/{child}").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text().split()[2]:
            assert time.monotonic() < deadline

    def test_the_last_lines_of_a_failed_program_are_told(self, tmp_path: Path) -> None:
        with pytest.raises(ProcessError, match=r"sh ended with code 3: b \| c \| d"):
            run_logged(["/bin/sh", "-c", "printf 'a\\nb\\n\\nc\\nd\\n'; exit 3"], tmp_path, {}, tmp_path / "log", 5)

    def test_silence_is_told_too(self, tmp_path: Path) -> None:
        with pytest.raises(ProcessError, match="sh ended with code 3: it printed nothing"):
            run_logged(["/bin/sh", "-c", "exit 3"], tmp_path, {}, tmp_path / "log", 5)
