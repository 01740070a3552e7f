"""What starts a shim, and how."""

import os
import py_compile

from kitsune.agent.supervision import compiled_form


def test_a_shim_starts_from_its_compiled_form_while_that_is_current(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.pycache_prefix", None)
    source = tmp_path / "shim.py"
    source.write_text("a = 1\n")
    assert compiled_form(source) == source

    kept = py_compile.compile(str(source))
    assert str(compiled_form(source)) == kept

    source.write_text("a = 1000\n")
    os.utime(source, (1, 1))
    assert compiled_form(source) == source
