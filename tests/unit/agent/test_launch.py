"""Finding and starting programs."""

import errno
import os

import pytest

from kitsune.agent import launch
from kitsune.agent.environment import clean_environment
from kitsune.agent.launch import Account, find_account, find_program
from kitsune.errors import StepFailed


def tool(folder, name, mode=0o755):
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text("#!/bin/sh\n")
    file.chmod(mode)
    return file


def test_a_bare_name_is_the_first_executable_in_path(tmp_path):
    tool(tmp_path / "a", "deploy", mode=0o644)
    (tmp_path / "b" / "deploy").mkdir(parents=True)
    wanted = tool(tmp_path / "c", "deploy")
    tool(tmp_path / "d", "deploy")
    path = ":".join(str(tmp_path / folder) for folder in "abcd")
    assert find_program("deploy", path=path, cwd=None) == str(wanted)


def test_a_bare_name_is_not_looked_for_in_cwd(tmp_path):
    tool(tmp_path, "deploy.sh")
    with pytest.raises(
        StepFailed, match=r"command not found: 'deploy.sh' \(looked in PATH=/nope:\)"
    ):
        find_program("deploy.sh", path="/nope:", cwd=str(tmp_path))


def test_a_name_with_a_slash_starts_from_cwd(tmp_path):
    wanted = tool(tmp_path / "bin", "deploy.sh")
    assert find_program("./bin/deploy.sh", path="", cwd=str(tmp_path)) == str(wanted)


def test_a_relative_folder_of_path_starts_from_cwd(tmp_path):
    wanted = tool(tmp_path / "bin", "deploy.sh")
    assert find_program("deploy.sh", path="bin", cwd=str(tmp_path)) == str(wanted)


def test_a_file_that_only_lacks_its_mode_is_named(tmp_path):
    file = tool(tmp_path, "deploy", mode=0o644)
    with pytest.raises(StepFailed, match=f"command is not executable: '{file}'"):
        find_program("deploy", path=str(tmp_path), cwd=None)


def test_a_very_long_path_is_cut_in_the_message():
    with pytest.raises(StepFailed) as failure:
        find_program("nope", path="/x" * 4000, cwd=None)
    assert len(str(failure.value)) < 1000


def test_a_user_is_found_by_name_and_by_number():
    own = find_account(str(os.geteuid()))
    assert own == find_account(own.name)
    assert own.is_own
    assert own.gid in own.groups


@pytest.mark.parametrize("user", ["no-such-user", "4123456789", "99999999999999999999", "-1"])
def test_an_unknown_user_is_named(user):
    with pytest.raises(StepFailed, match=f"no such user: '{user}'") as failure:
        find_account(user)
    assert failure.value.permanent


def test_another_user_needs_root(monkeypatch):
    monkeypatch.setattr(launch.os, "geteuid", lambda: 65534)
    with pytest.raises(
        StepFailed, match="user 'root' needs a local worker that runs as root; this"
    ):
        find_account("root")


def test_the_environment_is_an_allow_list():
    agents = {
        "PATH": "/bin",
        "LC_TIME": "C",
        "TZ": "UTC",
        "HOME": "/h",
        "USER": "u",
        "LANG": "",
        "TEMPORAL_API_KEY": "secret",
        "PYTHONPATH": "/x",
        "LD_PRELOAD": "/x",
    }
    found = clean_environment(agents, account=None)
    assert found == {"PATH": "/bin", "LC_TIME": "C", "TZ": "UTC", "HOME": "/h", "USER": "u"}


def test_a_service_without_home_gets_its_users():
    found = clean_environment({}, account=None)
    account = find_account(str(os.geteuid()))
    assert found["HOME"] == account.home
    assert found["USER"] == found["LOGNAME"] == account.name
    assert "/usr/bin" in found["PATH"].split(":")


def test_another_user_has_another_home():
    account = Account(name="app", uid=1, gid=1, groups=(1,), home="/srv/app")
    found = clean_environment({"HOME": "/root", "USER": "root"}, account=account)
    assert (found["HOME"], found["USER"], found["LOGNAME"]) == ("/srv/app", "app", "app")


@pytest.mark.parametrize(
    ("number", "permanent"), [(errno.EAGAIN, False), (errno.ETXTBSY, False), (errno.EACCES, True)]
)
def test_only_a_passing_trouble_is_worth_another_execution(number, permanent):
    program = launch.Program(argv=["/bin/sh"], environment={})
    error = OSError(number, os.strerror(number), "/bin/sh")
    failure = launch.start_failure(error, "/bin/sh", program, cwd=None)
    assert str(failure) == f"cannot start '/bin/sh': {os.strerror(number)}"
    assert failure.permanent is permanent
