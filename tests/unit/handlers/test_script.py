"""The script step, with real processes."""

import asyncio
import logging
import os
import pwd
import resource
import signal
import sys
import uuid
from datetime import timedelta
from pathlib import Path

import pytest

from kitsune.agent import supervision
from kitsune.agent.processes import alive_members
from kitsune.errors import JournalUnavailable, StepFailed
from kitsune.handlers.base import StepContext
from kitsune.handlers.script import ScriptHandler, ScriptParams
from support.open_files import open_files

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
#: Far longer than anything here may take: reached only when it hangs.
HANGS = 60


@pytest.fixture
def context(tmp_path):
    """Make contexts; ends what their scripts have left running."""
    made = []

    def make(**more):
        spool = tmp_path / f"spool-{len(made)}"
        spool.mkdir(mode=0o700)
        ctx = StepContext(
            **{
                "rollout_id": "rollout-1",
                "server_id": "server-1",
                "step_name": "deploy",
                "operation_id": uuid.uuid4().hex,
                "attempt": 2,
                "timeout": timedelta(minutes=5),
                "spool": spool,
                "undo": None,  # a script keeps nothing
                "log": logging.LoggerAdapter(logging.getLogger("test")),
                **more,
            }
        )
        made.append(ctx)
        return ctx

    yield make
    for ctx in made:
        for pid in alive_members(ctx.operation_id):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def run(context):
    """Run a script and return its outputs."""

    async def run_it(ctx=None, **written):
        async with asyncio.timeout(HANGS):
            return await ScriptHandler().execute(
                ScriptParams.model_validate(written), ctx or context()
            )

    return run_it


def names_in(folder):
    return sorted(path.name for path in Path(folder).iterdir())


async def failure_of(running):
    with pytest.raises(StepFailed) as failure:
        await running
    return failure.value


async def lines_of(running):
    return (await running)["stdout"]["text"].splitlines()


async def test_a_command_runs_and_its_output_comes_back(run, context):
    ctx = context()
    assert await run(ctx, command="sh", args=["-c", "echo deployed; echo careful >&2"]) == {
        "exitCode": 0,
        "signal": None,
        "stdout": {"text": "deployed\n", "bytes": 9, "truncated": False},
        "stderr": {"text": "careful\n", "bytes": 8, "truncated": False},
        "changed": True,
    }
    assert (ctx.spool / "stdout.log").read_text() == "deployed\n"
    assert (ctx.spool / "stderr.log").read_text() == "careful\n"


async def test_arguments_reach_the_program_as_they_are(run):
    args = ["$HOME", "a b", "", "*", "; true", "ü"]
    assert await lines_of(run(command="printf", args=["%s\\n", *args])) == args


async def test_an_inline_text_stops_at_its_first_failure(run):
    failure = await failure_of(run(inline="echo one\nfalse\necho two"))
    assert str(failure) == "exit code 1: one"


async def test_an_inline_text_goes_to_its_interpreter_as_a_file(run, context):
    ctx = context()
    text = (
        "import os, sys; print(os.stat(sys.argv[0]).st_mode & 0o777 == 0o500, sys.flags.isolated)"
    )
    found = await lines_of(run(ctx, inline=text, interpreter=f"'{sys.executable}' -I"))
    assert found == ["True 1"]
    assert names_in(ctx.spool) == ["exit.json", "stderr.log", "stdout.log"]


async def test_stdin_is_what_was_given(run):
    assert await lines_of(run(command="cat", stdin="hällo\n")) == ["hällo"]
    assert await lines_of(run(command="wc", args=["-c"], stdin="x" * 1_000_000)) == ["1000000"]


async def test_stdin_is_nothing_by_default(run):
    assert await lines_of(run(command="cat")) == []


async def test_a_script_sees_a_clean_environment(run, context, monkeypatch):
    monkeypatch.setenv("TEMPORAL_API_KEY", "secret")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("LC_TIME", "C")
    ctx = context()
    lines = await lines_of(run(ctx, command="env", env={"VERSION": "1.2\n3", "HOME": "/srv"}))
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    allowed = {"PATH", "LANG", "TZ", "USER", "LOGNAME", "SHELL", "TMPDIR"}
    others = {name: found[name] for name in found.keys() - allowed if not name.startswith("LC_")}
    assert others == {
        "HOME": "/srv",
        "VERSION": "1.2",
        "KITSUNE_ROLLOUT_ID": "rollout-1",
        "KITSUNE_SERVER_ID": "server-1",
        "KITSUNE_STEP": "deploy",
        "KITSUNE_ATTEMPT": "2",
        "KITSUNE_OPERATION": ctx.operation_id,
        "KITSUNE_REBOOTS": "0",
    }
    assert found["LC_TIME"] == "C"


