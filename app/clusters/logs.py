"""Serving an operation's log: by byte offset, or as server-sent events that follow it.

Promise 5 of the design: no byte is lost or shown twice.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from flask import Response, current_app, make_response, request, stream_with_context

from app.clusters import queries
from app.clusters.masks import masker_of
from app.clusters.models import Cluster
from app.db import db
from app.errors import FieldError, Invalid, TooManyStreams
from app.lifecycle.operations import ACTIVE, Operation
from app.terraform.masking import LogSlice, Masker, read_masked

PIECE = 1024 * 1024
PAUSE_SECONDS = 0.2
KEEP_ALIVE_SECONDS = 15.0
LOOK_SECONDS = 1.0


def answer(cluster: Cluster, operation: Operation, offset: int) -> Response:
    """At most 1 MiB of masked bytes from `offset`, with `X-Log-Size` and `X-Log-Complete`."""
    ended = operation.status not in ACTIVE
    path, masker = queries.log_path(cluster, operation), masker_of(cluster)
    piece = read_masked(path, offset, masker, limit=PIECE, ended=ended)
    response = make_response(piece.data)
    response.mimetype = "text/plain"
    response.headers["X-Log-Size"] = str(piece.size)
    response.headers["X-Log-Complete"] = "true" if ended and piece.next_offset >= piece.size else "false"
    return response


def resume_offset(offset: int) -> int:
    """Where a stream goes on: after what the browser saw last (`Last-Event-ID`), else at `offset`.

    Raises:
        Invalid: the browser's last event is not a byte offset.
    """
    given = request.headers.get("Last-Event-ID")
    if not given:
        return offset
    if not re.fullmatch("[0-9]{1,18}", given):
        raise Invalid("The request has errors.", [FieldError("Last-Event-ID", "must be a byte offset")])
    return int(given)


def stream(cluster: Cluster, operation: Operation, offset: int) -> Response:
    """Follow the log: events whose `id` is the byte offset after them, a last event `end`.

    Raises:
        TooManyStreams: this process holds as many as it may.
    """
    log = _Log(queries.log_paths(cluster, operation), masker_of(cluster))
    slots: threading.BoundedSemaphore = current_app.extensions["log_streams"]
    if not slots.acquire(blocking=False):
        raise TooManyStreams("Too many log streams are open; ask for the log by offset instead.")
    response = Response(stream_with_context(_follow(log, operation.id, offset)), mimetype="text/event-stream")
    # Not at the end of the generator: one that never began (HEAD, a browser that is gone) has no end.
    response.call_on_close(slots.release)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


@dataclass(frozen=True)
class _Log:
    """A log that moves when its cluster is destroyed while somebody follows it."""

    places: Sequence[Path]
    masker: Masker

    def read(self, offset: int, *, ended: bool) -> LogSlice:
        """What follows `offset`, up to the end of a line: an event must not end within one, nor within a character."""
        piece = LogSlice(b"", offset, 0)
        for place in self.places:
            piece = read_masked(place, offset, self.masker, limit=PIECE, ended=ended)
            if piece.data:
                break
        whole = piece.data.rfind(b"\n") + 1
        if whole > 0 and piece.next_offset < piece.size:
            return LogSlice(piece.data[:whole], offset + whole, piece.size)
        return piece


def _follow(log: _Log, operation_id: str, offset: int) -> Iterator[str]:
    yield "retry: 1000\n\n"
    looked, spoke, ended = 0.0, time.monotonic(), False
    while True:
        if not ended and time.monotonic() - looked > LOOK_SECONDS:
            looked, ended = time.monotonic(), _has_ended(operation_id)
        piece = log.read(offset, ended=ended)
        if piece.data:
            offset = piece.next_offset
            spoke = time.monotonic()
            yield _event(piece.data, offset)
        elif ended:
            yield f"event: end\nid: {offset}\ndata: {offset}\n\n"
            return
        else:
            if time.monotonic() - spoke > KEEP_ALIVE_SECONDS:
                spoke = time.monotonic()
                yield ": still here\n\n"
            time.sleep(PAUSE_SECONDS)


def _has_ended(operation_id: str) -> bool:
    operation = db.session.get(Operation, operation_id, populate_existing=True)
    ended = operation is None or operation.status not in ACTIVE
    # A stream lives long; its connection goes back to the pool between two looks.
    db.session.remove()
    return ended


def _event(data: bytes, offset: int) -> str:
    # A lone carriage return ends a line of an event, too (HTML, "Interpreting an event stream").
    lines = re.split("\r\n|\r|\n", data.decode(errors="replace").removesuffix("\n"))
    return f"id: {offset}\n" + "".join(f"data: {line}\n" for line in lines) + "\n"
