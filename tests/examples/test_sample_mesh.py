"""The functions behind the sample mesh and the examples: plain Python, called with plain fakes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from pkgutil import resolve_name
from typing import Any
from zoneinfo import ZoneInfo

import pytest

CITIES = 31


def answering(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn a function into what an async callable receives for a need."""

    async def ask(**arguments: Any) -> Any:
        return function(**arguments)

    return ask


def always(value: Any) -> Callable[..., Any]:
    """Return what an async callable receives for a need that has one answer to everything."""

    async def ask(**_: Any) -> Any:
        return value

    return ask


def asked(reference: str, **arguments: Any) -> Any:
    """Call what a manifest names, with keyword arguments, as meshd does."""
    return resolve_name(reference)(**arguments)


async def collected(chunks: AsyncIterator[Any]) -> list[Any]:
    return [chunk async for chunk in chunks]


class TestCities:
    def test_every_city_has_a_place_a_zone_and_a_climate(self) -> None:
        names = asked("trip.cities:city_names")
        assert len(names) == CITIES
        assert names == sorted(names)
        for name in names:
            city = asked("trip.cities:find_city", name=name)
            assert -90 <= city.latitude <= 90
            assert -180 <= city.longitude <= 180
            assert ZoneInfo(city.zone).key == city.zone

    def test_clocks_agree_with_the_sun_to_within_two_hours(self) -> None:
        """A zone of the wrong continent, or a sign lost from a longitude, would show here."""
        for name in asked("trip.cities:city_names"):
            city = asked("trip.cities:find_city", name=name)
            offset = datetime(2025, 1, 1, tzinfo=ZoneInfo(city.zone)).utcoffset()
            assert offset is not None
            assert abs(offset / timedelta(hours=1) - city.longitude / 15) < 2, name

    @pytest.mark.parametrize(
        ("written", "found"),
        [
            ("oslo", "Oslo"),
            (" NEW YORK ", "New York"),
            ("tromso", "Tromsø"),
            ("Tromsø", "Tromsø"),
            ("Reykjavík", "Reykjavik"),
        ],
    )
    def test_case_accents_and_spaces_do_not_matter(self, written: str, found: str) -> None:
        assert asked("trip.cities:find_city", name=written).name == found

    def test_a_misspelt_name_is_answered_with_what_looks_alike(self) -> None:
        def closest(word: str, possibilities: list[str]) -> list[str]:
            assert (word, len(possibilities)) == ("Olso", CITIES)
            return ["Oslo", "Lima"]

        with pytest.raises(
            LookupError, match=r"^no city is called 'Olso'; did you mean Oslo or Li"
        ):
            asked("trip.cities:find_city", name="Olso", closest=closest)

    @pytest.mark.parametrize("asks", [False, True])
    def test_without_look_alikes_all_names_are_listed(self, asks: bool) -> None:
        def nothing(word: str, possibilities: list[str]) -> list[str]:
            assert word not in possibilities
            return []

        closest = nothing if asks else None
        with pytest.raises(LookupError, match=r"known are Athens, Auckland, .*, Vienna$"):
            asked("trip.cities:find_city", name="Olso", closest=closest)

    @pytest.mark.parametrize(
        ("origin", "destination", "kilometres", "heading"),
        [
            ("London", "New York", 5570, "W"),
            ("Paris", "London", 344, "NW"),
            ("Oslo", "Stockholm", 418, "E"),
            ("Tokyo", "Sydney", 7823, "S"),
            ("Lima", "Buenos Aires", 3133, "SE"),
        ],
    )
    def test_distances_are_those_of_the_atlas(
        self, origin: str, destination: str, kilometres: int, heading: str
    ) -> None:
        way = asked("trip.cities:distance", origin=origin, destination=destination)
        back = asked("trip.cities:distance", origin=destination, destination=origin)
        assert abs(way.kilometres - kilometres) <= kilometres / 100
        assert (way.heading, back.kilometres) == (heading, way.kilometres)

    def test_a_city_is_no_distance_from_itself(self) -> None:
        way = asked("trip.cities:distance", origin="Rome", destination="rome")
        assert (way.kilometres, way.heading) == (0, None)

    def test_the_card_tells_where_a_city_lies(self) -> None:
        assert asked("trip.cities:card", name="lima") == (
            "# Lima\n\n- Country: Peru\n- Position: 12.046° S, 77.043° W\n"
            "- Time zone: America/Lima\n"
        )


