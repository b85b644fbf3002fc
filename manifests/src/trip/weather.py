"""What the weather is usually like, and how long the days are; no forecasts."""

import asyncio
import csv
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from typing import Any

from trip.cities import City
from trip.clock import LocalTime
from trip.sun import sun_times


@dataclass(frozen=True)
class Climate:
    """A usual year, January first: mean temperature and rain of each month."""

    city: str
    units: str
    temperature: list[float]
    rain: list[float]


@dataclass(frozen=True)
class Daylight:
    """The sun over a city on one day, by local time; absent where it does not rise or set."""

    city: str
    day: date
    sunrise: datetime | None
    sunset: datetime | None
    hours: float


def climate(city: str, geo: Callable[..., Mapping[str, Any]], units: str = "metric") -> Climate:
    """Tell how warm and how wet each month usually is.

    The figures are rounded means of recent decades: good enough to pack by, not for science.
    """
    name = str(geo(name=city)["name"])
    temperature, rain = _normals()[name]
    if units == "imperial":
        fahrenheit = [round(celsius * 1.8 + 32, 0) for celsius in temperature]
        return Climate(name, units, fahrenheit, [round(mm / 25.4, 1) for mm in rain])
    return Climate(name, units, temperature, rain)


async def daylight(
    city: str,
    day: date,
    geo: Callable[..., Awaitable[City]],
    clock: Callable[..., Awaitable[LocalTime]],
) -> Daylight:
    """Tell when the sun rises and sets in a city, by the clocks of that city."""
    place = await geo(name=city)
    sun = sun_times(place.latitude, place.longitude, day)
    if sun.rises is None or sun.sets is None:
        return Daylight(place.name, day, None, None, sun.daylight_hours)
    sunrise, sunset = await asyncio.gather(
        clock(zone=place.zone, at=sun.rises.isoformat()),
        clock(zone=place.zone, at=sun.sets.isoformat()),
    )
    return Daylight(place.name, day, sunrise.time, sunset.time, sun.daylight_hours)


@cache
def _normals() -> Mapping[str, tuple[list[float], list[float]]]:
    """Return degrees Celsius and millimetres of each month, by city."""
    with files("trip").joinpath("climate.csv").open(encoding="utf-8") as lines:
        return {
            row["name"]: (_numbers(row["temperature"]), _numbers(row["rain"]))
            for row in csv.DictReader(lines)
        }


def _numbers(text: str) -> list[float]:
    return [float(number) for number in text.split()]
