"""The garbage collector of a worker's process."""

import gc

#: Objects that are made before the collector looks for circles among them; Python's default is 700, and a step of a
#: few milliseconds makes thousands. Then how many such looks lie between two at what is older.
_THRESHOLD = (10_000, 10, 10)


def spare_the_collector() -> None:
    """Let the collector leave alone what stays for good, and look less often at the rest; call it when all is loaded.

    Modules, models and handlers are some 70,000 objects that no step lets go of; see `docs/decisions/0015`.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLD)
