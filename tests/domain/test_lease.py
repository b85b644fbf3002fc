from datetime import UTC, datetime

import pytest

from meshd.domain.lease import Lease, Moment, lease_seconds
from meshd.errors import StaleIncarnation


def lease(incarnation: int = 0) -> Lease:
    return Lease.granted("a-1", 100.0, seconds=16.0, incarnation=incarnation)


def test_a_lease_lasts_three_intervals_and_one_second() -> None:
    assert (lease_seconds(), lease_seconds(2.0)) == (16.0, 7.0)


@pytest.mark.parametrize(("now", "expired"), [(100.0, False), (115.999, False), (116.0, True)])
def test_a_lease_ends_at_its_deadline(now: float, expired: bool) -> None:
    assert lease().is_expired(now) is expired


def test_a_renewed_lease_counts_from_the_renewal() -> None:
    assert lease().renewed(110.0).expires_at == 126.0


def test_a_renewal_never_brings_the_deadline_nearer() -> None:
    assert lease().extended(30.0).renewed(101.0).expires_at == 146.0


def test_a_stale_incarnation_is_refused_and_an_equal_or_newer_one_is_not() -> None:
    with pytest.raises(StaleIncarnation) as caught:
        lease(5).require(4)

    assert (caught.value.instance, caught.value.incarnation, caught.value.current) == ("a-1", 4, 5)
    assert str(caught.value) == "incarnation 4 of `a-1` is stale: 5 is registered"
    for current in (5, 6):
        lease(5).require(current)


def test_a_moment_is_a_value() -> None:
    wall = datetime(2026, 1, 1, tzinfo=UTC)
    assert Moment(1.0, wall) == Moment(1.0, wall)
