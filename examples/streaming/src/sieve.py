"""Prime numbers and factors, one after the other."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from math import isqrt


def primes(limit: int) -> Iterator[int]:
    """Find the prime numbers up to a limit."""
    is_prime = bytearray([1]) * (limit + 1)
    for number in range(2, limit + 1):
        if is_prime[number]:
            multiples = range(number * number, limit + 1, number)
            is_prime[number * number :: number] = bytes(len(multiples))
            yield number


async def factorise(
    numbers: list[int], primes: Callable[..., Awaitable[list[int]]]
) -> AsyncIterator[str]:
    """Write each number as a product of primes."""
    for number in numbers:
        rest, found = number, list[int]()
        for prime in await primes(limit=isqrt(number)):
            while rest % prime == 0:
                found.append(prime)
                rest //= prime
        factors = [*found, rest] if rest > 1 else found
        yield f"{number} = {' * '.join(map(str, factors))}"
