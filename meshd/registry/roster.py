"""All records, by id and by the body that was heard last; no more than there is room for."""

from collections.abc import Iterable, Iterator

from meshd.errors import RegistryFull
from meshd.registry.registered import Limits, Record


class Roster:
    """The records of a registry."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._records: dict[str, Record] = {}
        self._by_digest: dict[bytes, Record] = {}
        self._bytes = 0

    def get(self, instance: str) -> Record | None:
        """Return the record of an instance."""
        return self._records.get(instance)

    def heard(self, digest: bytes) -> Record | None:
        """Return the record of the instance whose last full heartbeat had this digest."""
        return self._by_digest.get(digest)

    def sorted(self, names: Iterable[str] | None = None) -> Iterator[Record]:
        """Yield records in the order of their ids: all, or those that are named."""
        return (self._records[name] for name in sorted(self._records if names is None else names))

    def unsorted(self) -> tuple[Record, ...]:
        """Return all records."""
        return tuple(self._records.values())

    def add(self, record: Record) -> None:
        """Add a record; that there is room was seen to before."""
        self._records[record.instance.id] = record
        self._bytes += record.size

    def remove(self, record: Record) -> None:
        """Take a record out."""
        del self._records[record.instance.id]
        self._bytes -= record.size
        self._forget_body(record)

    def remember_body(self, record: Record, digest: bytes, size: int) -> None:
        """Note what was heard last from an instance."""
        self._forget_body(record)
        self._bytes += size - record.size
        record.digest, record.size = digest, size
        self._by_digest[digest] = record

    def fits(self, held: Record | None, size: int) -> bool:
        """Say whether there is room for a registration, instead of the one that is held."""
        count = len(self._records) + (held is None)
        total = self._bytes + size - (held.size if held else 0)
        return count <= self._limits.instances and total <= self._limits.total_bytes

    def in_the_way(self, held: Record | None, size: int) -> tuple[Record, ...]:
        """Return those to forget for a registration to fit: some that are gone, longest first.

        Raises:
            RegistryFull: there is no room, whoever is forgotten.

        """
        count = len(self._records) + (held is None) - self._limits.instances
        excess = self._bytes + size - (held.size if held else 0) - self._limits.total_bytes
        chosen: list[Record] = []
        if count > 0 or excess > 0:
            gone = [each for each in self._records.values() if each.gone_since is not None]
            for record in sorted(gone, key=lambda record: record.gone_since or 0):
                if record is not held and (count > 0 or excess > 0):
                    chosen.append(record)
                    count -= 1
                    excess -= record.size
        if count > 0 or excess > 0:
            raise RegistryFull("the registry is full: it has no room for this registration")
        return tuple(chosen)

    def _forget_body(self, record: Record) -> None:
        if self._by_digest.get(record.digest) is record:
            del self._by_digest[record.digest]
