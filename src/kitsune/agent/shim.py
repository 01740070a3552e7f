"""Runs one program beside the agent, and outlives it: a stand-alone script that imports no Kitsune.

Started as `python -I -S shim.py <fd>` with a socket to the agent: takes its order (marshal) from there, says `R`,
and starts the program when it is told `G`, which the agent says once it has recorded who runs it.
What the program prints and how it ended are in the order's folder, so nobody needs to be there to take it.
"""

import errno
import marshal
import os
import resource
import select
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from json.encoder import encode_basestring_ascii
    from typing import Any
else:  # what stands behind those modules, without what takes longer to import than all the rest
    import _signal as signal
    from _json import encode_basestring_ascii

OUTPUT_CAP = 64 * 1024 * 1024
#: The end of a stream that is kept beyond the cap.
RING = 64 * 1024
EXIT_FILE = "exit.json"
_RECORD_ROOM = 4096
_CHUNK = 256 * 1024
_AFTER_END = 1.0
_KILL_FOR = 5.0
_LOOK, _TICK, _LIMIT_LOOK = 0.03, 1.0, 0.2
_SUBREAPER = 36
_UMASK = 0o022

Process = tuple[int, int, str]


class suppress:  # noqa: N801 - contextlib's own, which takes a third of the start to import
    """Ignore some errors in a block."""

    def __init__(self, *errors: type[BaseException]) -> None:
        self._errors = errors

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, self._errors)