class TestClock:
    @pytest.mark.parametrize(
        ("zone", "shown", "offset", "weekday"),
        [
            ("Europe/Oslo", "2025-07-01T01:30:00+02:00", 2.0, "Tuesday"),
            ("Asia/Kolkata", "2025-07-01T05:00:00+05:30", 5.5, "Tuesday"),
            ("Pacific/Honolulu", "2025-06-30T13:30:00-10:00", -10.0, "Monday"),
        ],
    )
    @pytest.mark.parametrize("zone_of_question", [None, UTC])
    def test_a_moment_is_shown_by_local_clocks(
        self, zone: str, shown: str, offset: float, weekday: str, zone_of_question: Any
    ) -> None:
        at = datetime(2025, 6, 30, 23, 30, tzinfo=zone_of_question)
        told = asked("trip.clock:local_time", zone=zone, at=at)
        assert (told.time.isoformat(), told.zone) == (shown, zone)
        assert (told.utc_offset_hours, told.weekday) == (offset, weekday)

    def test_without_a_moment_it_is_now(self) -> None:
        told = asked("trip.clock:local_time", zone="UTC")
        assert abs(told.time - asked("trip.clock:local_time", zone="Asia/Tokyo").time) < timedelta(
            seconds=5
        )

    @pytest.mark.parametrize("zone", ["Europe/Olso", "", "../etc/passwd", "/etc/passwd"])
    def test_an_unknown_zone_is_refused(self, zone: str) -> None:
        with pytest.raises(LookupError, match="no time zone is called"):
            asked("trip.clock:local_time", zone=zone)


class TestSun:
    # As published; the computation leaves out the height of the place and the air of the day.
    @pytest.mark.parametrize(
        ("name", "on", "sunrise", "sunset"),
        [
            ("Oslo", date(2025, 6, 21), "03:54", "22:44"),
            ("London", date(2025, 6, 21), "04:43", "21:21"),
            ("London", date(2021, 12, 21), "08:03", "15:53"),
            ("New York", date(2025, 6, 21), "05:25", "20:31"),
            ("New York", date(2023, 12, 21), "07:16", "16:31"),
            ("Sydney", date(2025, 6, 21), "07:00", "16:54"),
            ("Sydney", date(2025, 12, 21), "05:41", "20:05"),
            ("Honolulu", date(2025, 12, 21), "07:05", "17:55"),
            ("Reykjavik", date(2025, 6, 21), "02:55", "00:04"),
        ],
    )
    async def test_the_sun_rises_and_sets_when_almanacs_say(
        self, name: str, on: date, sunrise: str, sunset: str
    ) -> None:
        sun = await daylight(name, on)
        for computed, published in ((sun.sunrise, sunrise), (sun.sunset, sunset)):
            expected = datetime.combine(
                computed.date(), time.fromisoformat(published), computed.tzinfo
            )
            assert abs(computed - expected) <= timedelta(minutes=2)

    async def test_local_times_may_lie_on_the_next_day(self) -> None:
        sun = await daylight("Reykjavik", date(2025, 6, 21))
        assert sun.sunset.date() == date(2025, 6, 22)

    @pytest.mark.parametrize(
        ("on", "hours"), [(date(2025, 6, 21), 24.0), (date(2025, 12, 21), 0.0)]
    )
    async def test_beyond_the_polar_circle_it_may_do_neither(self, on: date, hours: float) -> None:
        sun = await daylight("Tromsø", on)
        assert (sun.sunrise, sun.sunset, sun.hours) == (None, None, hours)

    def test_the_equator_has_twelve_hours_all_year(self) -> None:
        for month in range(1, 13):
            sun = asked("trip.sun:sun_times", latitude=0, longitude=0, on=date(2025, month, 20))
            assert sun.daylight_hours == 12.1  # refraction and the sun's width add the tenth


