"""Settings: what is wrong is named, with the nearest right word; nothing is honoured in silence that does nothing."""

from __future__ import annotations

import re

import pytest

from pointsman.errors import Problem
from pointsman.settings import read_settings
from pointsman.state.names import Target
from pointsman.state.place import Place
from pointsman.state.ring import ring_before
from pointsman.state.store_url import Access

STORE = b'[store]\nurl = "file:///srv/recsys"\n'
S3 = b'[store]\nurl = "s3://recsys/prod"\n'


def test_the_least_settings_have_the_defaults_of_the_contract() -> None:
    settings = read_settings(STORE)
    target = Target("grocer", "home")
    assert settings.uri(target, "cooc", "a" * 64) == f"file:///srv/recsys/grocer/home/cooc/{'a' * 64}.json"
    (place,) = settings.serving
    assert place == Place("", "file:///srv/recsys/registry/current/{tenant}/{surface}/manifest.json")
    assert place.root == "file:///srv/recsys/registry/current"
    assert place.key(target) == "grocer/home/manifest.json"
    assert place.target("grocer/home/manifest.json") == target
    assert place.target("grocer/home/other.json") is None
    assert (settings.artifact_bytes, settings.state_file_bytes) == (10_000_000, 65536)
    assert (settings.keep_days, settings.keep_ships, settings.wait_days, settings.trash_days) == (90, 10, 7, 7)
    assert settings.limit(target, "items_drop") == 0.5


def test_what_is_kept_may_be_set_and_switched_off() -> None:
    settings = read_settings(STORE + b"[retention]\nkeep_days = 0\nkeep_ships = 3\n")
    assert (settings.keep_days, settings.keep_ships) == (0, 3)


def test_a_target_has_its_own_limits_and_the_rest_keeps_the_repositorys() -> None:
    text = STORE + b'[policy]\nitems_drop = 0.4\n[policy."grocer/home"]\nitems_drop = 0.2\n'
    settings = read_settings(text)
    assert settings.limit(Target("grocer", "home"), "items_drop") == 0.2
    assert settings.limit(Target("grocer", "web"), "items_drop") == 0.4


def test_a_bucket_is_reached_as_the_settings_say() -> None:
    text = S3 + b'endpoint = "http://127.0.0.1:8333/"\nregion = "eu-west-1"\nallow_http = true\n'
    settings = read_settings(text)
    assert settings.access == Access("http://127.0.0.1:8333", "eu-west-1", True)
    assert settings.serving[0].root == "s3://recsys/prod/registry/current"
    assert read_settings(S3).access == Access()