class Spool:
    """One stream on disk: its first bytes up to a cap, and beyond that its last ones in a second file."""

    def __init__(self, folder: str, name: str, cap: int = OUTPUT_CAP) -> None:
        """Start both files anew."""
        self.name, self.size = f"{name}.log", 0
        self.error: str | None = None
        self._room, self._ring, self._fresh = cap, bytearray(), False
        self._tail = os.path.join(folder, f"{name}.tail")
        self._file = -1
        with suppress(OSError):
            os.unlink(self._tail)
        try:
            self._file = _create(os.path.join(folder, self.name))
        except OSError as error:
            self._give_up(error)

    def feed(self, chunk: bytes) -> None:
        """Take what the program has printed."""
        self.size += len(chunk)
        self._ring += chunk[-RING:]
        if len(self._ring) > 2 * RING:
            del self._ring[:-RING]
        kept = chunk[: self._room] if self._file >= 0 else b""
        self._fresh = self._fresh or len(kept) < len(chunk)
        self._room -= len(kept)
        try:
            while kept:
                kept = kept[os.write(self._file, kept) :]
        except OSError as error:
            self._fresh = True
            self._give_up(error)

    def flush(self) -> None:
        """Write the end of the stream, where the first file does not have it."""
        if not self._fresh:
            return
        self._fresh = False
        with suppress(OSError):
            file = _create(self._tail)
            try:
                os.write(file, b"%020d\n" % self.size + bytes(self._ring[-RING:]))
            finally:
                os.close(file)

    def close(self) -> None:
        """Write what is left to write."""
        self.flush()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _give_up(self, error: OSError) -> None:
        self.error = f"{self.name} is not whole: {error.strerror}"
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class Shim:
    """One program, from the order to the record."""

    def __init__(self, order: "dict[str, Any]") -> None:
        """Set up everything that the record needs, before anything runs."""
        self.order = order
        folder = order["folder"]
        self.exit_path = os.path.join(folder, EXIT_FILE)
        self.record_file = _create(self.exit_path + ".new")
        os.posix_fallocate(self.record_file, 0, _RECORD_ROOM)
        self.spools = [Spool(folder, name, order["cap"]) for name in ("stdout", "stderr")]
        self.record: dict[str, Any] = {"exitCode": None, "signal": None, "endedBy": None}
        self.pipes: dict[int, Spool] = {}
        self.pid = 0
        self.status: int | None = None
        self.ended_at = 0.0
        self.told: set[tuple[int, int]] = set()
        self.ending_until = 0.0
        self.asked = False
        self.cgroup = ""
        self.polled_limits = False
        self.wake, wake = os.pipe()
        for end in (self.wake, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, *_: object) -> None:
        self.asked = True

    def run(self) -> None:
        """Start the program, and stay with it until it and what must end with it have ended."""
        _become_subreaper()
        self._make_cgroup()
        self.record["startedAt"], began = time.time(), time.monotonic()
        self._start()
        if self.pid:
            deadline = began + self.order["timeout"]
            next_tick = next_limits = 0.0
            while not self._step(deadline):
                now = time.monotonic()
                if now >= next_tick:
                    next_tick = now + _TICK
                    for spool in self.spools:
                        spool.flush()
                if self.polled_limits and now >= next_limits and not self.ending_until:
                    next_limits = now + _LIMIT_LOOK
                    self._check_limits()
        self.record["seconds"] = round(time.monotonic() - began, 6)
        self._finish()

    def never_started(self) -> None:
        """Record that nobody said go."""
        self.record["neverStarted"] = True
        self._finish()

    def _step(self, deadline: float) -> bool:
        now = time.monotonic()
        if not self.ending_until:
            if self.asked:
                self._end("cancel", now)
            elif self.status is None and now >= deadline:
                self._end("timeout", now)
        wait = _LOOK if self.ending_until else min(_TICK, max(0.0, deadline - now))
        if self.polled_limits and self.status is None:
            wait = min(wait, _LIMIT_LOOK)
        if self.status is not None and not self.ending_until:
            wait = min(
                wait if deadline > now else _TICK, max(0.0, self.ended_at + _AFTER_END - now)
            )
        self._pump(wait)
        self._reap()
        now = time.monotonic()
        if self.ending_until:
            return self._go_on_ending(now) and self._drained(now)
        return self.status is not None and self._drained(now)

    def _drained(self, now: float) -> bool:
        return not self.pipes or now >= self.ended_at + _AFTER_END

    def _pump(self, wait: float) -> None:
        ready, _, _ = select.select([self.wake, *self.pipes], [], [], wait)
        for descriptor in ready:
            if descriptor == self.wake:
                with suppress(BlockingIOError):
                    os.read(self.wake, 512)
                continue
            chunk = os.read(descriptor, _CHUNK)
            if chunk:
                self.pipes[descriptor].feed(chunk)
            else:
                del self.pipes[descriptor]
                os.close(descriptor)

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                if pid == self.pid and self.status is None:
                    self.status, self.ended_at = status, time.monotonic()

    def _end(self, why: str, now: float, *, grace: float | None = None) -> None:
        self.record["endedBy"] = why
        self.ending_until = now + (self.order["grace"] if grace is None else grace)

    def _go_on_ending(self, now: float) -> bool:
        """Tell the tree to end, then make it; return whether nothing is left, or nothing more can be done."""
        members = descendants(os.getpid())
        if not members:
            self.ended_at = min(self.ended_at or now, now)
            return True
        if now < self.ending_until:
            now_there = {(pid, start) for pid, start, _ in members}
            if not self.told & now_there:
                self.told = now_there
                _signal(members, signal.SIGTERM)
            return False
        if now < self.ending_until + _KILL_FOR:
            if self.cgroup:
                with suppress(OSError):
                    _write(self.cgroup + "/cgroup.kill", "1")
            _signal(members, signal.SIGKILL)
            return False
        self.record["left"] = [[pid, start] for pid, start, _ in members]
        self.ended_at = self.ended_at or now
        return True

    def _start(self) -> None:
        order, ends = self.order, []
        for spool in self.spools:
            read_end, write_end = os.pipe()
            self.pipes[read_end] = spool
            ends.append(write_end)
        report, tell = os.pipe()
        try:
            self.pid = os.fork()
        except OSError as error:
            self.record["startError"] = [error.errno, "exec"]
            return
        if not self.pid:
            _become(order, ends, tell, self.cgroup)
        for descriptor in (*ends, tell, order["stdin"], *order["inherited"]):
            if descriptor >= 0:
                os.close(descriptor)
        said = os.read(report, 100).decode()
        os.close(report)
        if said:
            number, stage = said.split()
            self.record["startError"] = [int(number), stage]

    def _make_cgroup(self) -> None:
        group = _own_cgroup()
        if not group:
            return
        limits = self.order["limits"]
        path = f"{group}/kitsune-{self.order['name']}"
        try:
            os.mkdir(path, 0o755)
            self.cgroup = path
        except OSError:
            self.polled_limits = bool(limits)
            return
        for key, file in (("memory", "memory.max"), ("processes", "pids.max")):
            if key in limits:
                try:
                    _write(f"{path}/{file}", str(limits[key]))
                except OSError:
                    self.polled_limits = True

    def _check_limits(self) -> None:
        members, limits = descendants(os.getpid()), self.order["limits"]
        used = {"processes": len(members)}
        if "memory" in limits:
            used["memory"] = sum(_resident(pid) for pid, _, _ in members)
        for key, limit in limits.items():
            if used[key] > limit:
                self.record["limit"] = {"name": key, "limit": limit, "used": used[key]}
                self._end("limit", time.monotonic(), grace=0)
                return

    def _finish(self) -> None:
        record = self.record
        for spool in self.spools:
            spool.close()
        if self.status is not None:
            code = os.waitstatus_to_exitcode(self.status)
            record["exitCode"] = code if code >= 0 else 128 - code
            record["signal"] = -code if code < 0 else None
        record["endedAt"] = time.time()
        record["stdout"], record["stderr"] = (spool.size for spool in self.spools)
        record["spoolError"] = "; ".join(s.error for s in self.spools if s.error) or None
        self._look_at_cgroup()
        for path in self.order["remove"]:
            with suppress(OSError):
                os.unlink(path)
        data = _json(record).encode()
        os.pwrite(self.record_file, data, 0)
        os.ftruncate(self.record_file, len(data))
        os.fsync(self.record_file)
        os.rename(self.exit_path + ".new", self.exit_path)
        folder = os.open(self.order["folder"], os.O_RDONLY)
        os.fsync(folder)

    def _look_at_cgroup(self) -> None:
        if not self.cgroup:
            return
        for key, file, word in (
            ("memory", "memory.events", "oom_kill"),
            ("processes", "pids.events", "max"),
        ):
            with suppress(OSError, ValueError):
                words = dict(line.split() for line in _read(f"{self.cgroup}/{file}").splitlines())
                limit = self.order["limits"].get(key)
                if limit and int(words.get(word, 0)) and "limit" not in self.record:
                    self.record["limit"] = {"name": key, "limit": limit, "used": limit}
        with suppress(OSError):  # a daemon that was left behind stays in it
            os.rmdir(self.cgroup)


