"""Where some well-known cities lie, and how far apart."""

import csv
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import atan2, cos, degrees, hypot, radians, sin

EARTH_RADIUS_KM = 6371.0088
COMPASS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")


@dataclass(frozen=True)
class City:
    """A city: degrees north and east, and its time zone."""

    name: str
    country: str
    latitude: float
    longitude: float
    zone: str


@dataclass(frozen=True)
class Distance:
    """How far a place is over the ground, and in which direction one sets out, if one has to."""

    kilometres: int
    heading: str | None


def find_city(name: str, closest: Callable[..., list[str]] | None = None) -> City:
    """Find a city by its name; case and accents do not matter.

    Args:
        name: Name of the city in English.
        closest: Finds names that look alike, to say what may have been meant.
    """
    city = _cities().get(folded(name))
    if city is not None:
        return city
    known = city_names()
    alike = closest(word=name, possibilities=known) if closest else []
    hint = f"did you mean {' or '.join(alike)}?" if alike else f"known are {', '.join(known)}"
    raise LookupError(f"no city is called {name!r}; {hint}")


def distance(
    origin: str, destination: str, closest: Callable[..., list[str]] | None = None
) -> Distance:
    """Measure the shortest way between two cities.

    Args:
        origin: Name of the city to start from.
        destination: Name of the city to reach.
        closest: Finds names that look alike, to say what may have been meant.
    """
    start, end = find_city(origin, closest), find_city(destination, closest)
    north, south = radians(start.latitude), radians(end.latitude)
    east = radians(end.longitude - start.longitude)
    # The angle between two points by its tangent: exact for near and for opposite points alike.
    x = cos(south) * sin(east)
    y = cos(north) * sin(south) - sin(north) * cos(south) * cos(east)
    z = sin(north) * sin(south) + cos(north) * cos(south) * cos(east)
    bearing = degrees(atan2(x, y)) % 360
    kilometres = round(EARTH_RADIUS_KM * atan2(hypot(x, y), z))
    return Distance(kilometres, COMPASS[round(bearing / 45) % 8] if kilometres else None)


def city_names() -> list[str]:
    """Names of all cities that are known."""
    return [city.name for city in _cities().values()]


def card(name: str) -> str:
    """Where a city lies, in a few lines of Markdown."""
    city = find_city(name)
    return (
        f"# {city.name}\n\n"
        f"- Country: {city.country}\n"
        f"- Position: {abs(city.latitude):.3f}° {'N' if city.latitude >= 0 else 'S'}, "
        f"{abs(city.longitude):.3f}° {'E' if city.longitude >= 0 else 'W'}\n"
        f"- Time zone: {city.zone}\n"
    )


def folded(name: str) -> str:
    """Return the name as it is compared: without case, accents and spaces around it."""
    letters = unicodedata.normalize("NFKD", name.strip().casefold().replace("ø", "o"))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


@cache
def _cities() -> Mapping[str, City]:
    with files("trip").joinpath("cities.csv").open(encoding="utf-8") as lines:
        return {
            folded(row["name"]): City(
                name=row["name"],
                country=row["country"],
                latitude=float(row["latitude"]),
                longitude=float(row["longitude"]),
                zone=row["zone"],
            )
            for row in csv.DictReader(lines)
        }
