"""Stock in an SQLite database: a plain class with a constructor, and what opens and closes it."""

import sqlite3
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class Stock:
    """How many of each thing there are."""

    def __init__(self, path: str = "", largest: int = 1000) -> None:
        """Say where the database is (in memory if there is no path) and how many it may hold."""
        self.path = path or ":memory:"
        self.largest = largest
        # Sync methods run in worker threads, so the connection is used by one of them at a time.
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Connect, and make the table if there is none."""
        self._connection = sqlite3.connect(self.path, check_same_thread=False)
        with self._connection:
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS stock (thing TEXT PRIMARY KEY, amount INTEGER NOT NULL)"
            )

    def close(self) -> None:
        """Disconnect."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def put(self, thing: str, amount: int = 1) -> int:
        """Put things on the shelf and return how many there are now."""
        return self._change(thing, amount)

    def take(self, thing: str, amount: int = 1) -> int:
        """Take things off the shelf and return how many are left."""
        return self._change(thing, -amount)

    def count(self, thing: str) -> int:
        """Return how many of a thing there are."""
        return self.shelves().get(thing, 0)

    def shelves(self) -> dict[str, int]:
        """Everything there is, by name."""
        with self._lock, self._open() as connection:
            return dict(connection.execute("SELECT thing, amount FROM stock ORDER BY thing"))

    def _change(self, thing: str, by: int) -> int:
        with self._lock, self._open() as connection:
            found = connection.execute("SELECT amount FROM stock WHERE thing = ?", (thing,))
            (there,) = found.fetchone() or (0,)
            if not 0 <= there + by <= self.largest:
                raise ValueError(f"there are {there}; the shelf holds 0 to {self.largest}")
            connection.execute("REPLACE INTO stock VALUES (?, ?)", (thing, there + by))
            return there + by

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise RuntimeError("the stock is closed")
        return self._connection


@asynccontextmanager
async def opened(stock: Stock) -> AsyncGenerator[None, None]:
    """Keep the database open while the agent serves."""
    stock.open()
    try:
        yield
    finally:
        stock.close()
