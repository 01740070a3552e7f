"""The containers' files, as far as they can be judged without a container: parsed, linted, and held to our promises."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
DEV = REPOSITORY / "dev"
COMPOSE = yaml.safe_load((DEV / "docker-compose.yaml").read_text())
SERVICES = COMPOSE["services"]
ONE_SHOT = {"schema", "namespace"}
WORKERS = {
    "kitsune-orchestrator": None,
    "kitsune-mock-server-1": "server-1",
    "kitsune-mock-server-2": "server-2",
    "kitsune-mock-server-3": "server-3",
}


def test_the_yaml_is_clean():
    done = subprocess.run(
        [sys.executable, "-m", "yamllint", "--strict", "dev", "deploy"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_all_that_was_promised_is_there():
    assert set(SERVICES) == {
        "postgresql",
        "schema",
        "temporal",
        "namespace",
        "temporal-ui",
        *WORKERS,
    }


def test_ports_are_the_promised_ones_and_only_for_this_machine():
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports == {
        "postgresql": ["127.0.0.1:5432:5432"],
        "temporal": ["127.0.0.1:7233:7233"],
        "temporal-ui": ["127.0.0.1:8080:8080"],
    }


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_and_not_deprecated(name):
    image, _, tag = SERVICES[name]["image"].partition(":")
    assert tag
    assert tag != "latest"
    assert "auto-setup" not in image


def test_the_server_and_its_schema_tools_are_of_one_version():
    tags = {
        service["image"].rsplit(":")[-1]
        for name, service in SERVICES.items()
        if name in {"schema", "temporal", "namespace"}
    }
    assert len(tags) == 1


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_waits_for_what_can_come_true(name):
    for awaited, how in SERVICES[name].get("depends_on", {}).items():
        assert awaited in SERVICES
        if how["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[awaited]
        else:
            assert how["condition"] == "service_completed_successfully"
            assert awaited in ONE_SHOT


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_watched_and_comes_back(name):
    service = SERVICES[name]
    if name in ONE_SHOT:
        assert service["restart"].startswith("on-failure:")
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}


@pytest.mark.parametrize("name", SERVICES)
def test_whatever_is_mounted_or_built_exists(name):
    service = SERVICES[name]
    if "build" in service:
        assert (DEV / service["build"] / "Dockerfile").is_file()
    for mount in service.get("volumes", []):
        source = mount.split(":")[0]
        assert (DEV / source).is_file() if source.startswith(".") else source in COMPOSE["volumes"]


@pytest.mark.parametrize(("name", "server_id"), WORKERS.items())
def test_workers_are_called_what_their_logs_are_asked_for_by(name, server_id):
    service = SERVICES[name]
    assert service["container_name"] == name
    assert service["environment"].get("SERVER_ID") == server_id
    assert service["command"][0] == ("local-worker" if server_id else "orchestration-worker")
    ready_file = service["command"][service["command"].index("--ready-file") + 1]
    assert service["healthcheck"]["test"][-1] == ready_file
    assert any(mount.startswith(str(Path(ready_file).parent)) for mount in service["tmpfs"]), (
        "a restart begins without it"
    )


def test_mock_servers_keep_their_state_apart():
    volumes = [
        mount.split(":")[0]
        for name, server in WORKERS.items()
        if server
        for mount in SERVICES[name]["volumes"]
    ]
    assert len(set(volumes)) == len(volumes) == 3


def test_temporal_gets_our_limits():
    mount = next(mount for mount in SERVICES["temporal"]["volumes"] if "dynamicconfig" in mount)
    assert mount.split(":")[1] == SERVICES["temporal"]["environment"]["DYNAMIC_CONFIG_FILE_PATH"]


def test_every_limit_is_one_that_the_temporal_server_knows():
    settings = yaml.safe_load((REPOSITORY / "deploy/temporal/dynamicconfig.yaml").read_text())
    server = Path(sys.executable).with_name("temporal").read_bytes().lower()
    unknown = [key for key in settings if key.lower().encode() not in server]
    assert not unknown


def test_only_the_orchestrators_queue_has_four_partitions():
    from kitsune.names import ORCHESTRATOR_QUEUE

    settings = yaml.safe_load((REPOSITORY / "deploy/temporal/dynamicconfig.yaml").read_text())
    for key in ("matching.numTaskqueueReadPartitions", "matching.numTaskqueueWritePartitions"):
        everywhere, orchestrators = settings[key]
        assert everywhere == {"value": 1}
        assert orchestrators == {"value": 4, "constraints": {"taskQueueName": ORCHESTRATOR_QUEUE}}


def test_the_image_runs_as_nobody_special_from_the_lock():
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    bases = re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.13\.\d+-slim-\w+", bases[0])
    assert re.search(r"^USER kitsune$", dockerfile, re.MULTILINE)
    installs = re.findall(r"pip install (.*)", dockerfile)
    assert installs
    assert all("--require-hashes" in line or "--no-index" in line for line in installs)


def test_the_image_gets_what_it_copies_and_nothing_else():
    allowed = {
        line[1:]
        for line in (REPOSITORY / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = set()
    for line in re.findall(
        r"^COPY (?!--from)(.*)$", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE
    ):
        copied |= set(line.split()[:-1])
    assert copied == allowed
    assert all((REPOSITORY / path).exists() for path in copied)


def test_the_images_lock_agrees_with_ours():
    def pins(name):
        return dict(
            re.findall(
                r"^([a-z0-9-]+)==([^ ;]+)",
                (REPOSITORY / "requirements" / name).read_text(),
                re.MULTILINE,
            )
        )

    ours = pins("dev.txt")
    for name in ("run.txt", "build.txt"):
        theirs = pins(name)
        assert theirs
        assert theirs.items() <= ours.items()
