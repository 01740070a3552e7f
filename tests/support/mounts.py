"""Mounts for tests, undone at their end; skips where they cannot be had."""

import os
import subprocess

import pytest


class Mounts:
    def __init__(self):
        if os.geteuid() != 0:
            pytest.skip("only root may mount")
        self._mounted = []

    def __call__(self, *options, at):
        done = subprocess.run(["mount", *options, str(at)], capture_output=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"cannot mount here: {done.stderr.decode().strip()}")
        if not any("remount" in option for option in options):
            self._mounted.append(at)

    def read_only(self, folder):
        self("--bind", str(folder), at=folder)
        self("-o", "remount,ro,bind", at=folder)

    def small(self, folder, *, size):
        self("-t", "tmpfs", "-o", f"size={size}", "none", at=folder)

    def end(self):
        while self._mounted:
            subprocess.run(["umount", str(self._mounted.pop())], check=True)