@pytest.mark.parametrize(
    "text,says",
    [
        (b"", "[store] url is missing"),
        (b"[store\n", "not TOML"),
        (b"\xef\xbb\xbf" + STORE, "begins with a byte order mark"),
        (b"\xff", "not UTF-8"),
        (b"[stroe]\n", "unknown table [stroe]: did you mean store?"),
        (STORE + b"urll = 1\n", "unknown key urll in [store]: did you mean url?"),
        (STORE + b"[policy]\nitem_drop = 1\n", "did you mean items_drop?"),
        (STORE + b'[policy."grocer/home"]\nitems_dorp = 1\n', "did you mean items_drop?"),
        (STORE + b'[policy."gro cer/home"]\nitems_drop = 1\n', "gro cer"),
        (STORE + b"[policy]\nitems_drop = 2\n", "share between 0 and 1"),
        (STORE + b"[policy]\nitems_drop = true\n", "share between 0 and 1"),
        (STORE + b"[policy]\nitems_drop = '0.5'\n", "share between 0 and 1"),
        (STORE + b"[policy]\nkept_low = -0.1\n", "share between 0 and 1"),
        (STORE + b"[policy]\nsize_jump = 3\n", "like { shrink = 3, grow = 10 }"),
        (STORE + b"[policy]\nsize_jump = { shrink = 0.5 }\n", "a factor must be at least 1"),
        (STORE + b"[policy]\nsize_jump = { shirnk = 3 }\n", "like { shrink = 3, grow = 10 }"),
        (STORE + b"[policy]\nsize_jump = {}\n", "like { shrink = 3, grow = 10 }"),
        (STORE + b"[policy]\ntype_missing = 'popularity'\n", "a list of artifact types"),
        (STORE + b"[policy]\ntype_missing = ['no such/type']\n", "a list of artifact types"),
        (STORE + b"[policy]\ntype_missing = true\n", "a list of artifact types"),
        (STORE + b"[policy]\nitems_floor = 0\n", "a whole number of items above 0"),
        (STORE + b"[policy]\ntoo_large_to_serve = 1.5\n", "a whole number of bytes above 0"),
        (STORE + b"[policy]\nwindow_stale = 3\n", 'an age such as "3d"'),
        (STORE + b"[policy]\nwindow_stale = '3 days'\n", 'an age such as "3d"'),
        (STORE + b"[policy]\nwindow_regressed = 'no'\n", "must be true or false"),
        (STORE + b"[policy]\nsegment_changed = 0\n", "must be true or false"),
        (STORE + b"[policy]\n'grocer/home' = 1\n", '[policy."grocer/home"] must be a table'),
        (STORE + b'[forge]\nkind = "bitbucket"\n', 'this version knows only "local" or "github"'),
        (STORE + b'[forge]\nrecords = "pull-request"\n', "need a forge that merges by itself"),
        (STORE + b'[forge]\nkind = "github"\nrecords = "branch"\n', '"push" or "pull-request"'),
        (STORE + b"[forge]\nauto_merge = true\n", "need a forge that merges by itself"),
        (STORE + b'[forge]\nkind = "github"\nauto_merge = 1\n', "true or false"),
        (STORE + b'[forge]\ngroup = "all"\n', '"target" or "run"'),
        (STORE + b'[forge]\nrepository = "shop"\n', '"owner/name"'),
        (STORE + b'[forge]\nrepository = "https://evil.example/owner/name"\n', '"owner/name"'),
        (STORE + b'[forge]\nrepository = "owner/name@evil.example"\n', '"owner/name"'),
        (STORE + b'[forge]\nrepository = "owner/.."\n', '"owner/name"'),
        (STORE + b'[forge]\nrepository = "owner/"\n', '"owner/name"'),
        (STORE + b'[forge]\nrepository = ["owner", "name"]\n', '"owner/name"'),
        (
            STORE + b'[serving]\ninvalidate = "https://x"\n',
            "[serving] invalidate must be a URL such as https://host/path",
        ),
        (
            STORE + b'[serving]\ninvalidate = ["https://x/{tenant}", "https://y/"]\n',
            "must have {tenant} once in each URL",
        ),
        (STORE + b"[serving]\ninvalidate = [1]\n", "[serving] invalidate must be a URL"),
        (STORE + b"[serving]\ninvalidate = true\n", "[serving] invalidate must be a URL"),
        (STORE + b'[serving]\ninvalidate = "https://a:b@x/{tenant}"\n', "without credentials"),
        (STORE + b'[serving]\ninvalidate = "https://x/all"\n', "must have {tenant} once in each URL"),
        (STORE + b'[serving]\ninvalidate = "https://x/{tenant}/{slot}"\n', "must have {tenant} once in each URL"),
        (STORE + b'[serving]\ninvalidate = "https://{tenant}.x/y"\n', "the host cannot contain {tenant}"),
        (STORE + b'[notify]\nwebhook = "ftp://x/y"\n', "[notify] webhook must be a URL"),
        (STORE + b'[notify]\ncommand = "say \'it"\n', "[notify] command: No closing quotation"),
        (STORE + b'[notify]\nformat = "json"\n', '[notify] format must be "pointsman" or "cloudevents", not'),
        (STORE + b"[notify]\nformat = 7\n", '[notify] format must be "pointsman" or "cloudevents", not 7'),
        (STORE + b'[notify]\ncommand = ["say"]\n', "must be one line, a program and its arguments"),
        (STORE + b'[serving]\nmanifest = "file:///x/{tenant}.json"\n', "{tenant} and {surface} once each"),
        (STORE + b'[serving]\nmanifest = "file:///x/{tenant}-{surface}.json"\n', "slash between"),
        (STORE + b'[serving]\nmanifest = "x/{tenant}/{surface}"\n', "cannot use"),
        (STORE + b'[serving]\nmanifest = "file:///x/{tenant}/{surface}/}"\n', "once each"),
        *(
            (each + b'[serving]\nmanifest = "' + url + rest + b'"\n', "is empty, begins with a dot or has a control")
            for each, url in ((STORE, b"file:///x"), (S3, b"s3://b/x"))
            for rest in (
                *(b"/{tenant}/../{surface}/m.json", b"/{tenant}/{surface}/../../m.json", b"/{tenant}/{surface}/.."),
                *(b"/{tenant}/./{surface}/m.json", b"/{tenant}//{surface}/m.json", b"/{tenant}/{surface}/"),
                *(b"/.{tenant}/{surface}/m.json", b"/{tenant}/.{surface}", b"/{tenant}/{surface}/.m.json"),
                b"/{tenant}/{surface}/m\\u0001.json",
            )
        ),
        (STORE + b'[serving]\nmanifest = "file:///x/../{tenant}/{surface}"\n', "dotted part"),
        (STORE + b"[limits]\nartifact_bytes = 0\n", "whole number of bytes above 0"),
        *(
            (STORE + b"[retention]\n%s = %s\n" % (key, value), f"[retention] {key.decode()} must be a whole number")
            for key in (b"keep_days", b"keep_ships", b"wait_days", b"trash_days")
            for value in (b"-1", b"true", b"1.5", b"100001", b'"90d"')
        ),
        (STORE + b"[retention]\nkeep_day = 1\n", "unknown key keep_day in [retention]: did you mean keep_days?"),
        (b'[store]\nurl = "ftp://bucket"\n', "this version cannot use"),
        (b'[store]\nurl = "s3://key:word@bucket"\n', "credentials come from the environment"),
        (b'[store]\nurl = "file:///x"\nformer = ["s3://key:word@b"]\n', "credentials come from the environment"),
        (STORE + b'endpoint = "http://127.0.0.1:8333"\n', "are for s3:// URLs: take them out"),
        (S3 + b'endpoint = "http://127.0.0.1:8333"\n', "an http:// endpoint needs allow_http = true"),
        (S3 + b"allow_http = true\n", "an http:// endpoint needs allow_http = true"),
        (S3 + b'endpoint = "https://key:word@host"\n', "endpoint has credentials"),
        (S3 + b'endpoint = "127.0.0.1:8333"\n', "must be like https://host:port"),
        (S3 + b"region = 3\n", "region must be a string"),
        (S3 + b'region = "no where"\n', "must be a name such as us-east-1"),
        (S3 + b'[serving]\nmanifest = "s3://b-{tenant}/{surface}/m.json"\n', "the bucket name"),
        (S3 + b'[serving]\nmanifest = "s3://b/{tenant}/{surface}/m?.json"\n', "take credentials, query"),
        (b'[store]\nurl = "file://relative"\n', "file:///absolute/path"),
        (b'[store]\nurl = "file:///a/../b"\n', "dotted part"),
        (b"[store]\nurl = 3\n", "must be a string"),
        (b"store = 3\n", "must be a table"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: bytes, says: str) -> None:
    with pytest.raises(Problem, match=re.escape(says)) as error:
        read_settings(text)
    assert error.value.exit_code == 2
    assert "pointsman.toml" in str(error.value)


@pytest.mark.parametrize(
    "text,says",
    [
        (b"a = " + b"9" * 5000, "a number has too many digits"),
        (b"a = " + b"[" * 5000, "lists and tables nest too deep"),
        (b"a." * 64 + b"b = 1", "more than 64 parts joined by dots"),
        (b"[ " + b' "a" . ' * 64 + b"b ]", "more than 64 parts joined by dots"),
        (b"#" * 1_000_001, "1,000,001 bytes, and settings have at most 1,000,000"),
    ],
)
def test_settings_that_are_costly_to_read_are_refused_with_a_sentence(text: bytes, says: str) -> None:
    with pytest.raises(Problem, match=says):
        read_settings(text)


EU = b'[[serving]]\nname = "eu"\nmanifest = "s3://eu/{tenant}/{surface}/m.json"\n'
US = b'[[serving]]\nname = "us"\nmanifest = "s3://us/{tenant}/{surface}/m.json"\n'


def test_several_places_have_names_and_each_is_reached_in_its_own_way() -> None:
    text = S3 + b'region = "us-east-1"\n' + US + EU + b'store = "s3://recsys/prod"\nendpoint = "https://eu:8333"\n'
    us, eu = read_settings(text).serving
    assert (us.name, us.root, us.access, us.store) == ("us", "s3://us", Access(region="us-east-1"), "")
    assert (eu.name, eu.access, eu.store) == ("eu", Access("https://eu:8333", "us-east-1"), "s3://recsys/prod")
    text = S3 + b'endpoint = "http://a"\nallow_http = true\n' + EU + b'region = "eu-west-1"\n'
    assert read_settings(text).serving[0].access == Access("http://a", "eu-west-1", True)


def test_the_same_prefix_at_another_endpoint_is_another_place() -> None:
    there = b'endpoint = "https://elsewhere"\n'
    assert len(read_settings(S3 + EU + EU.replace(b'"eu"', b'"us"') + there).serving) == 2


@pytest.mark.parametrize(
    "tables,says",
    [
        (b'[serving]\ninstance_ttl = "1h"\n' + EU, "[serving] and [[serving]] are both there: several are written"),
        (EU + b'[ serving ]\ninstance_ttl = "1h"\n', "[serving] and [[serving]] are both there"),
        (EU + EU, "two of [[serving]] have the name eu: give each place a name of its own"),
        (EU + EU.replace(b'"eu"', b'"EU"'), "two of [[serving]] have the name eu"),
        (EU + EU.replace(b'"eu"', b'"us"'), "neither prefix may be in the other one"),
        (EU + US.replace(b"s3://us/", b"s3://eu/more/"), "us has s3://eu/more: neither prefix may be in the other one"),
        (EU.replace(b'name = "eu"\n', b""), "[[serving]]: each needs a name, of letters"),
        (EU.replace(b'"eu"', b'"a/b"'), "[[serving]] name: each needs a name, of letters"),
        (EU.replace(b'"eu"', b"1"), "[[serving]] name: each needs a name, of letters"),
        (b'[[serving]]\nname = "eu"\n', "[[serving]] eu: it needs manifest"),
        (EU + b'blobs = "s3://x"\n', "unknown key blobs in [[serving]]"),
        (EU + b'store = "x"\n', "[[serving]] store: this version cannot use 'x'"),
        (EU + b"store = 1\n", "[[serving]] store must be a string"),
        (EU + b'endpoint = "http://a"\n', "[[serving]] eu endpoint: an http:// endpoint needs allow_http = true"),
        (EU.replace(b"s3:", b"gs:") + b'region = "eu-west-1"\n', "in [[serving]] eu are for s3:// URLs"),
        (EU + b'invalidate = "https://x/all"\n', "must have {tenant} once in each URL"),
        (b'[serving]\nname = "eu"\n', "unknown key name in [serving]: several places are [[serving]]"),
    ],
)
def test_what_is_wrong_with_several_places_is_named(tables: bytes, says: str) -> None:
    with pytest.raises(Problem, match=re.escape(says)):
        read_settings(S3 + tables)


def test_a_list_of_something_else_is_no_places() -> None:
    with pytest.raises(Problem, match=re.escape("[serving] must be a table, not a value")):
        read_settings(b"serving = [1]\n" + S3)


CANARY = b'[[ring]]\nname = "canary"\nserving = "s3://b/canary/{tenant}/{surface}/m.json"\n'
PROD = b'[[ring]]\nname = "prod"\nafter = "2h"\n'
CHECK = b"""[check.empty]
prometheus = "http://prometheus:9090"
query = 'up{tenant="{tenant}"}'
below = 0.02
for = "10m"
"""


def test_rings_are_places_in_their_order_and_one_of_them_has_the_pointers_of_serving() -> None:
    text = S3 + CANARY + b'targets = ["grocer/*"]\ninvalidate = "https://x/{tenant}"\n' + PROD + b'checks = ["empty"]\n'
    found = read_settings(text + CHECK + b'[serving]\nmanifest = "s3://b/prod/{tenant}/{surface}/m.json"\n')
    canary, prod = found.rings
    assert tuple(ring.place for ring in found.rings) == found.serving
    assert (canary.name, canary.after, canary.checks, prod.name, prod.after, prod.checks) == (
        *("canary", 0, (), "prod", 7200, ("empty",)),
    )
    assert (canary.place.root, canary.place.invalidate) == ("s3://b/canary", ("https://x/{tenant}",))
    assert (prod.place.root, prod.place.access) == ("s3://b/prod", canary.place.access)
    grocer, other = Target("grocer", "home"), Target("shop", "home")
    assert ring_before(found.rings, "prod", grocer) == (prod, canary)
    assert ring_before(found.rings, "prod", other) is None
    assert ring_before(found.rings, "canary", grocer) is None
    assert ring_before(found.rings, "canary", other) is None
    assert read_settings(S3 + CANARY + PROD).serving[1].root == "s3://recsys/prod/registry/current"


@pytest.mark.parametrize(
    "text, says",
    [
        (b"ring = 1\n" + S3, "[ring] must be written [[ring]], with double brackets"),
        (S3 + b'[ring]\nname = "canary"\n', "[ring] must be written [[ring]], with double brackets"),
        (S3 + PROD + PROD.replace(b"prod", b"b"), "[[ring]]: prod and b have no serving, and one ring"),
        (S3 + CANARY + b"[serving]\nmanifest = 1\n", "every [[ring]] has its own serving, so nobody reads [serving]"),
        (S3 + CANARY + EU, "[[serving]] and [[ring]] do not go together"),
        (S3 + CANARY + CANARY, "two of [[ring]] have the name canary: give each ring a name of its own"),
        (S3 + CANARY.replace(b'"canary"', b'"a/b"'), "[[ring]] name: each needs a name"),
        (S3 + CANARY.replace(b'name = "canary"\n', b""), "[[ring]]: each needs a name, of letters, digits"),
        (S3 + PROD, "[[ring]] prod: prod is the first ring and follows main: it waits for no time and no check"),
        (S3 + CANARY + b'checks = ["empty"]\n' + CHECK, "[[ring]] canary: canary is the first ring"),
        (S3 + CANARY + PROD.replace(b"2h", b"2 hours"), '[[ring]] prod after must be a time such as "90m"'),
        (S3 + CANARY + PROD.replace(b'"2h"', b"2"), '[[ring]] prod after must be a time such as "90m"'),
        (S3 + CANARY + PROD + b'checks = "empty"\n', "[[ring]] prod checks must be a list of names"),
        (S3 + CANARY + PROD + b'checks = ["empty"]\n', "there is no [check.empty]: there is no [check.*] yet"),
        (S3 + CANARY + PROD + b'checks = ["emtpy"]\n' + CHECK, "no [check.emtpy]: did you mean empty?"),
        (S3 + CANARY + PROD + CHECK, "[check.empty]: no [[ring]] has it in its checks: add it to one"),
        (S3 + CANARY + PROD + b"targets = []\n", "[[ring]] prod targets must be a list of targets and patterns"),
        (S3 + CANARY + PROD + b'targets = ["grocer"]\n', "[[ring]] prod targets: not a pattern of targets: 'grocer'"),
        (S3 + CANARY + PROD + b'afetr = "1h"\n', "unknown key afetr in [[ring]]: did you mean after?"),
        *(
            (S3 + CANARY + PROD + b'checks = ["empty"]\n' + CHECK.replace(old, new), "[check.empty]" + says)
            for old, new, says in (
                (b"below", b"belwo", ": unknown key belwo: did you mean below?"),
                (b"below = 0.02\n", b"", " has no limit: give it below or above"),
                (b"below", b"above = 1\nbelow", " has both below and above"),
                (b"0.02", b"nan", " below must be a number such as 0.02"),
                (b"0.02", b"1" * 400, " below must be a number such as 0.02"),
                (b"0.02", b"true", " below must be a number such as 0.02"),
                (b'for = "10m"\n', b"", ' for is missing: give it, such as for = "10m"'),
                (b'"10m"', b'"10 minutes"', ' for must be a time such as "10m"'),
                (b'"10m"', b'"10m"\nvalid = 3', ' valid must be a time such as "10m"'),
                (b"http://", b"http://u:secret@", " prometheus must be the URL of a server"),
                (b"http://prometheus:9090", b"prometheus:9090", " prometheus must be the URL of a server"),
                (b":9090", b":9090?x=1", " prometheus must be the URL of a server"),
                (b"query =", b"qurey =", ": unknown key qurey: did you mean query?"),
                (b'="{tenant}"', b'=~"{tenant}"', " query has {tenant} where a name could change the question"),
                (b'="{tenant}"', b'!~"{tenant}"', " query has {tenant} where a name could change the question"),
                (b'up{tenant="{tenant}"}', b"up_{tenant}", " query has {tenant} where a name could change"),
                (b'up{tenant="{tenant}"}', b"up{a=`x`}{tenant}", " query has {tenant} where a name could change"),
                (b"}'", b"} @ end()'", " query has @, which asks about a moment of its own"),
                (b'"10m"', b'"10m"\non_failure = "no"', ' on_failure must be "stop" or "rollback"'),
                (
                    b'"10m"',
                    b'"10m"\non_failure = "rollback"',
                    ' on_failure = "rollback" needs {tenant} and {surface} in its query, so that a target goes back',
                ),
            )
        ),
        (
            S3 + CANARY + PROD + b'serving = "s3://b/canary/prod/{tenant}/{surface}/m.json"\n',
            "[[ring]] serving: canary has s3://b/canary, and prod has s3://b/canary/prod: neither prefix may be in",
        ),
    ],
)
def test_rings_that_cannot_be_told_apart_or_wait_for_nobody_are_refused(text: bytes, says: str) -> None:
    with pytest.raises(Problem, match=re.escape(says)):
        read_settings(text)
