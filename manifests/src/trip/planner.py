"""Plans of trips, put together from what other agents know."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

Ask = Callable[..., Awaitable[Any]]
"""What another agent can tell; it is asked with keyword arguments and awaited."""

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
COMFORT = 21  # degrees Celsius
# Sunrise repeats from year to year within a minute or two, so any year stands for a usual one.
USUAL_YEAR = 2025


@dataclass(frozen=True)
class Plan:
    """A trip: when, what it will be like, what to take along, what to know."""

    city: str
    month: str
    days: int
    temperature: float
    rain: float
    sunrise: str | None
    sunset: str | None
    daylight_hours: float
    pack: list[str]
    remarks: list[str]
    summary: str


@dataclass(frozen=True)
class Choice:
    """How well a city suits a month; the lower its score, the better."""

    city: str
    temperature: float
    rain: float
    score: float
    kilometres: int | None = None


async def plan_trip(
    city: str,
    weather: Ask,
    daylight: Ask,
    easter: Ask | None,
    days: int = 3,
    start: date | None = None,
) -> Plan:
    """Plan a trip to a city.

    Args:
        city: Name of the city.
        weather: Tells the climate of a city.
        daylight: Tells sunrise and sunset in a city.
        easter: Tells when Easter is.
        days: How many days it takes.
        start: First day; if left out, the middle of the month with the best weather.
    """
    year = await weather(city=city)
    temperatures, rains = year["temperature"], year["rain"]
    day = start or date(USUAL_YEAR, best_month(temperatures, rains), 15)
    sun = await daylight(city=city, day=day.isoformat())
    temperature, rain = temperatures[day.month - 1], rains[day.month - 1]
    remarks = [] if start else ["the month with the most pleasant weather of the year"]
    if start and easter:
        sunday = date.fromisoformat(await easter(year=start.year))
        remarks += easter_remarks(start, days, sunday)
    name = year["city"]
    return Plan(
        city=name,
        month=MONTHS[day.month - 1],
        days=days,
        temperature=temperature,
        rain=rain,
        sunrise=time_of_day(sun["sunrise"]),
        sunset=time_of_day(sun["sunset"]),
        daylight_hours=sun["hours"],
        pack=packing_list(temperature, rain, sun["hours"]),
        remarks=remarks,
        summary=(
            f"{days} days in {name} in {MONTHS[day.month - 1]}: about {temperature:.0f} °C, "
            f"{sun['hours']:.0f} hours of daylight"
        ),
    )


async def where_to_go(
    cities: list[str],
    month: int,
    weather: Ask,
    distance: Ask | None = None,
    origin: str | None = None,
) -> list[Choice]:
    """Rank cities by how pleasant a month is there, best first.

    Args:
        cities: Names of the cities to choose from.
        month: Number of the month, January is 1.
        weather: Tells the climate of a city.
        distance: Tells how far two cities are apart.
        origin: Name of the city to start from, to be told the distances.
    """
    years = await asyncio.gather(*(weather(city=city) for city in cities))
    ways: Sequence[Any] = [None] * len(cities)
    if origin and distance:
        ways = await asyncio.gather(*(distance(origin=origin, destination=city) for city in cities))
    choices = [
        Choice(
            city=year["city"],
            temperature=year["temperature"][month - 1],
            rain=year["rain"][month - 1],
            score=round(discomfort(year["temperature"][month - 1], year["rain"][month - 1]), 1),
            kilometres=way["kilometres"] if way else None,
        )
        for year, way in zip(years, ways, strict=True)
    ]
    return sorted(choices, key=lambda choice: choice.score)


async def save_trip(
    city: str, plan_trip: Ask, notes: Ask, days: int = 3, start: date | None = None
) -> int:
    """Plan a trip and write it down; the answer is the number of the note.

    Args:
        city: Name of the city.
        plan_trip: Plans a trip.
        notes: Writes a note down.
        days: How many days it takes.
        start: First day; if left out, the middle of the month with the best weather.
    """
    plan = await plan_trip(city=city, days=days, start=start.isoformat() if start else None)
    lines = [plan["summary"], "", *(f"- {thing}" for thing in plan["pack"])]
    return await notes(title=f"Trip to {plan['city']}", text="\n".join(lines))


def brief(city: str, days: int = 3) -> str:
    """Ask for a day-by-day programme that fits the weather."""
    return (
        f"Call plan_trip for {city} and {days} days. Then write a programme with a morning, an "
        "afternoon and an evening for each day that suits the temperature and the daylight, and "
        "end with the packing list."
    )


def best_month(temperatures: Sequence[float], rains: Sequence[float]) -> int:
    """Return the number of the month that is pleasant to be outside."""
    scores = [discomfort(*pair) for pair in zip(temperatures, rains, strict=True)]
    return scores.index(min(scores)) + 1


def discomfort(temperature: float, rain: float) -> float:
    """Score a month: each degree from comfort counts as much as 15 mm of rain."""
    return abs(temperature - COMFORT) + rain / 15


def packing_list(temperature: float, rain: float, daylight_hours: float) -> list[str]:
    """Return what to take along."""
    things = [clothes(temperature)]
    if rain >= 60:
        things.append("an umbrella")
    if daylight_hours >= 17:
        things.append("a sleep mask for the light nights")
    elif daylight_hours <= 7:
        things.append("a torch for the short days")
    return things


def clothes(temperature: float) -> str:
    """Return what to wear at a temperature in degrees Celsius."""
    for limit, wear in ((5, "a warm coat, a hat and gloves"), (13, "a jacket and a jumper")):
        if temperature < limit:
            return wear
    return "a light jacket" if temperature < 22 else "light clothes and sun cream"


def easter_remarks(start: date, days: int, sunday: date) -> list[str]:
    """Return a remark if the trip touches the days from Good Friday to Easter Monday."""
    end = start + timedelta(days=days - 1)
    if end < sunday - timedelta(days=2) or start > sunday + timedelta(days=1):
        return []
    return [f"Easter Sunday is {sunday.isoformat()}: museums and shops may be closed"]


def time_of_day(moment: str | None) -> str | None:
    """Return the hours and minutes of an ISO 8601 moment."""
    return moment[11:16] if moment else None
