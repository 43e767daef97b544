"""What the cloud remembers: records in memory, written through to one SQLite file.

Reads cost a dictionary look-up. Writes are collected by a transaction and reach the file before the transaction ends,
so that nothing that was answered is lost by a `kill -9`; a transaction that raises leaves neither memory nor file
changed.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from pydantic import TypeAdapter


@dataclass(frozen=True, kw_only=True)
class Record:
    """Something the cloud holds. Records are values: to change one, put its replacement."""

    id: str


R = TypeVar("R", bound=Record)
Change = tuple["Table[Any]", str, Record | None]


class Table(Generic[R]):
    """All records of one kind, in the order in which they were made."""

    def __init__(self, kind: type[R], journal: list[Change]) -> None:
        self.name = kind.__name__
        self.adapter: TypeAdapter[R] = TypeAdapter(kind)
        self.records: dict[str, R] = {}
        self._journal = journal

    def __iter__(self) -> Iterator[R]:
        return iter(list(self.records.values()))

    def __len__(self) -> int:
        return len(self.records)

    def get(self, record_id: str) -> R | None:
        return self.records.get(record_id)

    def where(self, **equal: object) -> list[R]:
        """The records whose attributes equal all that is given."""
        names, wanted = tuple(equal), tuple(equal.values())
        if len(names) == 1:
            read, value = attrgetter(names[0]), wanted[0]
            return [record for record in self.records.values() if read(record) == value]
        read_all = attrgetter(*names)
        return [record for record in self.records.values() if read_all(record) == wanted]

    def put(self, record: R) -> R:
        self._journal.append((self, record.id, self.records.get(record.id)))
        self.records[record.id] = record
        return record

    def drop(self, record_id: str) -> None:
        previous = self.records.pop(record_id, None)
        if previous is not None:
            self._journal.append((self, record_id, previous))

    def restore(self, record_id: str, previous: R | None) -> None:
        if previous is None:
            self.records.pop(record_id, None)
        else:
            self.records[record_id] = previous


class Store:
    """The tables and the file behind them. One transaction runs at a time."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        self._lock = threading.RLock()
        self._journal: list[Change] = []
        self._tables: dict[type[Record], Table[Any]] = {}
        self._file = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._file.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute("PRAGMA synchronous = NORMAL")
        self._file.execute(
            "CREATE TABLE IF NOT EXISTS record (position INTEGER PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL,"
            " body TEXT NOT NULL, UNIQUE (kind, id))"
        )

    def table(self, kind: type[R]) -> Table[R]:
        known = self._tables.get(kind)
        if known is None:
            with self._lock:
                known = self._tables.get(kind) or self._load(kind)
        return cast(Table[R], known)

    def _load(self, kind: type[R]) -> Table[R]:
        table = Table(kind, self._journal)
        rows = self._file.execute("SELECT id, body FROM record WHERE kind = ? ORDER BY position", (table.name,))
        table.records = {record_id: table.adapter.validate_json(body) for record_id, body in rows}
        self._tables[kind] = table
        return table

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is put and dropped inside is kept together, or not at all when the block raises."""
        with self._lock:
            try:
                yield
                self._write()
            except BaseException:
                for table, record_id, previous in reversed(self._journal):
                    table.restore(record_id, previous)
                raise
            finally:
                self._journal.clear()

    def _write(self) -> None:
        changed = {(table, record_id): None for table, record_id, _ in self._journal}
        if not changed:
            return
        self._file.execute("BEGIN IMMEDIATE")
        try:
            for table, record_id in changed:
                record = table.get(record_id)
                if record is None:
                    self._file.execute("DELETE FROM record WHERE kind = ? AND id = ?", (table.name, record_id))
                else:
                    self._file.execute(
                        "INSERT INTO record (kind, id, body) VALUES (?, ?, ?)"
                        " ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
                        (table.name, record_id, table.adapter.dump_json(record).decode()),
                    )
            self._file.execute("COMMIT")
        except BaseException:
            self._file.execute("ROLLBACK")
            raise

    def close(self) -> None:
        with self._lock:
            self._file.close()