async def test_a_command_is_looked_up_in_the_scripts_own_path(run, tmp_path):
    tool = tmp_path / "deploy.sh"
    tool.write_text("#!/bin/sh\necho mine\n")
    tool.chmod(0o755)
    path = f"{tmp_path}:/usr/bin:/bin"
    assert await lines_of(run(command="deploy.sh", env={"PATH": path})) == ["mine"]
    assert await lines_of(run(command="./deploy.sh", cwd=str(tmp_path))) == ["mine"]


async def test_a_script_starts_in_its_own_session(run):
    ids, *descriptors = await lines_of(
        run(inline="cut -d' ' -f1,5,6 /proc/$$/stat; ls /proc/$$/fd")
    )
    assert len(set(ids.split())) == 1
    assert set(descriptors) <= {"0", "1", "2", "10"}  # 10: the shell's own, on its text


async def test_the_agents_mask_is_not_the_scripts(run):
    before = os.umask(0o077)
    try:
        assert await lines_of(run(inline="umask")) == ["0022"]
    finally:
        os.umask(before)


async def test_a_script_dumps_no_core_and_the_agents_own_limit_stays(run):
    before = resource.getrlimit(resource.RLIMIT_CORE)
    hard = before[1]
    if hard == 0:
        pytest.skip("no process may dump core here")
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    try:
        assert await lines_of(run(inline="ulimit -c")) == ["0"]
        assert resource.getrlimit(resource.RLIMIT_CORE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)


async def test_the_process_is_journalled_while_it_runs(run, context):
    recorded = []

    async def record(pid):
        recorded.append(pid)

    ctx = context(record_process=record)
    assert await lines_of(run(ctx, inline="echo $PPID")) == [str(recorded[0])]


async def test_a_process_that_cannot_be_journalled_is_ended(run, context):
    async def refuse(pid):
        raise JournalUnavailable("the disk is full")

    ctx = context(record_process=refuse)
    with pytest.raises(JournalUnavailable):
        await run(ctx, inline="sleep 100")
    assert alive_members(ctx.operation_id) == []


async def test_a_failure_says_the_exit_code_and_the_last_lines_of_stderr(run):
    text = "echo working; for n in 1 2 3 4 5 6 7 8 9 10 11 12; do echo line $n >&2; done; exit 7"
    failure = await failure_of(run(inline=text))
    lines = "\n".join(f"line {number}" for number in range(3, 13))
    assert str(failure) == f"exit code 7: {lines}"
    assert not failure.permanent
    assert failure.outputs["exitCode"] == 7
    assert failure.outputs["stdout"]["text"] == "working\n"


async def test_a_failure_without_stderr_says_the_last_lines_of_stdout(run):
    assert str(await failure_of(run(inline="echo no; exit 3"))) == "exit code 3: no"


async def test_a_silent_failure_says_so(run):
    failure = await failure_of(run(command="false"))
    assert str(failure) == "exit code 1, and it printed nothing"


async def test_a_signal_is_named(run):
    failure = await failure_of(run(inline="echo oops >&2; kill -SEGV $$"))
    assert str(failure) == "killed by SIGSEGV: oops"
    assert failure.outputs["signal"] == "SIGSEGV"
    assert failure.outputs["exitCode"] == 139


async def test_a_signal_is_a_failure_even_where_its_number_is_good(run):
    failure = await failure_of(run(inline="kill -TERM $$", successExitCodes=[0, 143]))
    assert failure.outputs["signal"] == "SIGTERM"


async def test_other_exit_codes_can_mean_success(run):
    assert (await run(inline="exit 3", successExitCodes=[0, 3]))["exitCode"] == 3
    failure = await failure_of(run(command="true", successExitCodes=[3]))
    assert str(failure) == "exit code 0, and it printed nothing"


@pytest.mark.parametrize("character", ["x", "é", "漢", "🦊", "\\377"])
async def test_a_failure_message_stays_under_two_kibibytes(run, character):
    text = f"awk 'BEGIN {{ for (i = 0; i < 5000; i++) printf \"{character}\" }}' >&2; exit 1"
    failure = await failure_of(run(inline=text))
    assert 1700 < len(str(failure).encode()) < 1900


