"""A server id has one local worker on a host."""

import subprocess
import sys
import uuid

import pytest

from kitsune.agent.sole import hold_server_id
from kitsune.errors import ServerIdTaken


def test_a_server_id_is_held_by_one_process_until_it_ends_however_that_may_be():
    server_id = uuid.uuid4().hex
    code = (
        "import sys, time\nfrom kitsune.agent.sole import hold_server_id\n"
        "with hold_server_id(sys.argv[1], temporal='t'):\n    print('held', flush=True)\n    time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, server_id], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(ServerIdTaken, match="another local worker on this host"),
            hold_server_id(server_id, temporal="t"),
        ):
            pass
        with hold_server_id(server_id, temporal="another one"):
            pass
        holder.kill()
        holder.wait()
    with hold_server_id(server_id, temporal="t"):
        pass
