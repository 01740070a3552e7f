"""The agent is killed at every point at which that could hurt, and each time the rollout ends well."""

import base64

import pytest

from faults.harness import until
from faults.oracle import check_invariants, snapshot

failpoints = pytest.importorskip("kitsune.agent.failpoints")

pytestmark = [pytest.mark.faults, pytest.mark.e2e, pytest.mark.timeout(300)]

#: So many agents at once: each is a Python of its own.
AT_ONCE = 8
POINTS = sorted(failpoints.FAIL_POINTS)
GROUPS = [POINTS[start : start + AT_ONCE] for start in range(0, len(POINTS), AT_ONCE)]


@pytest.mark.parametrize("points", GROUPS, ids=lambda points: f"{points[0]}-to-{points[-1]}")
def test_a_kill_at_any_fail_point_leaves_a_world_that_is_right(
    world, record_recovery, tmp_path, points
):
    servers = {}
    for point in points:
        server = world.add(point.replace("_", "-"))
        server.end()
        servers[point] = server
    for point, server in servers.items():
        server.start(KITSUNE_FAILPOINTS=f"{point}=kill")
    for server in servers.values():
        server.await_ready()
    trees = {server.id: tmp_path / server.id for server in servers.values()}
    for tree in trees.values():
        tree.mkdir()
        (tree / "config").write_text("old")
    before = {tree: snapshot(tree) for tree in trees.values()}
    # The last one fails on purpose: undoing has fail points too.
    scripts = [world.step("one", "echo done"), world.step("last", "exit 9")]
    handles = {
        point: world.start([server], [write(trees[server.id]), *scripts], heartbeatTimeout=4)
        for point, server in servers.items()
    }
    with record_recovery("F5", expected="killed at each point; files are as they were") as seen:
        reached = set()

        def all_ended():
            for point, server in servers.items():
                if not server.alive and point not in reached:
                    reached.add(point)
                    server.start()
            return all(has_ended(world, handle) for handle in handles.values())

        until(all_ended, "every rollout has ended", patience=150)
        seen(f"{len(reached)} of {len(points)} points reached: {', '.join(sorted(reached))}")
    for point, handle in handles.items():
        result = world.end_of(handle)
        assert result.results[0].status == "failed", point
        tree = trees[servers[point].id]
        check_invariants(world, handle, trees={tree: before[tree]})
    assert reached == set(points), f"never reached: {sorted(set(points) - reached)}"


def write(tree):
    content = base64.b64encode(b"new").decode()
    params = {"path": f"{tree}/config", "contentBase64": content}
    return {"name": "write", "type": "file_write", "params": params}


def has_ended(world, handle):
    return world.call(handle.describe()).status.name != "RUNNING"
