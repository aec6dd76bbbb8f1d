"""What is waited for, what is tried again, and what is not: GitHub's limits, and a day on which it fails."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from github.hub import TOKEN, Hub
from pointsman.errors import Unreachable
from pointsman.forge import http
from pointsman.forge.github.client import Client
from pointsman.forge.github.place import Place, place_of
from pointsman.forge.github.token import token_source
from pointsman.forge.http import Denied, Lost, Pacer


class Clock:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    hub = Hub(tmp_path_factory.mktemp("hub"))
    yield hub
    hub.close()


@pytest.fixture
def hub(shared: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    shared.calls.clear()
    shared.rule = lambda method, path: None
    shared.token, shared.app = TOKEN, None
    monkeypatch.setenv("GITHUB_SERVER_URL", shared.url)
    monkeypatch.delenv("GITHUB_API_URL", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return shared


@pytest.fixture
def clock() -> Clock:
    return Clock()


def place(hub: Hub) -> Place:
    found = place_of(f"{hub.url}/o/r.git")
    assert found is not None
    return found


@pytest.fixture
def client(hub: Hub, clock: Clock) -> Iterator[Client]:
    client = Client(place(hub), lambda: TOKEN, Pacer(clock, clock.sleep, patience=100))
    yield client
    client.close()


def spoil(hub: Hub, *faults: str) -> None:
    """The next calls meet these faults, one each."""
    left = list(faults)
    hub.rule = lambda method, path: left.pop(0) if left else None


def test_a_read_is_tried_again_until_github_answers(hub: Hub, client: Client, clock: Clock) -> None:
    spoil(hub, "502", "cut", "malformed")
    assert client.get("/repos/o/r")["allow_squash_merge"]
    assert len(clock.slept) == 3


def test_a_read_that_nobody_answers_ends_and_names_the_call(hub: Hub, client: Client) -> None:
    hub.rule = lambda method, path: "500"
    with pytest.raises(Unreachable, match=r"answered 500 to GET /api/v3/repos/o/r$"):
        client.get("/repos/o/r")
    assert not hub.calls


@pytest.mark.parametrize("fault", ["500", "500 after", "cut", "cut after", "malformed after"])
def test_a_write_whose_answer_was_lost_is_not_sent_again(hub: Hub, client: Client, fault: str) -> None:
    spoil(hub, fault)
    with pytest.raises(Lost):
        client.write("POST", "/repos/o/r/pulls", {"title": "t", "head": "none", "body": ""})
    assert len(hub.calls) == ("after" in fault)


def test_github_says_how_long_to_wait(hub: Hub, client: Client, clock: Clock) -> None:
    spoil(hub, "limited", "limited")
    with pytest.raises(Denied) as caught:  # the third comes through
        client.write("POST", "/repos/o/r/pulls", {"title": "t", "head": "none", "body": ""})
    assert caught.value.status == 422
    assert clock.slept == [7, 7]


@pytest.mark.parametrize(
    "fault, seconds",
    [
        ("slowly", 7),
        ("429", 60),
        ("secondary", 60),
        ("spent", 7),
        ("spent-since", 1),
        ("spent-silently", 60),
        ("at-once", 1),
    ],
)
def test_each_way_to_say_that_a_limit_is_reached_is_waited_for(
    hub: Hub, client: Client, clock: Clock, fault: str, seconds: float
) -> None:
    spoil(hub, fault)
    assert client.get("/repos/o/r")["allow_squash_merge"]
    assert clock.slept == [seconds]


@pytest.mark.parametrize("fault", ["graphql-spent", "graphql-limited"])
def test_a_limit_of_graphql_comes_with_status_200(hub: Hub, client: Client, clock: Clock, fault: str) -> None:
    spoil(hub, fault, fault, "gone")
    with pytest.raises(Denied) as caught:
        client.graphql("mutation", {})
    assert caught.value.status == 404
    assert (clock.slept[0], len(clock.slept)) == (7, 2)


def test_a_limit_that_ends_after_all_calendars_ends_the_run_at_once(hub: Hub, client: Client, clock: Clock) -> None:
    hub.rule = lambda method, path: "spent-for-ever"
    with pytest.raises(Unreachable, match="longer than this run waits"):
        client.get("/repos/o/r")
    assert clock.slept == []


def test_what_is_forbidden_is_no_limit_and_not_waited_for(hub: Hub, client: Client, clock: Clock) -> None:
    hub.rule = lambda method, path: "forbidden"
    with pytest.raises(Denied, match=r"the token does not allow GET .*: Resource not accessible by integration"):
        client.get("/repos/o/r")
    assert clock.slept == []


def test_an_answer_that_does_not_end_is_cut_off(hub: Hub, client: Client) -> None:
    spoil(hub, "flood")
    assert client.get("/repos/o/r")["allow_squash_merge"]


def test_a_list_is_read_to_its_end_and_one_without_an_end_is_not(
    hub: Hub, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "MOST_PAGES", 3)
    hub.comments[1] = [{"id": place, "body": str(place)} for place in range(250)]
    hub.pulls[1] = {"number": 1, "state": "closed", "auto_merge": None}
    path = "/repos/o/r/issues/1/comments"
    assert [each["id"] for each in client.pages(path)] == list(range(250))
    hub.comments[1] *= 2
    with pytest.raises(Unreachable, match=r"more than 300 entries in .*/issues/1/comments"):
        list(client.pages(path))


@pytest.mark.slow
def test_a_run_does_not_wait_for_ever_and_says_when_to_come_again(hub: Hub, client: Client, clock: Clock) -> None:
    hub.rule = lambda method, path: "limited"
    with pytest.raises(Unreachable, match=r"longer than this run waits .*run it again after 08:01:\d\d UTC"):
        client.get("/repos/o/r")
    assert sum(clock.slept) == 98  # of 100


def test_many_writes_are_spread_over_minutes(clock: Clock) -> None:
    pacer = Pacer(clock, clock.sleep, patience=10_000)
    began = clock.now
    for _ in range(500):
        pacer.write()
    assert 480 <= clock.now - began <= 500
    assert clock.slept[0] == 60  # a few at once are not slowed


def test_a_bad_token_is_named_and_not_shown(hub: Hub, client: Client) -> None:
    hub.token = "another"
    with pytest.raises(Denied, match=r"does not accept the token \(GH_TOKEN or GITHUB_TOKEN\)") as caught:
        client.get("/repos/o/r")
    assert TOKEN not in str(caught.value)


def test_the_key_of_an_app_becomes_a_token_that_is_made_anew_before_it_runs_out(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    import jwt
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    text = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()

    def ours(bearer: str) -> bool:
        said = jwt.decode(bearer, key.public_key(), algorithms=["RS256"])
        return bool(said["iss"] == "123" and said["exp"] - said["iat"] <= 600)  # GitHub's limit

    hub.app = ours
    monkeypatch.setenv("POINTSMAN_APP_ID", "123")
    monkeypatch.setenv("POINTSMAN_APP_KEY", text)
    source = token_source(place(hub))
    assert source is not None
    before = hub.minted
    assert source() == source() == hub.token
    assert hub.minted == before + 1
    assert ("GET", "/installation") in hub.calls


def test_a_key_that_is_none_is_named_and_not_shown(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_APP_ID", "123")
    monkeypatch.setenv("POINTSMAN_APP_KEY", "sesame")
    source = token_source(place(hub))
    assert source is not None
    with pytest.raises(Exception, match="POINTSMAN_APP_KEY is not a private key") as caught:
        source()
    assert "sesame" not in str(caught.value)