async def daylight(name: str, on: date) -> Any:
    find_city, local_time = (
        resolve_name(reference) for reference in ("trip.cities:find_city", "trip.clock:local_time")
    )

    async def clock(zone: str, at: str) -> Any:
        return local_time(zone=zone, at=datetime.fromisoformat(at))

    return await asked(
        "trip.weather:daylight", city=name, day=on, geo=answering(find_city), clock=clock
    )


class TestClimate:
    def test_every_city_has_a_usual_year(self) -> None:
        for name in asked("trip.cities:city_names"):
            year = climate(name)
            assert (len(year.temperature), len(year.rain)) == (12, 12), name
            assert all(-10 <= celsius <= 40 for celsius in year.temperature), name
            assert all(0 <= millimetres <= 400 for millimetres in year.rain), name

    def test_summer_is_in_july_north_and_in_january_south_of_the_tropics(self) -> None:
        for name in asked("trip.cities:city_names"):
            latitude = asked("trip.cities:find_city", name=name).latitude
            january, july = (climate(name).temperature[month] for month in (0, 6))
            if abs(latitude) > 23.5:
                assert (july > january) is (latitude > 0), name

    def test_units_may_be_imperial(self) -> None:
        year = climate("Oslo", units="imperial")
        assert (year.units, year.temperature[0], year.rain[0]) == ("imperial", 28.0, 2.4)

    def test_the_city_is_the_one_that_was_found(self) -> None:
        def geo(name: str) -> dict[str, str]:
            return {"name": {"oslo": "Oslo"}[name]}

        year = asked("trip.weather:climate", city="oslo", geo=geo)
        assert (year.city, year.temperature[6], year.rain[6]) == ("Oslo", 18.0, 85.0)


def climate(city: str, **more: Any) -> Any:
    def geo(name: str) -> dict[str, str]:
        return {"name": name}

    return asked("trip.weather:climate", city=city, geo=geo, **more)


async def weather(city: str) -> dict[str, Any]:
    """Answer as the agent does: with JSON values."""
    return asdict(climate(city))


