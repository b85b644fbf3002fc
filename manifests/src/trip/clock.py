"""The time of day around the world."""

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


@dataclass(frozen=True)
class LocalTime:
    """A moment as clocks in a time zone show it."""

    time: datetime
    zone: str
    abbreviation: str
    utc_offset_hours: float
    weekday: str


def local_time(zone: str, at: datetime | None = None) -> LocalTime:
    """Tell what clocks show in a time zone, now or at a given moment.

    Args:
        zone: Name of the time zone, such as Europe/Oslo.
        at: The moment; without an offset it is taken as UTC. Now, if left out.
    """
    try:
        place = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise LookupError(f"no time zone is called {zone!r}; write it like Europe/Oslo") from None
    moment = at or datetime.now(UTC)  # noqa: TID251  (this module has no clock but the machine's)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    time = moment.astimezone(place)
    offset = time.utcoffset()
    return LocalTime(
        time=time,
        zone=zone,
        abbreviation=time.tzname() or zone,
        utc_offset_hours=offset.total_seconds() / 3600 if offset else 0.0,
        weekday=f"{time:%A}",
    )
