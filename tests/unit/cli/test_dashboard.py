"""`kitsune dashboard`: where settings come from, and how it refuses to start."""

import tomllib

import pytest

from kitsune.cli.dashboard import read_settings
from kitsune.cli.exits import Exit
from kitsune.cli.main import run_command
from kitsune.dashboard.settings import DashboardSettings
from kitsune.errors import DashboardRefused


@pytest.fixture(autouse=True)
def no_temporal(monkeypatch, tmp_path):
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(tmp_path / "none.toml"))


def test_options_win_over_the_file_and_the_file_over_defaults(tmp_path):
    config = tmp_path / "dashboard.toml"
    config.write_text('port = 8000\nhost = "localhost"\noperators = ["anna"]\n')
    found = read_settings({"port": "9000", "operators": (), "tls_key": None}, config=config)
    assert (found.port, found.host, found.operators) == (9000, "localhost", ("anna",))
    assert read_settings({}, config=None) == DashboardSettings()


def test_a_variable_stands_for_every_setting(monkeypatch, capsys):
    monkeypatch.setenv("KITSUNE_DASHBOARD_HOST", "10.0.0.7")
    monkeypatch.setenv("KITSUNE_DASHBOARD_ALLOWED_HOSTS", "a.test b.test")
    assert run_command(["dashboard"]) is Exit.USAGE
    said = capsys.readouterr().err
    assert "'10.0.0.7' can be reached from other machines" in said
    assert said.strip().splitlines()[1:] == [
        "  next: `kitsune dashboard --help` lists its settings"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [("prot = 1", "prot"), ("port = 'x'", "port"), ("port = ", "dashboard.toml"), ("authentication = 'oidc'", "authentication")],
)  # fmt: skip
def test_a_wrong_file_is_one_clear_error(tmp_path, text, said):
    config = tmp_path / "dashboard.toml"
    config.write_text(text)
    with pytest.raises(DashboardRefused, match=said):
        read_settings({}, config=config)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DashboardRefused, match=r"nowhere\.toml"):
        read_settings({}, config=tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--host", "0.0.0.0"],
        ["--authentication", "local"],
        ["--authentication", "local", "--users-file", "/nowhere/users.toml"],
        ["--tls-certificate", "/nowhere/cert.pem", "--tls-key", "/nowhere/key.pem"],
        ["--port", "seven"],
    ],
)
def test_what_is_not_safe_or_cannot_work_does_not_start(arguments, capsys):
    assert run_command(["dashboard", "--port", "0", *arguments]) is Exit.USAGE
    said = capsys.readouterr()
    assert said.out == ""
    assert len([line for line in said.err.splitlines() if line.startswith("kitsune: ")]) == 1


def test_a_port_that_is_taken_is_one_clear_error(capsys):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run_command(["dashboard", "--port", str(port)]) is Exit.USAGE
    said = capsys.readouterr().err
    assert f"127.0.0.1:{port}" in said
    assert "--port 0" in said


def test_without_the_extra_it_says_how_to_get_it(monkeypatch, capsys):
    monkeypatch.setattr("kitsune.cli.dashboard.is_installed", lambda: False)
    for command in (["dashboard"], ["dashboard", "user", "anna"]):
        assert run_command(command) is Exit.USAGE
        assert "kitsune-orchestrator[dashboard]" in capsys.readouterr().err


def test_an_entry_of_the_users_file_is_made_of_a_password(monkeypatch, capsys):
    import io

    from argon2 import PasswordHasher

    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse\n"))
    assert run_command(["dashboard", "user", "anna", "--role", "approver"]) is Exit.OK
    entry = tomllib.loads(capsys.readouterr().out)["anna"]
    assert entry["role"] == "approver"
    assert PasswordHasher().verify(entry["password"], "correct horse")


def test_a_short_password_is_refused(monkeypatch, capsys):
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    assert run_command(["dashboard", "user", "anna"]) is Exit.USAGE
    said = capsys.readouterr()
    assert "8 to" in said.err
    assert said.out == ""
