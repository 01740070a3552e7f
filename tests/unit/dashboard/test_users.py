"""The file of users: what it may say, and who may read it."""

import pytest
from argon2 import PasswordHasher

from kitsune.dashboard.roles import Role
from kitsune.dashboard.users import MAX_PASSWORD, Users, entry_text, read_users
from kitsune.errors import DashboardRefused
from support.logins import HASH, PASSWORD


@pytest.fixture
def write(tmp_path):
    def write_file(text, mode=0o600):
        path = tmp_path / "users.toml"
        path.write_text(text)
        path.chmod(mode)
        return path

    return write_file


def refusal(path):
    with pytest.raises(DashboardRefused) as refused:
        read_users(path)
    return str(refused.value)


def test_an_entry_can_be_read_back_whatever_the_name(write):
    names = ["anna", 'quote"back\\slash', "zoë", "line\nbreak", "a.b", "[x]"]
    path = write("".join(entry_text(name, role="operator", password_hash=HASH) for name in names))
    users = read_users(path)
    assert list(users) == names
    assert users["zoë"].role is Role.OPERATOR


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o620, 0o601])
def test_a_file_that_others_can_read_or_change_is_refused(write, mode):
    assert "chmod 600" in refusal(write(entry_text("a", role="viewer", password_hash=HASH), mode))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no users"),
        ("[a", "no TOML"),
        ('[a]\nrole = "viewer"\n', "a.password"),
        ('[a]\npassword = "hunter2 in the clear"\n', "not an argon2id hash"),
        (f'[a]\npassword = "{HASH}"\nrole = "admin"\n', "viewer, operator, approver"),
        (f'[a]\npassword = "{HASH}"\nroll = "viewer"\n', "a.roll"),
        ("a = 1\n", "a:"),
    ],
)
def test_a_wrong_file_is_one_clear_error_without_its_secrets(write, text, said):
    found = refusal(write(text))
    assert said in found
    assert "hunter2" not in found
    assert HASH not in found


def test_a_missing_file_is_named(tmp_path):
    assert "nowhere.toml" in refusal(tmp_path / "nowhere.toml")


def test_only_the_right_password_is_right(write):
    users = Users(write(entry_text("anna", role="viewer", password_hash=HASH)))
    assert users.verify("anna", PASSWORD)
    assert users.verify("anna", PASSWORD + " ") is None
    assert users.verify("anna", "") is None
    assert users.verify("anna", "x" * 100_000) is None
    assert users.verify("otto", PASSWORD) is None


def test_a_very_long_password_is_nobodys(write):
    long = "x" * (MAX_PASSWORD + 1)
    hashed = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(long[:MAX_PASSWORD])
    users = Users(write(entry_text("anna", role="viewer", password_hash=hashed)))
    assert users.verify("anna", long[:MAX_PASSWORD])
    assert users.verify("anna", long) is None


def test_a_file_that_has_become_unusable_lets_nobody_in(write):
    path = write(entry_text("anna", role="viewer", password_hash=HASH))
    users = Users(path)
    assert users.find("anna")
    path.write_text("[broken")
    assert users.find("anna") is None
    path.unlink()
    assert users.find("anna") is None
    write(entry_text("anna", role="operator", password_hash=HASH))
    assert users.find("anna").role is Role.OPERATOR
