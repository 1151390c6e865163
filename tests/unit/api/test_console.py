"""The live page: who gets what of it, what it shows, and what a browser makes of hostile names."""

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from tests.support import browser
from tests.support.event_pictures import NAME, keep
from tests.support.videos import jpeg
from tests.unit.api.memory_fleet import T0_S, MemoryFleet, an_event
from vigil.api import console
from vigil.api.console import Console, Figures
from vigil.api.guard import Guard
from vigil.api.past import Past
from vigil.api.web import WebServer
from vigil.clock import SystemClock
from vigil.config import HttpConfig
from vigil.data import OfflineReason
from vigil.events.log import EventLog
from vigil.events.outbox import Outbox
from vigil.events.verdicts import Verdicts
from vigil.fleet.event_pictures import EventPictures
from vigil.spec import Source, StreamSpec
from vigil.store.database import Database
from vigil.store.tokens import Role, TokenFile

PAGE = Path(console.__file__).parent / "page"
EVIL = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
EPISODE = an_event().episode_id
PICTURE = NAME.replace("gate", "a-gate")
OPEN, DATA, ALL_STREAMS = "open", "data", "all streams"
ROUTES = {  # every route of the server, and who it is for
    "/": OPEN,
    "/console.css": OPEN,
    "/console.js": OPEN,
    "/healthz": OPEN,
    "/readyz": OPEN,
    "/console/view": DATA,
    "/console/picture?stream=a-gate": DATA,
    f"/console/event-picture?episode={EPISODE}": DATA,
    "/metrics": ALL_STREAMS,
}


class Quiet:
    """A service at rest, with one thing to complain of."""

    def figures(self) -> Figures:
        return Figures(
            model="vigil-det-n",
            device="cpu",
            precision="int8",
            form="packed",
            outbox_events=7,
            redis="full",
            troubles=[f"Redis takes no events (full), 7 wait {EVIL}"],
        )

    def latencies(self) -> dict[float, float]:
        return {0.1: 90.0, 0.25: 100.0, float("inf"): 100.0}


class Web:
    """A server with the page, what stands behind it, and a client."""

    def __init__(self, server: WebServer, fleet: MemoryFleet, outbox: Outbox) -> None:
        self.url = f"http://{server.address}"
        self.fleet = fleet
        self.outbox = outbox
        self.session = aiohttp.ClientSession()

    async def get(self, path: str, **headers: str) -> tuple[int, bytes, Any]:
        async with self.session.get(self.url + path, headers=headers) as answer:
            return answer.status, await answer.read(), answer.headers

    async def view(self, query: str = "", **headers: str) -> Any:
        status, body, _ = await self.get(f"/console/view?{query}", **headers)
        assert status == 200, body
        return json.loads(body)

    async def add(self, stream_id: str, **fields: Any) -> None:
        fields.setdefault("source", Source(uri="rtsp://10.0.0.1/live?password=hunter22"))
        await self.fleet.add(StreamSpec(stream_id=stream_id, **fields))


@pytest.fixture
def tokens(tmp_path: Path) -> TokenFile:
    return TokenFile(tmp_path)


@pytest.fixture
def open_web(outbox: tuple[Database, Outbox], tokens: TokenFile, pictures: EventPictures) -> Any:
    @asynccontextmanager
    async def open_it() -> AsyncIterator[Web]:
        database, box = outbox
        fleet, guard = MemoryFleet(), Guard(tokens)
        server = WebServer(
            HttpConfig(address="127.0.0.1:0"),
            registry=CollectorRegistry(),
            ready=lambda: True,
            troubles=list,
            guard=guard,
            certificates=None,
            console=Console(
                fleet=fleet,
                past=Past(EventLog(database, box), Verdicts(database, SystemClock()), pictures),
                guard=guard,
                service=Quiet(),
                ready=lambda: True,
                clock=SystemClock(),
            ),
        )
        async with server:
            web = Web(server, fleet, box)
            async with web.session:
                yield web

    return open_it


@pytest.fixture
async def web(open_web: Callable[[], Any]) -> AsyncIterator[Web]:
    async with open_web() as opened:
        yield opened


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


