"""When the sun rises and sets, from the place and the date alone."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import acos, asin, cos, degrees, radians, sin

J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)
OBLIQUITY = radians(23.4397)
HORIZON = radians(-0.833)  # the air bends light, and the sun has a radius
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class SunTimes:
    """Sunrise and sunset in UTC; both are absent where the sun stays up or down all day."""

    rises: datetime | None
    sets: datetime | None
    daylight_hours: float


def sun_times(latitude: float, longitude: float, on: date) -> SunTimes:
    """Compute sunrise and sunset, to within a minute or so between 2000 and 2100."""
    mean_noon = datetime(on.year, on.month, on.day, 12, tzinfo=UTC) - longitude / 15 * HOUR
    rises = sets = mean_noon
    half_day = 6 * HOUR
    # The sun moves on during the day, so its place is taken at the moment found so far.
    for _ in range(3):
        for moment, side in ((rises, -1), (sets, 1)):
            delay, declination = _sun(moment)
            half_day = _half_day(latitude, declination)
            if not timedelta(0) < half_day < 12 * HOUR:
                return SunTimes(None, None, daylight_hours=2 * half_day / HOUR)
            if side < 0:
                rises = mean_noon + delay - half_day
            else:
                sets = mean_noon + delay + half_day
    return SunTimes(_to_minute(rises), _to_minute(sets), round((sets - rises) / HOUR, 1))


def _sun(moment: datetime) -> tuple[timedelta, float]:
    """Return by how much the sun is late at noon, and its declination in radians."""
    day = (moment - J2000) / timedelta(days=1)
    anomaly = radians((357.5291 + 0.98560028 * day) % 360)
    centre = 1.9148 * sin(anomaly) + 0.0200 * sin(2 * anomaly) + 0.0003 * sin(3 * anomaly)
    ecliptic = radians((280.4665 + 0.98564736 * day + centre) % 360)
    delay = timedelta(days=0.0053 * sin(anomaly) - 0.0069 * sin(2 * ecliptic))
    return delay, asin(sin(ecliptic) * sin(OBLIQUITY))


def _half_day(latitude: float, declination: float) -> timedelta:
    """Return the time from sunrise to noon: none in the polar night, 12 hours if it stays up."""
    height = sin(HORIZON) - sin(radians(latitude)) * sin(declination)
    width = cos(radians(latitude)) * cos(declination)
    if abs(height) >= abs(width):
        return 12 * HOUR if height < 0 else timedelta(0)
    return degrees(acos(height / width)) / 15 * HOUR


def _to_minute(moment: datetime) -> datetime:
    return (moment + timedelta(seconds=30)).replace(second=0, microsecond=0)
