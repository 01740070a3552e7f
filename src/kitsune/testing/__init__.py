"""The test kit for handler authors: run a step handler as an agent would, without Temporal.

```python
from kitsune.testing import HandlerBench

async def test_it_links_the_release(tmp_path):
    bench = HandlerBench(SymlinkHandler(), state=tmp_path / "state")
    outputs = await bench.execute({"path": str(tmp_path / "current"), "target": "/srv/v2"})
    assert outputs["changed"]
    await bench.rollback()
    assert not (tmp_path / "current").is_symlink()
```
"""

from kitsune.testing.bench import HandlerBench

__all__ = ["HandlerBench"]