class TestPlanner:
    async def test_without_a_date_the_best_month_is_chosen(self) -> None:
        told: list[Any] = []

        def sun(city: str, day: str) -> dict[str, Any]:
            told.append((city, day))
            return {"sunrise": "2025-07-15T04:21:00+02:00", "sunset": None, "hours": 18.0}

        plan = await asked(
            "trip.planner:plan_trip",
            city="oslo",
            weather=always(await weather("Oslo")),
            daylight=answering(sun),
            easter=None,
        )
        assert told == [("oslo", "2025-07-15")]
        assert asdict(plan) == {
            "city": "Oslo",
            "month": "July",
            "days": 3,
            "temperature": 18.0,
            "rain": 85.0,
            "sunrise": "04:21",
            "sunset": None,
            "daylight_hours": 18.0,
            "pack": ["a light jacket", "an umbrella", "a sleep mask for the light nights"],
            "remarks": ["the month with the most pleasant weather of the year"],
            "summary": "3 days in Oslo in July: about 18 °C, 18 hours of daylight",
        }

    @pytest.mark.parametrize(
        ("start", "days", "touches"),
        [
            (date(2027, 3, 22), 4, False),
            (date(2027, 3, 22), 5, True),
            (date(2027, 3, 29), 1, True),
            (date(2027, 3, 30), 3, False),
        ],
    )
    async def test_easter_is_remarked_from_good_friday_to_monday(
        self, start: date, days: int, touches: bool
    ) -> None:
        plan = await asked(
            "trip.planner:plan_trip",
            city="Rome",
            weather=weather,
            daylight=always({"sunrise": None, "sunset": None, "hours": 12.4}),
            easter=always("2027-03-28"),
            days=days,
            start=start,
        )
        remark = "Easter Sunday is 2027-03-28: museums and shops may be closed"
        assert plan.remarks == ([remark] if touches else [])

    @pytest.mark.parametrize(
        ("temperature", "rain", "hours", "pack"),
        [
            (-2, 10, 6.1, ["a warm coat, a hat and gloves", "a torch for the short days"]),
            (5, 60, 12, ["a jacket and a jumper", "an umbrella"]),
            (13, 59, 17, ["a light jacket", "a sleep mask for the light nights"]),
            (22, 0, 12, ["light clothes and sun cream"]),
        ],
    )
    def test_the_weather_decides_what_to_pack(
        self, temperature: float, rain: float, hours: float, pack: list[str]
    ) -> None:
        arguments = {"temperature": temperature, "rain": rain, "daylight_hours": hours}
        assert asked("trip.planner:packing_list", **arguments) == pack

    async def test_cities_are_ranked_by_how_pleasant_the_month_is(self) -> None:
        choices = await asked(
            "trip.planner:where_to_go",
            cities=["Oslo", "Athens", "Singapore"],
            month=4,
            weather=weather,
        )
        assert [(choice.city, choice.score, choice.kilometres) for choice in choices] == [
            ("Athens", 7.0, None),
            ("Singapore", 18.0, None),
            ("Oslo", 18.3, None),
        ]

    @pytest.mark.parametrize(("origin", "kilometres"), [("Rome", 922), (None, None)])
    async def test_distances_are_told_from_where_one_starts(
        self, origin: str | None, kilometres: int | None
    ) -> None:
        (choice,) = await asked(
            "trip.planner:where_to_go",
            cities=["Vienna"],
            month=6,
            weather=weather,
            distance=always({"kilometres": 922}),
            origin=origin,
        )
        assert choice.kilometres == kilometres

    async def test_a_saved_plan_is_a_note(self) -> None:
        written: list[Any] = []

        def plan_trip(**arguments: Any) -> dict[str, Any]:
            assert arguments == {"city": "oslo", "days": 2, "start": "2027-05-03"}
            return {"city": "Oslo", "summary": "2 days in Oslo", "pack": ["an umbrella"]}

        def notes(title: str, text: str) -> int:
            written.append((title, text))
            return 7

        number = await asked(
            "trip.planner:save_trip",
            city="oslo",
            plan_trip=answering(plan_trip),
            notes=answering(notes),
            days=2,
            start=date(2027, 5, 3),
        )
        assert number == 7
        assert written == [("Trip to Oslo", "2 days in Oslo\n\n- an umbrella")]

    def test_the_prompt_names_city_and_days(self) -> None:
        assert "plan_trip for Oslo and 4 days" in asked("trip.planner:brief", city="Oslo", days=4)


class TestNotebook:
    async def test_notes_are_numbered_found_and_removed(self) -> None:
        notebook = asked("trip.notebook:Notebook")
        async with asked("trip.notebook:opened", notebook=notebook):
            first, second = notebook.add(title="Oslo", text="Take a map"), notebook.add("Rome")
            assert [note.title for note in notebook.find()] == ["Rome", "Oslo"]
            assert [note.title for note in notebook.find("MAP oslo")] == ["Oslo"]
            assert notebook.find("map rome") == []
            assert notebook.page(first) == "# Oslo\n\nTake a map\n"
            assert (notebook.remove(second), notebook.remove(second)) == (True, False)
            assert notebook.add("Lima") == second + 1
            with pytest.raises(LookupError, match=f"there is no note {second}"):
                notebook.page(second)
        with pytest.raises(RuntimeError, match="the notebook is closed"):
            notebook.find()

    async def test_a_full_notebook_says_so(self) -> None:
        notebook = asked("trip.notebook:Notebook", limit=1)
        async with asked("trip.notebook:opened", notebook=notebook):
            notebook.add("Oslo")
            with pytest.raises(ValueError, match="the notebook is full: it holds 1 notes"):
                notebook.add("Rome")

    async def test_a_file_keeps_notes(self, tmp_path: Path) -> None:
        for numbers in ([1], [2, 1]):
            notebook = asked("trip.notebook:Notebook", path=str(tmp_path / "notes.sqlite"))
            async with asked("trip.notebook:opened", notebook=notebook):
                await asyncio.to_thread(notebook.add, "Oslo")
                assert [note.number for note in notebook.find()] == numbers


