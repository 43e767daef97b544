"""Serving an operation's log: by byte offset, or as server-sent events that follow it.

Promise 5 of the design: no byte is lost or shown twice.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

from flask import Response, current_app, make_response, request, stream_with_context

from app.clusters import queries
from app.clusters.masks import masker_of
from app.clusters.models import Cluster
from app.db import db
from app.errors import FieldError, Invalid, TooManyStreams
from app.lifecycle.operations import ACTIVE, Operation
from app.terraform.masking import Masker, read_masked

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
    if not given.isdigit():
        raise Invalid("The request has errors.", [FieldError("Last-Event-ID", "must be a byte offset")])
    return int(given)


def stream(cluster: Cluster, operation: Operation, offset: int) -> Response:
    """Follow the log: events whose `id` is the byte offset after them, a last event `end`.

    Raises:
        TooManyStreams: this process holds as many as it may.
    """
    slots: threading.BoundedSemaphore = current_app.extensions["log_streams"]
    if not slots.acquire(blocking=False):
        raise TooManyStreams("Too many log streams are open; ask for the log by offset instead.")
    path, masker = queries.log_path(cluster, operation), masker_of(cluster)
    events = _follow(path, operation.id, masker, offset)
    response = Response(stream_with_context(_counted(events, slots)), mimetype="text/event-stream")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _counted(events: Iterator[str], slots: threading.BoundedSemaphore) -> Iterator[str]:
    try:
        yield from events
    finally:
        slots.release()


def _follow(path: Path, operation_id: str, masker: Masker, offset: int) -> Iterator[str]:
    yield "retry: 1000\n\n"
    looked, spoke, ended = 0.0, time.monotonic(), False
    while True:
        if not ended and time.monotonic() - looked > LOOK_SECONDS:
            looked, ended = time.monotonic(), _has_ended(operation_id)
        piece = read_masked(path, offset, masker, limit=PIECE, ended=ended)
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
    lines = data.decode(errors="replace").removesuffix("\n").split("\n")
    return f"id: {offset}\n" + "".join(f"data: {line}\n" for line in lines) + "\n"
