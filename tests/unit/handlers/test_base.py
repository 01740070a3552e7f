"""What a log may show of a step's params."""

from pydantic import Field

from kitsune.handlers.base import StepParams, sensitive, shown_params


class Login(StepParams):
    user: str
    token: str = sensitive()


class Params(StepParams):
    path: str
    content: str | None = sensitive(default=None)
    login: Login | None = None
    others: list[Login] = Field(default_factory=list)
    api_key: str = sensitive(default="", serialization_alias="theKey")


def test_sensitive_fields_never_reach_a_log_however_deep_they_are():
    login = {"user": "anna", "token": "s3cr3t"}
    params = Params.model_validate(
        {
            "path": "/etc/x",
            "content": "s3cr3t",
            "login": login,
            "others": [login],
            "apiKey": "s3cr3t",
        }
    )
    assert "s3cr3t" not in str(shown_params(params))
    assert shown_params(params)["login"] == {"user": "anna", "token": "***"}


def test_what_was_not_written_is_not_shown():
    assert shown_params(Params(path="/etc/x")) == {"path": "/etc/x"}
