"""Whom a need would call, by which way, and why the others lost."""

from dataclasses import replace

from meshd.domain.spec import CallSettings
from meshd.plan.link import link
from meshd.plan.routes import NeedRoutes, Route, routes_of
from tests.plan.meshes import agent, mesh, need, signatures, tool

WEATHER = need("weather", "weather.forecast", version=">=1", tags=("+fast",))
HTTP = "the provider runs in another process and is called over HTTP"


def routes(*agents: object) -> NeedRoutes:
    spec = mesh(*agents)  # pyright: ignore[reportArgumentType]
    plan, _ = link(spec, signatures(spec))
    [found] = routes_of(plan, "planner", "plan")
    return found


def test_providers_stand_in_order_and_losers_say_why() -> None:
    get = tool("get", capability="weather.forecast", version="1.4.0")
    quick = tool("quick", capability="weather.forecast", version="1.2.0", tags=("fast",))
    old = tool("old", capability="weather.forecast", version="0.9.0")
    found = routes(agent("planner", tool("plan", WEATHER)), agent("weather", get, quick, old))
    assert found == NeedRoutes(
        parameter="weather",
        capability="weather.forecast",
        serving=(
            Route(provider="weather.quick", version="1.2.0", score=10, way="http", reason=HTTP),
            Route(provider="weather.get", version="1.4.0", way="http", reason=HTTP),
        ),
        lost=(Route(provider="weather.old", reason="fails `>=1`"),),
        misses=(),
    )


def test_the_way_is_that_of_the_processes() -> None:
    own = tool("own", capability="weather.forecast", version="2.0.0")
    far = tool("far", capability="weather.forecast")
    planner = replace(agent("planner", tool("plan", WEATHER), own), process="trips")
    near = replace(agent("near", far), process="trips")
    away = replace(agent("away", far), process="others")
    ways = [(route.provider, route.way) for route in routes(planner, near, away).serving]
    assert sorted(ways) == [
        ("away.far", "http"),
        ("near.far", "in-process"),
        ("planner.own", "self"),
    ]


def test_a_stream_has_a_way_of_its_own() -> None:
    ticks = replace(tool("ticks", capability="weather.forecast"), call=CallSettings(streaming=True))
    [route] = routes(agent("planner", tool("plan", WEATHER)), agent("weather", ticks)).serving
    assert route.way == "stream"


def test_what_nobody_serves_says_what_came_nearest() -> None:
    wrong = tool("get", capability="weather.forcast")
    found = routes(agent("planner", tool("plan", WEATHER)), agent("weather", wrong))
    assert found.serving == ()
    assert found.misses == (
        "`weather.forecast` is one edit away from `weather.forcast` (agent `weather`)",
    )
