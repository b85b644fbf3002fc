"""Prices in several currencies: what each function needs of others comes in as a parameter."""

import asyncio
from collections.abc import Awaitable, Callable

GOODS = {"apple": 0.50, "book": 12.00, "lamp": 30.00}
RATES = {"EUR": 1.0, "USD": 1.25, "NOK": 11.5}  # made up


def exchange_rate(currency: str) -> float:
    """Tell what one euro is in another currency."""
    if currency not in RATES:
        raise LookupError(f"no rate for {currency}; there are {', '.join(RATES)}")
    return RATES[currency]


def price(
    thing: str,
    currency: str,
    rate: Callable[..., float],
    discount: Callable[..., float] | None = None,
) -> float:
    """Tell the price of a thing in a currency."""
    off = discount(thing=thing) if discount else 0.0
    return round(GOODS[thing] * (1 - off) * rate(currency=currency), 2)


async def price_list(
    thing: str, currencies: list[str], rate: Callable[..., Awaitable[float]]
) -> dict[str, float]:
    """Tell the price of a thing in several currencies."""
    rates = await asyncio.gather(*(rate(currency=currency) for currency in currencies))
    return {
        currency: round(GOODS[thing] * factor, 2)
        for currency, factor in zip(currencies, rates, strict=True)
    }


async def invoice(
    things: list[str], currency: str, price: Callable[..., Awaitable[float]]
) -> dict[str, float]:
    """Add up the prices of things."""
    prices = {thing: await price(thing=thing, currency=currency) for thing in things}
    return {**prices, "total": round(sum(prices.values()), 2)}
