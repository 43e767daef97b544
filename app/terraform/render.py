"""Rendering ``main.tf.json``: what a user typed stays text, whatever it contains.

In Terraform's JSON syntax every string in an expression, map keys included, is a template: ``${`` and ``%{`` would be
evaluated (developer.hashicorp.com/terraform/language/syntax/json, "Expression Mapping"). Doubling their first
character makes them text again.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from jinja2 import StrictUndefined, TemplateSyntaxError, Undefined, UndefinedError
from jinja2.exceptions import SecurityError, TemplateNotFound
from jinja2.loaders import FileSystemLoader
from jinja2.sandbox import ImmutableSandboxedEnvironment

from app.terraform.templates import CONFIGURATION_FILE, ClusterTemplate, TemplateError

_MARKERS = ("${", "%{")
_BYTE_ORDER_MARK = "\ufeff"
_PLAIN = re.compile(r"[A-Za-z0-9 _-]")


class RenderError(Exception):
    """``main.tf.json`` can't be made of this template and these values."""


class _Json(str):
    """JSON text that went through the ``tf`` filter, the only thing that a template may print."""

    __slots__ = ()


def render_main_tf(template: ClusterTemplate, context: Mapping[str, object]) -> bytes:
    """The bytes of ``main.tf.json``: the same for the same input, sorted, indented, one newline at the end.

    `context` holds ``parameters`` (the module's inputs; declared defaults fill the gaps), optionally
    ``module_version``, and whatever else the template names. Raises RenderError.
    """
    try:
        values = _complete(template, context)
        environment = _environment(template.root)
        text = environment.get_template(CONFIGURATION_FILE).render(values)
    except TemplateError as error:
        raise RenderError(str(error)) from error
    except UndefinedError as error:
        raise RenderError(f"{template.name}/{CONFIGURATION_FILE}: {error.message}") from error
    except TemplateSyntaxError as error:
        raise RenderError(f"{template.name}/{CONFIGURATION_FILE}: line {error.lineno}: {error.message}") from error
    except (SecurityError, TemplateNotFound) as error:
        raise RenderError(f"{template.name}/{CONFIGURATION_FILE}: {error}") from error
    return serialise(_parse(template, text))


def serialise(document: object) -> bytes:
    """JSON bytes that are the same for the same document.

    In ASCII: Terraform's reader goes by grapheme clusters, and misses a quotation mark that joins its neighbour
    (U+0600 before it, a combining mark after it).
    """
    return (json.dumps(document, ensure_ascii=True, sort_keys=True, indent=2, allow_nan=False) + "\n").encode("ascii")


def as_literal(value: object) -> Any:
    """`value` with every string in it escaped, so that Terraform reads back the same value.

    Strings are brought to Unicode's normal form C, which is what Terraform does to every string. Raises RenderError
    for what JSON can't express, and for map keys that become the same.
    """
    if isinstance(value, Undefined):
        str(value)  # StrictUndefined raises UndefinedError with the name
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        literal = {_literal_key(key): as_literal(item) for key, item in value.items()}
        if len(literal) != len(value):
            raise RenderError("two keys of a map are the same text to Terraform")
        return literal
    if isinstance(value, list | tuple):
        return [as_literal(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(as_literal(item) for item in value)
    raise RenderError(f"a {type(value).__name__} can't be written as JSON")


def _text(value: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise RenderError("text contains half of a surrogate pair, which is no Unicode character")
    text = unicodedata.normalize("NFC", value)
    # Terraform drops a byte order mark at the beginning, and misreads $${ after a carriage return.
    misread = "\r" in text and any(marker in text for marker in _MARKERS)
    if misread or text.startswith(_BYTE_ORDER_MARK):
        return _quoted(text)
    return text.replace("${", "$${").replace("%{", "%%{")


def _quoted(text: str) -> str:
    """A template of nothing but one quoted string, in which only ASCII letters, digits and the like stand bare."""
    return '${"' + "".join(each if _PLAIN.fullmatch(each) else _code_point(each) for each in text) + '"}'


def _code_point(character: str) -> str:
    number = ord(character)
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"


def _literal_key(key: object) -> str:
    if not isinstance(key, str):
        raise RenderError(f"a map's key must be text, not {type(key).__name__}")
    return str(as_literal(key))


def _complete(template: ClusterTemplate, context: Mapping[str, object]) -> dict[str, object]:
    given = context.get("parameters", {})
    if not isinstance(given, Mapping):
        raise RenderError("parameters must be a mapping")
    version = str(context.get("module_version") or template.module.default_version)
    return {
        **context,
        "parameters": template.complete_parameters(given),
        "module": {"source": template.module.source_of(version), "version": version},
        "required_providers": template.required_providers,
    }


@cache
def _environment(root: Path) -> ImmutableSandboxedEnvironment:
    """One for each template: it keeps what it compiled, and looks whether the file changed."""
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(root),
        undefined=StrictUndefined,
        finalize=_only_filtered,
        autoescape=False,  # JSON, no HTML; `finalize` refuses whatever wasn't escaped for Terraform
    )
    environment.filters["tf"] = _tf
    return environment


def _tf(value: object) -> _Json:
    """The filter ``tf``: `value` as JSON text whose strings are text to Terraform."""
    try:
        return _Json(json.dumps(as_literal(value), ensure_ascii=False, allow_nan=False))
    except ValueError as error:
        raise RenderError("a number is infinite or not a number") from error


def _only_filtered(value: object) -> object:
    if isinstance(value, _Json):
        return value
    if isinstance(value, Undefined):
        str(value)
    raise RenderError("the template prints a value without the filter `tf`")


def _parse(template: ClusterTemplate, text: str) -> dict[str, object]:
    try:
        document = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise RenderError(
            f"{template.name}/{CONFIGURATION_FILE} gives no valid JSON: {error.msg} (line {error.lineno})"
        ) from error
    if not isinstance(document, dict):
        raise RenderError(f"{template.name}/{CONFIGURATION_FILE} gives no JSON object")
    return document


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) != len(pairs):
        names = [name for name, _ in pairs]
        raise RenderError(f"key written twice: {next(name for name in names if names.count(name) > 1)}")
    return document


def _no_constant(name: str) -> NoReturn:
    raise RenderError(f"{name} is no JSON")
