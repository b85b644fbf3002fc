"""A notebook in an SQLite file, or in memory: a class that is opened and closed around its use."""

import sqlite3
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Note:
    """A note as it was written down."""

    number: int
    title: str
    text: str


class Notebook:
    """Notes under numbers that are never used twice."""

    def __init__(self, path: str = "", limit: int = 1000) -> None:
        self._path = path or ":memory:"
        self._limit = limit
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open the file; it is made if it does not exist."""
        # Calls come from several threads; the lock lets them in one at a time.
        self._connection = sqlite3.connect(self._path, check_same_thread=False)
        with self._connection:
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS notes (number INTEGER PRIMARY KEY AUTOINCREMENT, "
                "title TEXT NOT NULL, text TEXT NOT NULL)"
            )

    def close(self) -> None:
        """Close the file; notes that were only in memory are gone."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def add(self, title: str, text: str = "") -> int:
        """Write a note down and return its number."""
        with self._lock, self._opened() as notes:
            (count,) = notes.execute("SELECT count(*) FROM notes").fetchone()
            if count >= self._limit:
                raise ValueError(f"the notebook is full: it holds {self._limit} notes")
            row = notes.execute("INSERT INTO notes (title, text) VALUES (?, ?)", (title, text))
            return row.lastrowid or 0

    def find(self, words: str = "") -> list[Note]:
        """Return the notes that contain all the words, newest first; all notes for no words."""
        with self._lock, self._opened() as notes:
            rows = notes.execute("SELECT number, title, text FROM notes ORDER BY number DESC")
            found = [Note(*row) for row in rows]
        wanted = words.casefold().split()
        return [
            note
            for note in found
            if all(word in f"{note.title} {note.text}".casefold() for word in wanted)
        ]

    def remove(self, number: int) -> bool:
        """Tear a note out; the answer is whether it was there."""
        with self._lock, self._opened() as notes:
            return notes.execute("DELETE FROM notes WHERE number = ?", (number,)).rowcount == 1

    def page(self, number: int) -> str:
        """One note as Markdown."""
        for note in self.find():
            if note.number == number:
                return f"# {note.title}\n\n{note.text}\n"
        raise LookupError(f"there is no note {number}")

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise RuntimeError("the notebook is closed")
        return self._connection


@asynccontextmanager
async def opened(notebook: Notebook) -> AsyncGenerator[None, None]:
    """Keep the notebook open while the agent serves."""
    notebook.open()
    try:
        yield
    finally:
        notebook.close()