def _json(value: object) -> str:
    """Return plain data as JSON; the module of that name takes as long to import as all that is here."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    if isinstance(value, dict):
        inside = ", ".join(f"{_json(str(key))}: {_json(of)}" for key, of in value.items())
        return "{" + inside + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_json, value)) + "]"
    return repr(value)  # a number


def descendants(root: int) -> list[Process]:
    """Return every living descendant of a process: id, start time, state."""
    children: dict[int, list[int]] = {}
    known: dict[int, Process] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            line = _read(f"/proc/{name}/stat")
        except OSError:
            continue
        fields = line[line.rindex(")") + 2 :].split()
        pid = int(name)
        children.setdefault(int(fields[1]), []).append(pid)
        if fields[0] not in "ZX" or int(fields[17]) > 1:
            known[pid] = (pid, int(fields[19]), fields[0])
    found, todo = [], [root]
    while todo:
        for pid in children.get(todo.pop(), ()):
            todo.append(pid)
            if pid in known:
                found.append(known[pid])
    return found


def _become(order: "dict[str, Any]", ends: list[int], tell: int, cgroup: str) -> None:
    """Turn this forked child into the program; never returns."""
    stage = "exec"
    try:
        _leave_the_shim(cgroup)
        given = order["stdin"] >= 0
        stdin = order["stdin"] if given else os.open("/dev/null", os.O_RDONLY)
        if order["uid"] is not None:
            # Else it could not open /dev/stdout or /dev/stdin, which belong to the agent's user.
            for descriptor in (*ends, *([stdin] if given else [])):
                os.fchown(descriptor, order["uid"], order["gid"])
            stage = "user"
            os.setgroups(order["groups"])
            os.setgid(order["gid"])
            os.setuid(order["uid"])
        if order["cwd"] is not None:
            stage = "cwd"
            os.chdir(order["cwd"])
        stage = "exec"
        for number, descriptor in enumerate((stdin, *ends)):
            os.dup2(descriptor, number)
        for descriptor in order["inherited"]:
            os.set_inheritable(descriptor, True)  # noqa: FBT003 - its only parameter
        os.execve(order["executable"], order["argv"], order["environment"])  # noqa: S606 - the purpose
    except OSError as error:
        os.write(tell, f"{error.errno or errno.EINVAL} {stage}".encode())
    finally:
        os._exit(127)


def _leave_the_shim(cgroup: str) -> None:
    os.setsid()
    signal.set_wakeup_fd(-1)
    for ours in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ours, signal.SIG_DFL)
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    if cgroup:
        with suppress(OSError):
            _write(cgroup + "/cgroup.procs", "0")
    os.umask(_UMASK)


def _signal(members: list[Process], number: int) -> None:
    for pid, _, state in members:
        with suppress(OSError):
            os.kill(pid, number)
            if state == "T":
                os.kill(pid, signal.SIGCONT)


def _become_subreaper() -> None:
    with suppress(Exception):  # without it, orphans are found by their marker
        # What stands behind ctypes, without its types: they take ten times as long.
        import _ctypes  # noqa: PLC0415 - while the agent is busy with its journal

        program = _ctypes.dlopen(None, os.RTLD_NOW)  # type: ignore[arg-type]  # None: the program itself
        prctl = _ctypes.dlsym(program, "prctl")
        _ctypes.call_function(prctl, (_SUBREAPER, 1, 0, 0, 0))


def _own_cgroup() -> str:
    with suppress(OSError):
        for mount in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
            if os.path.exists(mount + "/cgroup.controllers"):
                for line in _read("/proc/self/cgroup").splitlines():
                    if line.startswith("0::"):
                        return (mount + line[3:]).rstrip("/")
    return ""


def _resident(pid: int) -> int:
    try:
        return int(_read(f"/proc/{pid}/statm").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def _create(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)


def _read(path: str) -> str:
    with open(path, errors="replace") as file:
        return file.read()


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def _take(control: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = os.read(control, size - len(data))
        if not chunk:
            sys.exit(1)  # the agent died before it had told what to do
        data += chunk
    return data


def main(control: int) -> None:
    """Serve one order."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    order = marshal.loads(_take(control, int.from_bytes(_take(control, 8), "big")))  # noqa: S302 - from our own parent
    ours = {0, 1, 2, control, order["stdin"], *order["inherited"]}
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        if descriptor not in ours:
            with suppress(OSError):  # the listing's own
                os.close(descriptor)
        elif descriptor > 2:  # noqa: PLR2004 - the standard three
            os.set_inheritable(descriptor, False)  # noqa: FBT003 - its only parameter
    try:
        shim = Shim(order)
    except OSError as error:
        os.write(control, b"E" + str(error).encode())
        return
    with suppress(OSError):
        os.write(control, b"R")
    go = b""
    with suppress(OSError):
        go = os.read(control, 1)
    os.close(control)
    if go == b"G" and not shim.asked:
        shim.run()
    else:
        shim.never_started()


if __name__ == "__main__":
    main(int(sys.argv[1]))
    os._exit(0)  # everything is on disk: Python would take its time to tidy up
