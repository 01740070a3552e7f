"""The systemd units, judged by systemd itself."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
NAMES = ["kitsune-dashboard", "kitsune-local-worker", "kitsune-orchestration-worker"]
HIGHEST_EXPOSURE = 2.0

needs_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed"
)


@pytest.fixture
def unit(request, tmp_path):
    """A copy of the unit whose program exists on this machine."""
    program = tmp_path / "kitsune"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    path = tmp_path / f"{request.param}.service"
    path.write_text(
        (UNITS / path.name).read_text().replace("/opt/kitsune/bin/kitsune", str(program))
    )
    return path


def analyze(*arguments):
    return subprocess.run(
        ["systemd-analyze", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"},
    )


@needs_systemd
@pytest.mark.parametrize("unit", NAMES, indirect=True)
def test_systemd_understands_every_line(unit):
    done = analyze("verify", str(unit))
    assert done.returncode == 0
    assert done.stderr + done.stdout == "", "an unknown key is only a warning"


@needs_systemd
@pytest.mark.parametrize("unit", ["kitsune-local-worker"], indirect=True)
def test_a_line_that_systemd_does_not_know_would_be_noticed(unit):
    unit.write_text(unit.read_text().replace("KillMode=", "KilMode="))
    assert "KilMode" in analyze("verify", str(unit)).stderr


@needs_systemd
@pytest.mark.parametrize(
    "unit", ["kitsune-dashboard", "kitsune-orchestration-worker"], indirect=True
)
def test_what_touches_no_server_can_do_little_harm(unit):
    done = analyze(
        "security", "--offline=true", f"--threshold={HIGHEST_EXPOSURE * 10:.0f}", str(unit)
    )
    assert done.returncode == 0, done.stdout


def test_the_sdk_can_read_the_memory_of_the_host():
    text = (UNITS / "kitsune-orchestration-worker.service").read_text()
    assert not re.search(r"^ProcSubset=", text, re.MULTILINE), (
        "Temporal's SDK panics without /proc/meminfo"
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_unit_starts_a_command_that_exists_and_comes_back_for_ever(name):
    from kitsune.cli.main import COMMANDS

    text = (UNITS / f"{name}.service").read_text()
    command = re.search(r"^ExecStart=/opt/kitsune/bin/kitsune (\S+)", text, re.MULTILINE)
    assert command[1] in COMMANDS
    for line in ("Restart=always", "RestartSec=5", "StartLimitIntervalSec=0", "LimitCORE=0"):
        assert re.search(f"^{line}$", text, re.MULTILINE), line


@pytest.mark.parametrize("name", NAMES)
def test_the_environment_that_a_unit_reads_is_shipped_beside_it(name):
    text = (UNITS / f"{name}.service").read_text()
    wanted = Path(re.search(r"^EnvironmentFile=(.*)$", text, re.MULTILINE)[1]).name
    shipped = UNITS / f"kitsune-{wanted}"
    assert f"{shipped.name} /etc/kitsune/{wanted}" in text
    assert "TEMPORAL_ADDRESS=" in shipped.read_text()


def test_scripts_of_the_local_worker_may_change_the_machine():
    text = (UNITS / "kitsune-local-worker.service").read_text()
    settings = {
        line.split("=")[0] for line in text.splitlines() if "=" in line and not line.startswith("#")
    }
    assert not {
        name
        for name in settings
        if name.startswith(("Protect", "Private", "Restrict", "SystemCall", "NoNew", "Capability"))
    }


def test_the_dashboard_starts_with_the_settings_of_its_unit_and_its_environment(monkeypatch):
    from kitsune.cli.dashboard import read_settings
    from kitsune.dashboard.settings import DashboardSettings, check_settings
    from kitsune.names import ENV_DASHBOARD_PREFIX

    text = (UNITS / "kitsune-dashboard.service").read_text()
    lines = re.findall(r"^Environment=(\S+)$", text, re.MULTILINE)
    lines += (UNITS / "kitsune-dashboard.env").read_text().splitlines()
    given = {
        name.removeprefix(ENV_DASHBOARD_PREFIX).lower(): value
        for name, _, value in (line.partition("=") for line in lines)
        if name.startswith(ENV_DASHBOARD_PREFIX)
    }
    assert given.keys() <= DashboardSettings.model_fields.keys()
    assert not check_settings(read_settings(given, config=None)).is_loopback
