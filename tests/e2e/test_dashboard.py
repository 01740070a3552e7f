"""`kitsune dashboard` as a real process: a rollout is started and steered through its API, over http and over TLS."""

import contextlib
import os
import shutil
import ssl
import subprocess

import httpx
import pytest

from support.small_fleet import KITSUNE, SmallFleet, interrupt, script, until

pytestmark = [pytest.mark.e2e, pytest.mark.server]
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def fleet(temporal_server, tmp_path_factory):
    fleet = SmallFleet(temporal_server.address, tmp_path_factory.mktemp("fleet"), "a", "b")
    yield fleet
    fleet.close()


@contextlib.contextmanager
def dashboard(fleet, *options):
    """Start it and yield its process and its address; at the end it is ended, and has ended well."""
    process = fleet.begin("dashboard", "--port", "0", *options)
    try:
        said = process.stdout.readline().decode()
        assert said.startswith("Kitsune's dashboard is at "), process.stderr.read().decode()
        yield process, said.split()[4]
        code, _, err = interrupt(process)
        assert code == 0, err
    finally:
        if process.poll() is None:
            process.kill()
        for pipe in (process.stdout, process.stderr):
            pipe.close()
        process.wait()


def plan_of(fleet, *steps, **keys):
    return {"name": "by-page", "servers": fleet.servers, "steps": list(steps), **keys}


def test_a_rollout_is_started_steered_and_seen_to_its_end(fleet, tmp_path):
    go = tmp_path / "go"
    plan = plan_of(
        fleet,
        script(f"while ! [ -e {go} ]; do sleep 0.05; done"),
        rolloutStrategy={"type": "Sequential", "approval": "everyBatch"},
    )
    rollout_id = f"page-d{os.getpid()}"
    with dashboard(fleet) as (_, url), httpx.Client(base_url=f"{url}/api/v1", timeout=30) as api:
        begun = api.post("/rollouts", json={"plan": plan, "rolloutId": rollout_id})
        assert begun.json() == {"rolloutId": rollout_id, "started": "started"}

        def seen():
            return api.get(f"/rollouts/{rollout_id}").json()

        until(lambda: seen()["counts"].get("running") == 1)
        stream = f"{url}/stream/rollouts/{rollout_id}"
        with httpx.stream("GET", stream, timeout=30) as events:
            lines = events.iter_lines()
            until(lambda: '"r"' in next(lines))
            go.touch()
            until(lambda: '"s"' in next(lines))
        until(lambda: seen()["gate"] == "batch-1")
        answer = api.post(f"/rollouts/{rollout_id}/approve", json={"gate": "batch-1"})
        assert answer.json()["accepted"] == "accepted"
        until(lambda: not seen()["open"])
        ended = seen()
        assert (ended["success"], ended["counts"]) == (True, {"succeeded": 2})
        assert ended["startedBy"] == ended["orders"][0]["actor"]
        result = api.get(f"/rollouts/{rollout_id}/result").json()
        assert [server["success"] for server in result["results"]] == [True, True]
        assert api.get("/fleet").status_code == 200


def test_a_failing_log_is_read_and_the_rest_is_retried(fleet, tmp_path):
    mended = tmp_path / "mended"
    plan = plan_of(fleet, script(f"[ -e {mended} ] || {{ echo no disk >&2; exit 3; }}"))
    rollout_id = f"failing-d{os.getpid()}"
    with dashboard(fleet) as (_, url), httpx.Client(base_url=f"{url}/api/v1", timeout=30) as api:
        api.post("/rollouts", json={"plan": plan, "rolloutId": rollout_id})
        until(lambda: not api.get(f"/rollouts/{rollout_id}").json()["open"])
        server = f"/rollouts/{rollout_id}/servers/{fleet.servers[0]}"
        assert "no disk" in api.get(server).json()["error"]
        log = api.get(f"{server}/log", params={"stream": "stderr"}).json()
        assert (log["state"], log["size"]) == ("kept", len("no disk\n"))
        mended.touch()
        done = api.post(f"/rollouts/{rollout_id}/retry", json={"reason": "disk is back"}).json()
        assert done["accepted"] == "started"
        until(lambda: not api.get(f"/rollouts/{done['rolloutId']}").json()["open"])
        assert api.get(f"/rollouts/{done['rolloutId']}").json()["success"] is True


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is missing")
def test_over_tls_users_log_in_and_what_they_do_has_their_name(fleet, tmp_path):
    key, certificate, users = (tmp_path / name for name in ("key.pem", "cert.pem", "users.toml"))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    made = subprocess.run(
        [*KITSUNE, "dashboard", "user", "otto", "--role", "operator"],
        input=f"{PASSWORD}\n", capture_output=True, text=True, check=True,
    )  # fmt: skip
    users.touch(mode=0o600)
    users.write_text(made.stdout)
    options = ["--host", "0.0.0.0", "--allowed-host", "localhost", "--authentication", "local",
               "--users-file", users, "--tls-certificate", certificate, "--tls-key", key]  # fmt: skip
    trusted = ssl.create_default_context(cafile=certificate)
    rollout_id = f"tls-d{os.getpid()}"
    with dashboard(fleet, *options) as (_, url):
        assert url.startswith("https://localhost:")
        with httpx.Client(base_url=url, verify=trusted, timeout=30) as client:
            assert client.get("/api/v1/rollouts").status_code == 401
            wrong = client.post("/login", data={"name": "otto", "password": "guess"})
            assert wrong.status_code == 401
            right = client.post("/login", data={"name": "otto", "password": PASSWORD})
            assert right.status_code == 303
            assert "__Host-kitsune" in client.cookies
            plan = plan_of(fleet, {"name": "nap", "type": "sleep", "params": {"duration": "1h"}})
            client.post("/api/v1/rollouts", json={"plan": plan, "rolloutId": rollout_id})
            answer = client.post(f"/api/v1/rollouts/{rollout_id}/approve", json={"gate": "x"})
            assert answer.status_code == 403
            evil = {"Origin": "https://evil.test"}
            order = f"/api/v1/rollouts/{rollout_id}/abort"
            assert client.post(order, json={}, headers=evil).status_code == 403
            assert client.post(order, json={"reason": "enough"}).status_code == 200
            shown = f"/api/v1/rollouts/{rollout_id}"
            until(lambda: not client.get(shown).json()["open"])
            told = client.get(shown).json()
        assert (told["state"], told["startedBy"]) == ("aborted", "otto")
        assert told["orders"][0]["actor"] == "otto"


def test_a_browser_that_listens_does_not_keep_it_from_ending(fleet):
    with (
        dashboard(fleet) as (process, url),
        httpx.stream("GET", f"{url}/stream/rollouts", timeout=30) as events,
    ):
        lines = events.iter_lines()
        next(lines)
        process.send_signal(2)
        assert process.wait(30) == 0
        rest = list(lines)
    assert "event: end" not in rest
