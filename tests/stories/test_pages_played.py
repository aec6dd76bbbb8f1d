"""The pages for on-call, as somebody follows them: each command is typed, and shows what the page says it shows."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache, reduce
from pathlib import Path
from typing import Protocol

import pytest
from pages import ROOT, Terminal, blocks
from shop import DAYS, STAGING, Kept, Shop, git

pytestmark = pytest.mark.slow

_ON_CALL = ROOT / "docs" / "oncall"
_POLICY = "[policy]\nitems_drop = false\nkept_low = false\nsize_jump = false\n"  # or the bad day would not be shipped
_GOOD, _OLD = (
    "619d7c53ba4ac77ea46439d095ccf7c4856d04738f668fbaffd5840ff2358d17",  # cooc of the second day
    "ef91235eb5226d751c3ac1a6c243026d175d7ffd2da3894b27647ec86529fd40",  # and of the first
)
_HOLD = 'pointsman hold grocer/home --now --until 2d --reason "the feed is broken"'
_HOLD_ALL = 'pointsman hold all --now --until 30m --reason "the shop moves"'


class Desk:
    """A clone that pages are followed in, and what happened before."""

    def __init__(self, shop: Shop, page: str) -> None:
        self.shop = shop
        self.terminal = Terminal(shop.desk, shop.root / "bin", {str(shop.store): "/srv/recsys"}, HOME=str(shop.root))
        self._blocks = iter(blocks(_ON_CALL / page, "console"))

    def follow(self, count: int = 1, **ids: str) -> None:
        """Type the next blocks of the page."""
        for _ in range(count):
            self.terminal.follow(next(self._blocks), **ids)

    def skip(self, count: int) -> None:
        for _ in range(count):
            next(self._blocks)

    def type(self, *lines: str) -> None:
        said, exit_code = self.terminal.type(" && ".join(lines))
        assert exit_code == 0, said

    def stage(self, *days: int) -> None:
        """The staging directory that the pages speak of, with these days."""
        shutil.rmtree(self.shop.desk / "staging", ignore_errors=True)
        for day in days:
            for window in (STAGING / "grocer" / "home").rglob(DAYS[day]):
                shutil.copytree(window, self.shop.desk / "staging" / window.relative_to(STAGING))

    def publish(self, day: int, *more: str) -> None:
        self.stage(day)
        self.type(f"pointsman publish staging/ --run https://ci.example/runs/30{day} {' '.join(more)}")

    def edit(self) -> None:
        """Somebody changes the manifest by hand, on main."""
        manifest = "manifests/grocer/home/manifest.json"
        self.type(
            "git pull -q --rebase", f"sed -i s/{_GOOD}/{_OLD}/ {manifest}", "git commit -qam by-hand", "git push -q"
        )

    def lose(self) -> None:
        """The blob of the good cooc goes."""
        (self.shop.store / "grocer" / "home" / "cooc" / f"{_GOOD}.json").unlink()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Kept]:
    """A shop whose main had so many days, each shipped by a run of its own and synced."""

    def made(days: int, root: Path) -> Shop:
        shop = Shop(root, _POLICY)
        git(shop.desk, "remote", "set-url", "origin", "../origin.git")
        desk = Desk(shop, "git-is-down.md")
        for day in range(1, days + 1):
            desk.publish(day, "--merge")
            desk.type("pointsman sync")
        desk.type("rm -r staging", "git pull -q --rebase")
        return shop

    return cache(lambda days: Kept(tmp_path_factory.mktemp(f"after-{days}"), lambda root: made(days, root)))


class After(Protocol):
    def __call__(self, days: int, page: str, block: int = 0) -> Desk: ...


@pytest.fixture
def after(kept: Callable[[int], Kept]) -> After:
    """A desk after so many days, to follow a page from its block of this number on."""

    def desk(days: int, page: str, block: int = 0) -> Desk:
        found = Desk(kept(days).fresh(), page)
        found.skip(block)
        return found

    return desk


# a bad day was shipped


def test_a_bad_day_goes_back(after: After) -> None:
    desk = after(3, "a-bad-day-was-shipped.md")
    desk.follow(5)


def test_a_bad_day_goes_back_where_main_is_protected(after: After) -> None:
    desk = after(3, "a-bad-day-was-shipped.md", 5)
    hook = desk.shop.origin / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    refuses = '{ echo "main is protected" >&2; exit 1; }'
    hook.write_text(f'#!/bin/sh\nwhile read -r old new ref; do [ "$ref" != refs/heads/main ] || {refuses}; done\n')
    hook.chmod(0o755)
    desk.follow()
    hook.unlink()  # the forge itself may
    desk.follow()


def test_a_state_further_back_is_named_by_its_commit(after: After) -> None:
    desk = after(3, "a-bad-day-was-shipped.md", 7)
    first = git(desk.shop.origin, "log", "--format=%h", "--reverse", "main", "--", "manifests").split()[0]
    desk.follow(c03a74eb2925=first)


def test_a_state_whose_blob_is_gone_is_refused(after: After) -> None:
    desk = after(3, "a-bad-day-was-shipped.md", 8)
    desk.lose()
    desk.follow()


# a hold is in the way


def test_a_hold_is_found_and_ended(after: After) -> None:
    desk = after(1, "a-hold-is-in-the-way.md")
    desk.type(_HOLD)
    desk.stage(2)
    desk.follow(4)
    desk.type(_HOLD)
    desk.follow(2)


def test_a_hold_on_everything_is_ended_and_the_targets_own_is_named(after: After) -> None:
    desk = after(1, "a-hold-is-in-the-way.md", 6)
    desk.type(_HOLD_ALL)
    desk.follow()
    desk.type(_HOLD_ALL, _HOLD)
    desk.follow()


def test_a_ship_that_was_merged_under_a_hold_goes_back_and_is_shipped_again(after: After) -> None:
    desk = after(1, "a-hold-is-in-the-way.md", 8)
    desk.publish(2)
    desk.type(_HOLD, "git fetch -q", "git pull -q --rebase")
    desk.type("git cherry-pick $(git branch -r --list 'origin/ship/*')", "git push -q")
    desk.follow()


# git is down


def test_what_git_says_when_the_forge_is_away(after: After) -> None:
    desk = after(2, "git-is-down.md")
    away = desk.shop.root / "bin" / "ssh-to-nowhere"
    away.write_text('#!/bin/sh\necho "ssh: connect to host forge.example port 22: Connection refused" >&2\nexit 255\n')
    away.chmod(0o755)
    desk.type("git remote set-url origin git@forge.example:shop/manifests.git", f"git config core.sshCommand {away}")
    desk.follow()


def allow_claims(desk: Desk) -> None:
    """A key of this user, and main's leave to sign claims with it."""
    desk.type("mkdir -p ~/.ssh", "ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519")
    public = "$(cut -d' ' -f1,2 ~/.ssh/id_ed25519.pub)"
    desk.type(f"""echo 'ann@example.org namespaces="pointsman-claim"' "{public}" >allowed_signers""")
    desk.type("""printf '[audit]\\nallowed_signers = "allowed_signers"\\n' >>pointsman.toml""")
    desk.shop.push("who may sign")


