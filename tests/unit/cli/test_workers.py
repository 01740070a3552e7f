"""What the commands of the workers refuse before they reach for Temporal."""

import pytest

from kitsune.cli.exits import Exit
from kitsune.cli.main import run_command


def test_a_broken_file_of_webhooks_is_one_error(tmp_path, capsys):
    path = tmp_path / "webhooks.yaml"
    path.write_text("webhooks:\n  - name: ops\n    url: nowhere\n")
    assert run_command(["orchestration-worker", "--webhooks", str(path)]) is Exit.USAGE
    assert capsys.readouterr().err == (
        f"kitsune: the webhooks of {path} cannot be used:\n"
        f"{path}:3:10: webhooks[0].url: must be a web address, with its scheme and host\n"
        "  next: `kitsune --help` lists the commands, and the --help of each its settings\n"
    )


@pytest.mark.parametrize(
    "command", [["orchestration-worker"], ["local-worker", "--server-id", "a"]]
)
def test_a_bad_address_for_figures_is_one_error(command, capsys, monkeypatch):
    monkeypatch.setenv("KITSUNE_METRICS_ADDRESS", "web-1:9464")
    assert run_command(command) is Exit.USAGE
    assert capsys.readouterr().err.startswith(
        "kitsune: not an address to serve metrics on: 'web-1:9464' (write IP:PORT"
    )
