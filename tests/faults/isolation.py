"""What a server can be shut into: a network of its own, a boot of its own, a small disk, another clock."""

import contextlib
import itertools
import os
import shlex
import socket
import subprocess
import threading

_NUMBERS = itertools.count(1)


class Isolation:
    """The namespaces of one server.

    Args:
        network: It reaches Temporal over a link of its own, which can be cut.
        boot: It and all that it starts live in namespaces that end together, as a host does; its boot id
            stands in a file.
        disk: Size of the small file system that holds its state folder, such as `4m`.
        clock: How far its clock is off, in faketime's words, such as `+10d`.
        image: Kind of file system, such as `ext4`, on a disk of its own at `self.disk` that can lose its power.
        environ: More variables for the agent.
    """

    def __init__(
        self,
        server_id,
        world,
        state,
        *,
        network=False,
        boot=False,
        disk=None,
        clock=None,
        image=None,
        environ=None,
    ):
        self.address, self.environment = world.address, dict(environ or {})
        self.prefix = []
        self._link = self._namespace = self._relay = None
        self._mounted = None
        if disk:
            state.mkdir(parents=True)
            _run("mount", "-t", "tmpfs", "-o", f"size={disk},mode=0700", "kitsune-test", state)
            self._mounted = state
        if image:
            self.disk, self._image = state.parent, state.parent.with_suffix(".image")
            _run("truncate", "--size", "256M", self._image)
            _run(f"mkfs.{image}", "-q", self._image)
            self.disk.mkdir()
            self._mount_image()
        if network:
            self._make_network(world.port)
        if boot:
            self.boot_id = world.folder / f"{server_id}.boot"
            self.set_boot(f"{os.getpid():08d}-0000-4000-8000-000000000001")
            bind = f"mount --bind {shlex.quote(str(self.boot_id))} /proc/sys/kernel/random/boot_id"
            self.prefix += [
                *["unshare", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc"],
                *["sh", "-c", f'{bind} && exec "$@"', "host"],
            ]
        if clock:
            self._clock = world.folder / f"{server_id}.clock"
            self.set_clock(clock)
            asked = subprocess.run(
                ["faketime", "-f", "+0", "printenv", "LD_PRELOAD"], capture_output=True, check=True
            )
            self.environment |= {
                "LD_PRELOAD": asked.stdout.decode().strip(),
                "FAKETIME_TIMESTAMP_FILE": str(self._clock),
                "FAKETIME_NO_CACHE": "1",
                # A clock that is wrong goes on as fast as any other.
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }

    def set_boot(self, boot_id):
        self.boot_id.write_text(boot_id + "\n")

    def set_clock(self, offset):
        self._clock.write_text(f"{offset}\n")

    def cut_power(self, kill):
        """Take from the disk what nobody has made durable: what is on the platters now is all that is left."""
        left = self._image.with_suffix(".left")
        _run("cp", "--sparse=always", self._image, left)
        kill()
        _run("umount", self.disk)
        left.replace(self._image)
        self._mount_image()

    def _mount_image(self):
        # Nothing reaches the disk by itself: the kernel would write it after some seconds else.
        _run("mount", "-o", "loop,commit=300", self._image, self.disk)
        self._mounted = self.disk

    def link(self, state):
        _run("ip", "link", "set", self._link, state)

    def close(self):
        if self._relay:
            self._relay.close()
        if self._namespace:
            _run("ip", "netns", "del", self._namespace)
            # The link goes with its other end, which the kernel takes away in its own time.
            subprocess.run(["ip", "link", "del", self._link], capture_output=True, check=False)
        if self._mounted:
            _run("umount", "--lazy", self._mounted)
        self._relay = self._namespace = self._mounted = None

    def _make_network(self, port):
        number = next(_NUMBERS)
        self._namespace = f"kt-{os.getpid()}-{number}"
        self._link, inner = f"kt{os.getpid() % 10**6}x{number}", f"kt{os.getpid() % 10**6}y{number}"
        # Shared address space that nobody routes; a /30 of its own for each server.
        block = (os.getpid() * 64 + number) % (1 << 18)
        base = (100 << 24) + (64 << 16) + block * 4
        outside, inside = (socket.inet_ntoa((base + last).to_bytes(4, "big")) for last in (1, 2))
        _run("ip", "netns", "add", self._namespace)
        _run("ip", "link", "add", self._link, "type", "veth", "peer", "name", inner)
        _run("ip", "link", "set", inner, "netns", self._namespace)
        _run("ip", "addr", "add", f"{outside}/30", "dev", self._link)
        _run("ip", "link", "set", self._link, "up")
        within = ["ip", "netns", "exec", self._namespace]
        _run(*within, "ip", "addr", "add", f"{inside}/30", "dev", inner)
        _run(*within, "ip", "link", "set", inner, "up")
        _run(*within, "ip", "link", "set", "lo", "up")
        self._relay = Relay(outside, port)
        self.address = f"{outside}:{self._relay.port}"
        self.prefix += within


class Relay:
    """Hands connections on the outer end of a link to Temporal, which listens on the loopback address only."""

    def __init__(self, host, target):
        self._target = target
        self._socket = socket.create_server((host, 0))
        self.port = self._socket.getsockname()[1]
        self._open = [self._socket]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self):
        while True:
            try:
                near, _ = self._socket.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:  # Temporal is down
                near.close()
                continue
            self._open += [near, far]
            for ends in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=ends, daemon=True).start()


def _pump(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def _run(*command):
    subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True)