async def test_every_route_answers_those_whom_it_is_for(
    open_web: Callable[[], Any],
    tokens: TokenFile,
    pictures: EventPictures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    served: list[str] = []
    add_get = aiohttp.web.UrlDispatcher.add_get

    def noted(self: Any, path: str, *rest: Any, **more: Any) -> Any:
        served.append(path)
        return add_get(self, path, *rest, **more)

    monkeypatch.setattr(aiohttp.web.UrlDispatcher, "add_get", noted)
    everyone = tokens.add("wall", role=Role.VIEWER, prefixes=())
    tenant = tokens.add("site-a", role=Role.VIEWER, prefixes=("a-",))
    other = tokens.add("site-b", role=Role.ADMIN, prefixes=("b-",))
    async with open_web() as web:
        assert {path.partition("?")[0] for path in ROUTES} == set(served)
        await web.add("a-gate")
        await web.outbox.append([an_event(stream_id="a-gate", snapshot=PICTURE)])
        await keep(pictures, PICTURE, b"jpeg")
        for path, kind in ROUTES.items():
            codes = [
                (await web.get(path, **headers))[0]
                for headers in ({}, bearer("vigil_x"), bearer(everyone), bearer(tenant))
            ]
            wanted = {
                OPEN: [200, 200, 200, 200],
                DATA: [401, 401, 200, 200],
                ALL_STREAMS: [401, 401, 200, 403],
            }
            assert codes == wanted[kind], path
        assert (await web.get("/console/picture?stream=a-gate", **bearer(other)))[0] == 403
        assert (await web.get("/console/picture?stream=none", **bearer(other)))[0] == 403
        for episode in (EPISODE, "none", ""):
            path = f"/console/event-picture?episode={episode}"
            assert (await web.get(path, **bearer(other)))[0] == 403
            assert (await web.get(path, **bearer(everyone)))[0] == (
                200 if episode == EPISODE else 404
            )
        assert (await web.get("/console/picture?stream=none", **bearer(everyone)))[0] == 404


async def test_the_page_loads_nothing_but_itself_and_has_no_code_in_its_markup(web: Web) -> None:
    for path in ("/", "/console.css", "/console.js", "/console/view", "/console/picture"):
        _, body, headers = await web.get(path)
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert (headers["X-Content-Type-Options"], headers["Cache-Control"]) == (
            "nosniff",
            "no-store",
        )
        assert not re.search(rb"https?://", body.replace(b'"rtsp', b""))
    markup = (PAGE / "index.html").read_text()
    assert not re.search(r"\son\w+=|\sstyle=|<style|javascript:", markup)
    assert re.findall(r"<script[^>]*>", markup) == ['<script src="/console.js" defer>']
    script = (PAGE / "console.js").read_text()
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|Function\(", script
    )


async def test_streams_are_shown_worst_first_without_their_passwords(web: Web) -> None:
    for name in ("c", "a", "b"):
        await web.add(name)
    await web.add("off", enabled=False)
    await web.fleet.go_offline("b", OfflineReason.UNREACHABLE)
    view = await web.view()
    assert [row["id"] for row in view["streams"]] == ["b", "a", "c", "off"]
    worst = view["streams"][0]
    assert (worst["state"], worst["reason"], worst["detail"]) == (
        "offline",
        "unreachable",
        "connection refused",
    )
    assert (worst["next_retry_s"], worst["reconnects"]) == (T0_S + 2.5, 3)
    assert view["states"] == {"offline": 1, "connecting": 2, "disabled": 1}
    assert "hunter22" not in json.dumps(view)
    assert view["figures"]["outbox_events"] == 7
    assert 0.1 < view["latency_p95_s"] < 0.25


async def test_a_thousand_streams_come_in_pages(web: Web) -> None:
    for number in range(1000):
        labels = {"site": "north"} if number < 3 else {}
        await web.add(f"cam-{number:04d}", labels=labels)
    view = await web.view("limit=1000&offset=990")
    assert (view["matching"], len(view["streams"])) == (1000, 10)
    assert len((await web.view("limit=1000"))["streams"]) == console.MOST_STREAMS
    assert view["states"] == {"connecting": 1000}
    assert [row["id"] for row in (await web.view("text=NORTH"))["streams"]] == [
        f"cam-{number:04d}" for number in range(3)
    ]
    assert (await web.view("states=online,offline"))["matching"] == 0
    assert (await web.view("text=cam-09&limit=5"))["matching"] == 100


@pytest.mark.parametrize("query", ["limit=-1", "limit=x", "offset=1e9", "offset=٣"])
async def test_numbers_that_are_none_are_refused(web: Web, query: str) -> None:
    status, body, _ = await web.get(f"/console/view?{query}")
    assert (status, body) == (400, f"{query.partition('=')[0]}: is no whole number\n".encode())


async def test_a_tenant_sees_its_own_and_no_figures(web: Web, tokens: TokenFile) -> None:
    for name in ("a-gate", "b-gate"):
        await web.add(name)
    events = [
        an_event(stream_id=name, event_id=f"{name}{number}")
        for name, count in (("a-gate", 1), ("b-gate", console.MOST_EVENTS + 1))
        for number in range(count)
    ]
    await web.outbox.append(events)
    secret = tokens.add("site-a", role=Role.VIEWER, prefixes=("a-",))
    view = await web.view(**bearer(secret))
    assert [row["id"] for row in view["streams"]] == ["a-gate"]
    assert [row["stream"] for row in view["events"]] == ["a-gate"]
    assert (view["states"], view["caller"]) == ({"connecting": 1}, "site-a")
    assert (view["figures"], view["latency_p95_s"]) == (None, None)
    assert "b-gate" not in json.dumps(view)


async def test_events_follow_a_cursor_and_what_was_too_much_is_counted(web: Web) -> None:
    async def happen(count: int, first: int) -> None:
        ids = [f"{first + number:032x}" for number in range(count)]
        await web.outbox.append([an_event(event_id=one) for one in ids])

    assert (await web.view())["events"] == []
    await happen(3, 0)
    first = await web.view()
    assert [int(row["id"], 16) for row in first["events"]] == [0, 1, 2]
    assert (await web.view(f"cursor={first['cursor']}"))["events"] == []
    await happen(console.MOST_EVENTS + 20, 3)
    late = await web.view(f"cursor={first['cursor']}")
    assert late["missed"] == 20
    assert [int(row["id"], 16) for row in late["events"]] == list(range(23, 123))
    lost = await web.view("cursor=another-7")  # of another log, or no cursor at all
    assert (len(lost["events"]), lost["missed"]) == (console.MOST_EVENTS, 0)


async def test_without_tokens_the_page_answers_under_no_strange_name(
    web: Web, tokens: TokenFile
) -> None:
    port = web.url.rpartition(":")[2]
    for host, wanted in (
        (f"127.0.0.1:{port}", 200),
        (f"localhost:{port}", 200),
        ("[::1]", 200),
        (f"evil.example:{port}", 403),
        ("127.0.0.1.evil.example", 403),
        ("", 403),
    ):
        assert (await web.get("/console/view", Host=host))[0] == wanted, host
    secret = tokens.add("wall", role=Role.VIEWER, prefixes=())
    assert (await web.get("/console/view", Host="vms.example", **bearer(secret)))[0] == 200


@pytest.mark.skipif(bool(browser.why_not()), reason=browser.why_not())
async def test_a_browser_shows_hostile_names_as_text(web: Web) -> None:
    await web.add("gate", labels={"site": EVIL}, source=Source(uri=f"rtsp://10.0.0.1/{EVIL}"))
    await web.outbox.append([an_event(class_name=EVIL, rule_id="yard")])
    page = await asyncio.to_thread(browser.dom, web.url)
    assert "<title>vigil</title>" in page, "a hostile name was run"
    assert page.count("&lt;img src=x") >= 3  # the address, the event's class, the trouble
    assert not re.search(r"<img src=.?x", page)
    assert '<button class="open" type="button" data-stream="gate">gate</button>' in page
    assert "zone.enter" in page
    assert "connecting 1" in page
    assert re.search(r'id="latency">\d+ ms<', page)


@pytest.mark.skipif(bool(browser.why_not()), reason=browser.why_not())
async def test_a_browser_opens_the_picture_of_an_event(
    open_web: Callable[[], Any],
    pictures: EventPictures,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    page = shutil.copytree(PAGE, tmp_path / "page")
    with (page / "console.js").open("a") as script:  # an operator's click
        script.write('setTimeout(() => document.querySelector("#feed button").click(), 1000);')
    monkeypatch.setattr(console, "_PAGE", page)
    async with open_web() as web:
        await web.outbox.append([an_event(event_id="0" * 32, episode_id="0" * 32)])
        await web.outbox.append([an_event(snapshot=NAME)])
        await keep(pictures, NAME, jpeg())
        shown = await asyncio.to_thread(browser.dom, web.url)
    assert shown.count('<button class="open" type="button">zone.enter</button>') == 1
    assert re.search(
        r'<img id="picture" alt="The picture of this zone.enter" src="blob:[^"]+">', shown
    )
    assert re.search(r"<dt>Rule</dt><dd>yard</dd>", shown)


@pytest.mark.skipif(bool(browser.why_not()), reason=browser.why_not())
async def test_a_browser_asks_for_a_token_where_there_are_tokens(
    web: Web, tokens: TokenFile
) -> None:
    await web.add("gate")
    tokens.add("wall", role=Role.VIEWER, prefixes=())
    page = await asyncio.to_thread(browser.dom, web.url)
    assert '<form id="login">' in page  # no longer hidden
    assert '<main id="live" hidden="">' in page
    assert "data-stream" not in page
