"""The rings as one command sees them: what one has is read once, until somebody says that it may be something else."""

from __future__ import annotations

from pathlib import Path

from pointsman.serving.others import Others
from pointsman.state.names import Target
from pointsman.state.place import Place
from pointsman.state.ring import Ring

HOME = Target("grocer", "home")


def test_what_a_ring_has_is_read_once_until_it_may_have_changed(tmp_path: Path) -> None:
    ring = Ring(Place("canary", f"file://{tmp_path}/{{tenant}}/{{surface}}/manifest.json"))
    others = Others()
    assert others.has(ring, HOME) is None
    pointer = tmp_path / ring.place.key(HOME)
    pointer.parent.mkdir(parents=True)
    pointer.write_text("one")
    assert others.has(ring, HOME) is None
    assert (held := others.read(ring, HOME)) is not None
    assert held.data == b"one"
    others.forget("prod")
    assert others.has(ring, HOME) is None
    others.forget("canary")
    assert (held := others.has(ring, HOME)) is not None
    assert held.data == b"one"


def test_a_ring_that_cannot_be_read_has_nothing(tmp_path: Path) -> None:
    ring = Ring(Place("canary", f"file://{tmp_path}/{{tenant}}/{{surface}}/manifest.json"))
    (tmp_path / ring.place.key(HOME)).mkdir(parents=True)
    assert Others().has(ring, HOME) is None