def test_the_glass_is_broken_while_git_is_down_and_ratified_after(after: After) -> None:
    desk = after(2, "git-is-down.md", 1)
    shop = desk.shop
    allow_claims(desk)
    desk.publish(3, "--merge")
    desk.type("pointsman sync")
    away = shop.origin.rename(shop.root / "away.git")
    desk.follow()
    away.rename(shop.origin)
    desk.follow(2)


# serving is behind


def test_serving_that_is_behind_follows_after_a_sync(after: After) -> None:
    desk = after(1, "serving-is-behind.md")
    desk.publish(2, "--merge")
    desk.follow(3)


def test_a_store_that_does_not_answer(after: After, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    desk = after(1, "serving-is-behind.md", 3)
    (desk.shop.desk / "pointsman.toml").write_text(
        '[store]\nurl = "s3://recsys-artifacts/prod"\nendpoint = "http://127.0.0.1:9"\nregion = "us-east-1"\n'
        "allow_http = true\n"
    )
    desk.shop.push("a bucket")
    desk.follow()


def test_a_store_that_is_not_mounted(after: After) -> None:
    desk = after(1, "serving-is-behind.md", 4)
    shutil.rmtree(desk.shop.store)
    desk.shop.store.mkdir()
    desk.follow()


def test_an_origin_that_does_not_answer(after: After) -> None:
    desk = after(1, "serving-is-behind.md", 5)
    away = desk.shop.origin.rename(desk.shop.root / "away.git")
    desk.follow()
    away.rename(desk.shop.origin)


def test_a_pointer_that_somebody_wrote_is_healed(after: After) -> None:
    desk = after(2, "serving-is-behind.md", 6)
    pointer = desk.shop.store / "registry" / "current" / "grocer" / "home" / "manifest.json"
    pointer.write_text(pointer.read_text().replace(_GOOD, _OLD))
    desk.follow()


def test_the_pointer_of_a_target_that_is_gone_is_kept(after: After) -> None:
    desk = after(2, "serving-is-behind.md", 7)
    accept = "Accept: grocer/home manifest-removed the shop closes"
    desk.type("git rm -q -r manifests/grocer", f"git commit -q -m 'Remove home' -m '{accept}'", "git push -q")
    desk.follow()


# sync refuses a target


def test_an_edit_by_hand_is_refused_goes_back_and_is_shipped_in_good_order(after: After) -> None:
    desk = after(2, "sync-refuses-a-target.md")
    desk.edit()
    desk.follow(3)
    desk.stage(3)
    desk.follow()


def test_nothing_is_shipped_on_top_of_an_edit_by_hand(after: After) -> None:
    desk = after(2, "sync-refuses-a-target.md", 4)
    desk.edit()
    desk.stage(3)
    desk.follow()


def test_a_blob_that_is_gone_is_brought_back(after: After) -> None:
    desk = after(1, "sync-refuses-a-target.md", 5)
    desk.publish(2, "--merge")
    desk.stage(1, 2)
    desk.lose()
    desk.follow(2)
    desk.lose()
    desk.follow()


def test_a_main_that_was_rewritten_is_followed_only_when_that_is_said(after: After) -> None:
    desk = after(3, "sync-refuses-a-target.md", 8)
    desk.type("git push -qf origin HEAD~1:main")
    desk.follow(3)


# the README

_RUN = "https://ci.example/runs/303"
# What a line needs beside what the lines before it left, by its beginning.
_NEEDED = {
    "pointsman publish popularity.json": "cp $(find staging -name '73a627e07b64*') popularity.json; "
    "cp $(find staging -name 'c7dfe5a09de8*') cooc.json",
    "pointsman pr close": "pointsman publish --drop grocer/home:implicit",
    "git fetch": "pointsman publish --drop grocer/home:implicit",
    "pointsman status --wait": "pointsman sync",
    "git pull": "git checkout -q -- .",
    "pointsman rollback --run": f"pointsman publish staging/ --run {_RUN} --merge --reship",
    "pointsman ship": "pointsman release grocer/home --now --reason again",
    "pointsman rollback --ratify": "pointsman sync && pointsman rollback --break-glass grocer/home --reason again",
}
# What stands there for something → what it is here, as the shell finds it.
_STANDS_FOR = {
    '"$RUN_URL"': _RUN,
    "https://ci.example/runs/7": _RUN,
    "origin/ship/grocer/home/3f2a91c0d4e5": "$(git branch -r --list 'origin/ship/*' | tail -1 | tr -d ' ')",
    "<commit>": "HEAD",
    "2026-03-02T12:00:00Z": "$(git log --format=%cI --grep='^ship' --reverse origin/main | head -1)",
    "2026-03-03T12:00:00+01:00": "now",
    "77b0aa12": "c7dfe5a0",  # cooc of the bad day
    "6ce09c2f": _GOOD[:8],
}


def test_every_line_of_the_readme_can_be_typed(after: After) -> None:
    desk = after(2, "git-is-down.md")
    allow_claims(desk)
    desk.type("git config user.signingkey ~/.ssh/id_ed25519")
    desk.stage(3)
    lines = [line for block in blocks(ROOT / "README.md", "sh") for line in block.text.splitlines()]
    typed = [line.partition(" #")[0].strip() for line in lines if line and not line.startswith("#")]
    assert len(typed) > 30
    for line in typed:
        if "--watch" in line:
            continue  # it never ends
        for begins, needed in _NEEDED.items():
            if line.startswith(begins):
                desk.type(needed)
        desk.type(reduce(lambda words, each: words.replace(*each), _STANDS_FOR.items(), line))