class TestExamples:
    async def test_stock_is_counted_within_its_bounds(self) -> None:
        stock = asked("stock:Stock", largest=5)
        async with asked("stock:opened", stock=stock):
            assert [stock.put("apple", 4), stock.take("apple"), stock.count("apple")] == [4, 3, 3]
            assert (stock.count("book"), stock.shelves()) == (0, {"apple": 3})
            for change in (lambda: stock.put("apple", 3), lambda: stock.take("apple", 4)):
                with pytest.raises(ValueError, match="there are 3; the shelf holds 0 to 5"):
                    change()
            assert stock.count("apple") == 3
        with pytest.raises(RuntimeError, match="the stock is closed"):
            stock.count("apple")

    @pytest.mark.parametrize(
        ("limit", "found"), [(1, []), (2, [2]), (20, [2, 3, 5, 7, 11, 13, 17, 19])]
    )
    def test_primes(self, limit: int, found: list[int]) -> None:
        assert list(asked("sieve:primes", limit=limit)) == found

    async def test_factors_multiply_to_the_number(self) -> None:
        async def primes(limit: int) -> list[int]:
            return list(asked("sieve:primes", limit=limit))

        chunks = await collected(
            asked("sieve:factorise", numbers=[2, 84, 97, 1022117], primes=primes)
        )
        assert chunks == ["2 = 2", "84 = 2 * 2 * 3 * 7", "97 = 97", "1022117 = 1009 * 1013"]

    def test_a_price_without_and_with_a_discount(self) -> None:
        def ten_percent(thing: str) -> float:
            return {"book": 0.1}[thing]

        rate = resolve_name("shop:exchange_rate")
        question = {"thing": "book", "currency": "USD", "rate": rate}
        assert asked("shop:price", **question) == 15.0
        assert asked("shop:price", **question, discount=ten_percent) == 13.5
        with pytest.raises(LookupError, match="no rate for GBP; there are EUR, USD, NOK"):
            rate(currency="GBP")

    async def test_prices_in_several_currencies_and_of_several_things(self) -> None:
        rate = answering(resolve_name("shop:exchange_rate"))
        prices = await asked("shop:price_list", thing="lamp", currencies=["EUR", "NOK"], rate=rate)
        assert prices == {"EUR": 30.0, "NOK": 345.0}

        async def price(thing: str, currency: str) -> float:
            return {("apple", "EUR"): 0.5, ("book", "EUR"): 12.0}[thing, currency]

        invoice = await asked("shop:invoice", things=["apple", "book"], currency="EUR", price=price)
        assert invoice == {"apple": 0.5, "book": 12.0, "total": 12.5}

    @pytest.mark.parametrize(
        ("greeting", "said"),
        [
            ("hello", "Hello Ada! Come in."),
            ("good_day", "Good day, Ada. Come in."),
            ("ahoy", "Ahoy Ada! Come in."),
        ],
    )
    def test_a_welcome_uses_the_greeting_it_is_given(self, greeting: str, said: str) -> None:
        greet = resolve_name(f"greetings:{greeting}")
        assert asked("greetings:welcome", name="Ada", greet=greet) == said
