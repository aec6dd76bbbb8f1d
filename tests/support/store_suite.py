"""What every store must do: each sentence of `pointsman.store.base`, as a test.

A test file makes a class of it and gives the fixture `opens`. A store that does more has tests of its own for that.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

import pytest

from pointsman.errors import MovedFirst
from pointsman.store.base import Held, Store, listed
from pointsman.store.parallel import ask_all

Opens = Callable[[], Store]  # opens one and the same store, empty at first, as another process would open it
KEY = "tenant/surface/manifest.json"
GOAL = ".pointsman/trash/2026-01-01/tenant/surface/manifest.json"
# The grammar of names lets these pass (`pointsman.state.names`). Two of them differ in their case alone.
NAMES = ("a..b", "x..", "dot.", "0", "a-", "A_b-c.d", "a_b-c.d", "HEAD", "con", "n" * 128, "a.json", "2E")


def held(store: Store, key: str) -> Held:
    found = store.read(key)
    assert found is not None, key
    return found


class StoreSuite:
    """The suite. No test knows which store it is on."""

    @pytest.fixture
    def store(self, opens: Opens) -> Store:
        return opens()

    def test_a_url_is_said_without_a_slash_at_its_end(self, store: Store) -> None:
        assert not store.url.endswith("/")
        assert min(store.at_once, store.reads_at_once) >= 1

    def test_where_nothing_stands_nothing_is_told(self, store: Store) -> None:
        store.create("tenant/surface/other.json", b"x")
        for key in (KEY, "nowhere/at/all.json"):
            asked = store.read, store.digest, store.size, store.written, store.writer
            assert [ask(key) for ask in asked] == [None] * len(asked)
        assert list(store.keys("nowhere/", 1)) == []

    @pytest.mark.parametrize("data", [b"", b"one", bytes(range(256)) * (3 << 12) + b"!"], ids=["none", "few", "many"])
    def test_what_was_put_is_read_back_whole_by_everyone(self, opens: Opens, data: bytes) -> None:
        assert opens().create(KEY, data) is True
        other = opens()
        assert held(other, KEY).data == data
        assert other.size(KEY) == len(data)
        assert other.digest(KEY) == (len(data), hashlib.sha256(data).hexdigest())

    def test_a_create_happens_once_and_never_overwrites(self, store: Store) -> None:
        assert store.create(KEY, b"one") is True
        assert store.create(KEY, b"two") is False
        assert store.create(KEY, b"one") is False
        assert held(store, KEY).data == b"one"

    def test_of_many_creators_of_one_key_one_wins_and_each_knows_whether_it_did(self, opens: Opens) -> None:
        won = list(ask_all(lambda number: opens().create(KEY, b"%d" % number), range(4), at_once=4))
        assert sum(won) == 1
        assert held(opens(), KEY).data == b"%d" % won.index(True)

    def test_a_replace_needs_the_tag_that_was_read(self, store: Store) -> None:
        with store.locked("tenant/"):
            store.replace(KEY, b"one", was=None)
            first = held(store, KEY)
            store.replace(KEY, b"two", was=first.tag)
            for was in (first.tag, None):
                with pytest.raises(MovedFirst):
                    store.replace(KEY, b"three", was=was)
            with pytest.raises(MovedFirst):
                store.replace("tenant/surface/gone.json", b"three", was=first.tag)
        assert held(store, KEY).data == b"two"
        assert held(store, KEY).tag != first.tag
        assert store.read("tenant/surface/gone.json") is None

    def test_a_delete_needs_the_tag_that_was_read(self, store: Store) -> None:
        with store.locked("tenant/"):
            store.replace(KEY, b"one", was=None)
            first = held(store, KEY)
            store.replace(KEY, b"two", was=first.tag)
            with pytest.raises(MovedFirst):
                store.delete(KEY, was=first.tag)
            second = held(store, KEY)
            assert second.data == b"two"
            store.delete(KEY, was=second.tag)
            assert store.read(KEY) is None
            with pytest.raises(MovedFirst):
                store.delete(KEY, was=second.tag)

    def test_a_pointer_that_many_change_at_once_loses_no_change(self, opens: Opens) -> None:
        """Whoever is told that another was first reads again, as sync does."""

        def add(number: int) -> None:
            store = opens()
            while True:
                with store.locked("tenant/"):
                    there = store.read(KEY)
                    try:
                        data = (there.data if there else b"") + bytes([number])
                        store.replace(KEY, data, was=there.tag if there else None)
                    except MovedFirst:
                        continue
                    return

        list(ask_all(add, range(4), at_once=4))
        assert sorted(held(opens(), KEY).data) == [0, 1, 2, 3]

    def test_what_nobody_wrote_is_still_as_it_was_read(self, opens: Opens) -> None:
        store = opens()
        keys = [f"{tenant}/surface/manifest.json" for tenant in "abc"]
        with store.locked(""):
            for key in keys:
                store.replace(key, key.encode(), was=None)
            tags = {key: held(opens(), key).tag for key in keys}
            assert store.still(tags)
            assert store.still({})

    def test_what_stands_there_can_be_kept(self, store: Store) -> None:
        store.create(KEY, b"one")
        assert store.keep(KEY) is True
        assert held(store, KEY).data == b"one"

    def test_when_and_by_whom_it_was_written_is_told_where_the_store_knows(self, store: Store) -> None:
        store.create(KEY, b"one")
        written = store.written(KEY)
        assert written is not None
        assert abs(written - time.time()) < 86_400, "in seconds since 1970"
        assert store.writer(KEY) is None or store.writer(KEY)

    def test_keys_are_exactly_so_deep_and_none_begins_with_a_dot(self, store: Store) -> None:
        there = (
            "t/s/m.json",
            "t/r/m.json",
            "t/top.json",
            "t/s/x/deep.json",
            "t2/s/m.json",
            ".ours/a/b.json",
            "t/.s/m.json",
        )
        for key in there:
            store.create(key, b"x")
        assert sorted(store.keys("", 3)) == ["t/r/m.json", "t/s/m.json", "t2/s/m.json"]
        assert sorted(store.keys("t/", 2)) == ["t/r/m.json", "t/s/m.json"]
        assert sorted(store.keys("t/", 1)) == ["t/top.json"]
        assert sorted(store.keys("t/s/", 1)) == ["t/s/m.json"]
        assert list(store.keys("", 5)) == []

    def test_tags_are_of_the_same_keys_or_of_those_with_one_name(self, store: Store) -> None:
        keys = ["t/s/m.json", "t/s/n.json", "t/r/m.json", "t/top.json", "m.json", "t/s/u/m.json", "t/.r/m.json"]
        keys += [".x/s/m.json", "t2/s/.m.json", "t2/m.json/n.json", ".own.json"]
        for key in keys:
            store.create(key, key.encode())
        for more in ([], ["t/new/m.json", "t3/s/m.json"], []):
            for key in more:
                store.create(key, b"x")
            assert set(store.tags(3, [".own.json", "gone"])) == {*store.keys("", 3), ".own.json"}
            named = {key for key in store.keys("", 3) if key.endswith("/m.json")}
            assert len(named) in (2, 4)
            assert set(store.tags(3, [".own.json"], "m.json")) == {*named, ".own.json"}

    def test_every_name_of_the_grammar_is_a_key_of_its_own(self, store: Store) -> None:
        keys = [f"{name}/{name}/manifest.json" for name in NAMES]
        assert all(store.create(key, key.encode()) for key in keys)
        assert sorted(store.keys("", 3)) == sorted(keys)
        for key in keys:
            assert held(store, key).data == key.encode()
        gone = keys[0]
        with store.locked(""):
            store.delete(gone, was=held(store, gone).tag)
        assert sorted(store.keys("", 3)) == sorted(keys[1:])

    def test_many_at_once_are_each_told_their_own(self, store: Store) -> None:
        keys = [f"tenant/surface/{number}.json" for number in range(40)]
        assert all(ask_all(lambda key: store.create(key, key.encode()), keys, at_once=store.at_once))
        told = list(ask_all(lambda key: held(store, key).data, keys, at_once=store.reads_at_once))
        assert told == [key.encode() for key in keys]
        assert sorted(store.keys("tenant/surface/", 1)) == sorted(keys)

    def test_everything_is_listed_with_its_size_and_each_directory_in_the_order_of_its_bytes(
        self, store: Store
    ) -> None:
        keys = ["t/s/b.json", "t/s/a.json", "t/s/a-b/x", "t/s/a/x", "t/s-2/m", ".pointsman/trash/d/t/s/b.json", "top"]
        for key in keys:
            store.create(key, key.encode())
        found = list(listed(store))
        assert sorted(each.key for each in found) == sorted(keys)
        assert {each.key: each.size for each in found} == {key: len(key) for key in keys}
        assert all(abs(each.written - time.time()) < 86_400 for each in found)
        assert [each.key for each in found if each.key.rpartition("/")[0] == "t/s"] == ["t/s/a.json", "t/s/b.json"]
        assert sorted(each.key for each in listed(store, "t/s/")) == sorted(
            key for key in keys if key.startswith("t/s/")
        )
        assert list(listed(store, "nowhere/")) == []

    def test_the_directories_of_a_directory_are_told(self, store: Store) -> None:
        for key in ("a/2026-01-02/x", "a/2026-01-01/y/z", "a/file"):
            store.create(key, b"x")
        assert store.folders("a/") == ["2026-01-01", "2026-01-02"]
        assert store.folders("nowhere/") == []

    def test_what_is_moved_is_there_and_no_more_here(self, store: Store) -> None:
        store.create(KEY, b"one")
        assert store.move(KEY, GOAL, 3, lambda: True) is True
        assert store.read(KEY) is None
        assert held(store, GOAL).data == b"one"
        assert store.move(KEY, GOAL, 3, lambda: True) is False
        assert held(store, GOAL).data == b"one"
        store.create(KEY, b"two")
        assert store.move(KEY, GOAL, 3, lambda: True) is True
        assert held(store, GOAL).data == b"two"

    def test_what_may_not_go_any_more_stays(self, store: Store) -> None:
        store.create(KEY, b"one")
        assert store.move(KEY, GOAL, 3, lambda: False) is False
        assert (held(store, KEY).data, store.read(GOAL)) == (b"one", None)

    def test_whether_versions_are_kept_is_told_in_one_of_three_words(self, store: Store) -> None:
        store.create(KEY, b"one")
        assert store.keeps_versions(KEY) in ("yes", "no", "unknown")

    def test_what_is_removed_is_gone_and_may_have_been_before(self, store: Store) -> None:
        store.create(KEY, b"one")
        store.remove(KEY)
        store.remove(KEY)
        assert store.read(KEY) is None
