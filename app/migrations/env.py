"""How Alembic reaches the database: through the hub's own engine."""

from __future__ import annotations

from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from flask import current_app

from app.accounts import models as accounts_models
from app.clusters import models as clusters_models
from app.db import Base, UtcDateTime
from app.lifecycle import operations, status

TABLES = (accounts_models, clusters_models, operations, status)
"""The modules whose tables are migrated; importing them is what makes their tables known."""


def render(kind: str, item: object, _context: AutogenContext) -> str | Literal[False]:
    """Migrations name the database's own types, not ours, so that they outlive changes of ours."""
    return "sa.DateTime()" if kind == "type" and isinstance(item, UtcDateTime) else False


engine = current_app.extensions["migrate"].db.engine
with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        compare_type=True,
        render_item=render,
    )
    with context.begin_transaction():
        context.run_migrations()