async def test_bytes_that_are_no_text_come_back_as_replacements(run):
    outputs = await run(inline="printf 'a\\377\\376\\000b'")
    assert outputs["stdout"] == {"text": "a\ufffd\ufffd\0b", "bytes": 5, "truncated": False}


async def test_much_output_is_cut_in_the_result_and_kept_on_disk(run, context):
    ctx = context()
    megabytes = 65 * 1024 * 1024
    text = f"head -c {megabytes} /dev/zero | tr '\\0' x; echo; echo end"
    outputs = await run(ctx, inline=text)
    assert outputs["stdout"]["bytes"] == megabytes + 5
    assert outputs["stdout"]["truncated"]
    assert outputs["stdout"]["text"].endswith("x\nend\n")
    assert " bytes left out …\n" in outputs["stdout"]["text"]
    assert len(outputs["stdout"]["text"].encode()) <= ctx.output_limit
    assert (ctx.spool / "stdout.log").stat().st_size == 64 * 1024 * 1024


async def test_a_full_disk_does_not_stop_the_script(run, context):
    ctx = context()
    (ctx.spool / "stdout.log").symlink_to("/dev/full")
    outputs = await run(ctx, inline="echo one; echo two")
    assert outputs["stdout"]["text"] == "one\ntwo\n"
    assert outputs["spoolError"] == "stdout.log is not whole: No space left on device"


async def test_a_text_that_cannot_be_kept_is_a_passing_failure(run, context):
    ctx = context()
    ctx.spool.rmdir()
    failure = await failure_of(run(ctx, inline="true"))
    assert "cannot keep the inline text in" in str(failure)
    assert not failure.permanent


async def test_what_a_daemon_holds_open_does_not_hold_the_step_up(run, context):
    ctx = context()
    outputs = await run(ctx, inline="setsid sh -c 'echo daemon; exec sleep 100' & echo done")
    assert "done\n" in outputs["stdout"]["text"]
    assert len(alive_members(ctx.operation_id)) == 1  # people start services from scripts


async def test_what_follows_the_end_of_the_script_is_still_read(run):
    outputs = await run(inline="(sleep 0.1; echo late) & echo early")
    assert outputs["stdout"]["text"] == "early\nlate\n"


async def test_progress_shows_the_last_lines(run, context, tmp_path, monkeypatch):
    monkeypatch.setattr("kitsune.handlers.script._REPORT_SECONDS", 0.01)
    reports = []

    def report(details):
        reports.append(details)
        if details["bytes"] == 6:
            (tmp_path / "go").touch()

    text = 'printf "a\\nb\\n"; echo w >&2; while [ ! -e "$GO" ]; do sleep 0.01; done; echo c'
    await run(context(report=report), inline=text, env={"GO": str(tmp_path / "go")})
    report = next(details for details in reports if details["bytes"] == 6)
    assert (report["stdout"], report["stderr"]) == ("b", "w")
    assert report["tails"] == {
        "stdout": {"text": "a\nb\n", "end": 4},
        "stderr": {"text": "w\n", "end": 2},
    }
    sizes = [details["bytes"] for details in reports]
    assert sizes == sorted(set(sizes))  # only when something was printed


async def test_it_works_where_python_offers_no_process_descriptors(run, monkeypatch):
    monkeypatch.delattr(supervision.os, "pidfd_open")
    assert await lines_of(run(inline="sleep 0.05; echo done")) == ["done"]


@as_root
async def test_a_script_runs_as_another_user(run):
    nobody = pwd.getpwnam("nobody")
    text = "id -u; id -g; id -G; echo $HOME $USER $LOGNAME; cat /dev/stdin; echo out > /dev/stdout"
    found = await lines_of(run(inline=text, user="nobody", stdin="in\n", cwd="/"))
    groups = os.getgrouplist("nobody", nobody.pw_gid)
    assert found == [
        str(nobody.pw_uid),
        str(nobody.pw_gid),
        " ".join(map(str, groups)),
        f"{nobody.pw_dir} nobody nobody",
        "in",
        "out",
    ]
    assert await lines_of(run(command="id", args=["-un"], user=nobody.pw_uid)) == ["nobody"]


