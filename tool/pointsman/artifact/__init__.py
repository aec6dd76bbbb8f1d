"""Artifacts: read strictly, named by the hash of their canonical form, compared by content. No I/O."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pointsman.artifact.faults import every_fault
    from pointsman.artifact.reader import Artifact, Reference, read

__all__ = ["Artifact", "Reference", "every_fault", "read"]


def __getattr__(name: str) -> object:
    """Import the library on first use: its decoders would cost every other command 20 ms."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pointsman.artifact import faults, reader

    value: object = getattr(faults if name == "every_fault" else reader, name)
    return value
