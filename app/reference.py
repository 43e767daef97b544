"""Reference pages made from the code: `make docs` writes them, a test holds them in step."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from pydantic_core import PydanticUndefined

from app import create_app
from app.settings import ROOT, Settings

INTRODUCTION = """# Settings

Made from `app/settings.py` by `make docs`; do not edit. Each setting is an environment variable.

| variable | default | meaning |
| --- | --- | --- |
"""


def settings_page() -> str:
    """The Markdown page of all settings."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = (
            "" if field.default in (None, PydanticUndefined, ()) else str(field.default).replace(str(ROOT) + "/", "")
        )
        meaning = (field.description or "").replace("|", "\\|")
        rows.append(f"| `MCHUB_{name.upper()}` | {f'`{default}`' if default else ''} | {meaning} |\n")
    return (
        INTRODUCTION
        + "".join(rows)
        + "| `OS_*` | | The cloud: the usual variables, or `OS_CLOUD` with a clouds.yaml. |\n"
    )


def openapi_document() -> str:
    """The OpenAPI document as it stands in docs/openapi.json."""
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Settings(data=Path(folder)))
        with app.app_context():
            return json.dumps(app.spec, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