@as_root
async def test_the_agents_groups_are_not_the_users(run):
    before = os.getgroups()
    os.setgroups([*before, 12_345])
    try:
        (groups,) = await lines_of(run(command="id", args=["-G"], user="nobody"))
    finally:
        os.setgroups(before)
    assert "12345" not in groups.split()


@as_root
async def test_a_program_that_the_user_may_not_run_is_named(run, tmp_path):
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o700)
    failure = await failure_of(run(command=str(tool), user="nobody"))
    assert str(failure) == f"cannot start '{tool}' as user 'nobody': Permission denied"
    assert failure.permanent


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"command": "nope.sh"}, "command not found: 'nope.sh' (looked in PATH=/usr/bin:/bin)"),
        (
            {"command": "./nope.sh", "cwd": "/usr"},
            "command not found: './nope.sh' (No such file or directory, looked at from /usr)",
        ),
        ({"command": "/nope.sh"}, "command not found: '/nope.sh' (No such file or directory)"),
        ({"command": "/usr"}, "command is a folder: '/usr'"),
        (
            {"command": "/etc/passwd"},
            "command is not executable: '/etc/passwd' (chmod +x, or start it through an interpreter)",
        ),
        (
            {"inline": "true", "interpreter": "nope -x"},
            "interpreter not found: 'nope' (looked in PATH=/usr/bin:/bin)",
        ),
        ({"command": "true", "cwd": "/nope"}, "no such cwd: '/nope' (No such file or directory)"),
        ({"command": "true", "cwd": "/etc/passwd"}, "cwd is not a folder: '/etc/passwd'"),
        ({"command": "true", "user": "no-such-user"}, "no such user: 'no-such-user'"),
        (
            {"command": "true", "args": ["x" * 200_000]},
            "cannot start '/usr/bin/true': Argument list too long",
        ),
    ],
)
async def test_what_cannot_start_is_said_plainly(run, written, said):
    failure = await failure_of(run(**written, env={"PATH": "/usr/bin:/bin"}))
    assert str(failure) == said
    assert failure.permanent


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "#!/bin/nope\n",
            "bad interpreter: {} starts with '#!/bin/nope', and there is no such file",
        ),
        (
            "#!/bin/sh\r\n",
            (
                "bad interpreter: {} starts with '#!/bin/sh\\r', and there is no such file "
                "(the file has Windows line ends)"
            ),
        ),
        (
            "echo hi\n",
            "not a program: {} (a script's first line must name its interpreter, such as #!/bin/sh)",
        ),
    ],
)
async def test_a_file_that_is_no_program_is_said_plainly(run, tmp_path, content, said):
    file = tmp_path / "deploy"
    file.write_bytes(content.encode())
    file.chmod(0o755)
    failure = await failure_of(run(command=str(file)))
    assert str(failure) == said.format(repr(str(file)))
    assert failure.permanent


async def test_nothing_stays_open_after_many_scripts(run):
    await run(command="true")
    before = open_files()
    for _ in range(5):
        await run(inline="cat", stdin="x")
        await failure_of(run(command="nope"))
    assert open_files() - before == {}


async def roll_back(ctx, **written):
    async with asyncio.timeout(HANGS):
        params = ScriptParams.model_validate({"command": "true"} | written)
        await ScriptHandler().rollback(params, None, ctx)


async def test_a_rollback_runs_under_the_same_rules(context, tmp_path):
    ctx = context()
    text = 'echo "$A $KITSUNE_STEP $KITSUNE_ATTEMPT $KITSUNE_OPERATION"; pwd; cat'
    more = {"env": {"A": "a"}, "cwd": str(tmp_path), "stdin": "for the script only"}
    await roll_back(ctx, rollbackInline=text, **more)
    said = (ctx.spool / "stdout.log").read_text()
    assert said == f"a deploy 2 {ctx.operation_id}\n{tmp_path}\n"


async def test_a_rollback_command_gets_its_arguments(context):
    ctx = context()
    await roll_back(ctx, rollback_script="echo", rollbackArgs=["to", "v1"])
    assert (ctx.spool / "stdout.log").read_text() == "to v1\n"


async def test_a_rollback_must_end_with_zero(context):
    running = roll_back(context(), rollbackInline="echo stuck >&2; exit 3", successExitCodes=[0, 3])
    assert str(await failure_of(running)) == "exit code 3: stuck"


async def test_without_a_rollback_there_is_nothing_to_do(context):
    ctx = context()
    await roll_back(ctx)
    assert names_in(ctx.spool) == []
