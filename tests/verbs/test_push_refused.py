"""A push that the origin does not allow: exit 3, what the origin said of it, and what to do instead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shop import GROCER, STAGING, Kept, Shop, popularity, twice_shipped

from pointsman.errors import Unreachable
from pointsman.verbs import hold, rollback
from pointsman.workspace import Workspace

# GitHub's words of a protected branch, a terminal's escape, and more than anybody reads.
WORDS = r"""#!/bin/sh
while read old new ref; do
  case $ref in FORBIDDEN)
    echo 'error: GH006: Protected branch update failed for refs/heads/main.' >&2
    printf 'error: \033]0;owned\007 \342\200\256\n' >&2
    head -c 100000 /dev/zero | tr '\0' x >&2
    echo >&2
    exit 1;;
  esac
done
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("kept"), with_a_pull_request)


@pytest.fixture
def shop(kept: Kept) -> Shop:
    return kept.fresh()


def with_a_pull_request(root: Path) -> Shop:
    shop = twice_shipped(root)
    shop.publish(popularity(root / "p.json", 50))
    return shop


def forbid(shop: Shop, pattern: str, hook: str = "pre-receive", words: str = WORDS) -> None:
    path = shop.origin / "hooks" / hook
    path.parent.mkdir(exist_ok=True)
    path.write_text(words.replace("FORBIDDEN", pattern))
    path.chmod(0o755)


def run(shop: Shop, verb: Callable[..., Any], request: Any) -> Any:
    with shop.open() as repo:
        return verb(Workspace(repo), request)


WHAT: dict[str, tuple[str, Callable[[Shop], object], str]] = {
    "records": (
        "refs/heads/main",
        lambda shop: shop.publish(STAGING / "bookshop"),
        'set [forge] records = "pull-request" (on a forge that merges by itself)',
    ),
    "a merge": ("refs/heads/main", lambda shop: shop.merge(), "where main is kept, by a squash with its message"),
    "rollback --now": (
        "refs/heads/main",
        lambda shop: run(shop, rollback.roll_back, rollback.Request((GROCER,), now=True, reason="half is gone")),
        "leave --now out, which opens a pull request",
    ),
    "hold --now": (
        "refs/heads/main",
        lambda shop: run(shop, hold.change_hold, hold.Request("all", "2h", "a bad night", now=True)),
        "leave --now out, which opens a pull request",
    ),
    "a branch": (
        "refs/heads/rollback/*",
        lambda shop: run(shop, rollback.roll_back, rollback.Request((GROCER,))),
        "let this user push rollback/*",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "what", [pytest.param(each, marks=pytest.mark.slow if "--now" in each else ()) for each in WHAT]
)
def test_what_the_origin_does_not_allow_is_said_with_what_to_do_instead(what: str, shop: Shop) -> None:
    pattern, command, instead = WHAT[what]
    forbid(shop, pattern)
    before = shop.everything()
    with pytest.raises(Unreachable) as error:
        command(shop)
    says = str(error.value)
    assert error.value.exit_code == 3
    assert says.startswith(f"origin ({shop.origin}) does not allow the push of ")
    assert (
        "(pre-receive hook declined; remote: error: GH006: Protected branch update failed for refs/heads/main." in says
    )
    assert instead in says.rpartition("): ")[2]
    assert says.isprintable()
    assert len(says) < 2000
    refs = {name: oid for name, oid in shop.everything().items() if name.startswith("refs/heads/")}
    assert refs == {name: oid for name, oid in before.items() if name.startswith("refs/heads/")}


@pytest.mark.slow
def test_the_hook_of_one_ref_is_told_from_a_push_that_failed(shop: Shop) -> None:
    forbid(shop, "refs/heads/main", "update", "#!/bin/sh\ncase $1 in FORBIDDEN) exit 1;; esac\n")
    with pytest.raises(Unreachable, match=r"does not allow the push of main \(hook declined"):
        shop.merge()
    (shop.origin / "hooks" / "update").unlink()
    lock = shop.origin / "refs" / "heads" / "main.lock"
    lock.touch()
    with pytest.raises(Unreachable, match=r"main\.lock is in the way"):
        shop.merge()
    lock.unlink()
    shop.merge()
    assert shop.sync().exit_code == 0
