"""Puppet's hieradata as a person types it: empty, or one YAML mapping of a bearable size."""

from __future__ import annotations

import re
from dataclasses import dataclass

import yaml

MAX_BYTES = 512 * 1024
MAX_NODES = 10_000
MAX_DEPTH = 100
MAX_DIGITS = 1_000
_NUMBER = re.compile(r"[-+]?[0-9][0-9_:.]*")
# libyaml's parser where PyYAML was built with it: ten times faster than the one in Python.
_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class HieradataError(ValueError):
    """The text is refused; the message says where and why."""


@dataclass
class _Open:
    """A collection that is being read: its anchor, and how many nodes it has so far."""

    anchor: str | None
    nodes: int = 1


def check_hieradata(source: str) -> None:
    """Accept nothing, or a YAML mapping of at most 512 KiB and 10,000 nodes once aliases are expanded.

    The size is counted over the parser's events, so that a "billion laughs" costs nothing.

    Raises:
        HieradataError: it is none of these.
    """
    if len(source.encode(errors="surrogatepass")) > MAX_BYTES:
        raise HieradataError("hieradata is larger than 512 KiB.")
    if not source.strip() or source.strip() == "---":
        return
    try:
        _count_nodes(source)
        content = yaml.load(source, Loader=_Loader)  # noqa: S506 - it is a safe loader
    except yaml.MarkedYAMLError as error:
        place = (
            f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: "
            if error.problem_mark
            else ""
        )
        raise HieradataError(f"not valid YAML: {place}{error.problem or error.context or 'cannot be read'}.") from error
    except HieradataError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise HieradataError(f"not valid YAML: {str(error).splitlines()[0]}.") from error
    except (ArithmeticError, AttributeError, LookupError) as error:
        # What PyYAML's constructors raise where a text does not fit its tag, as in “!!bool maybe”.
        raise HieradataError("not valid YAML: a value does not fit its type.") from error
    if content is not None and not isinstance(content, dict):
        raise HieradataError("hieradata must be a YAML mapping, such as “key: value”.")


def _refuse_endless_number(scalar: yaml.ScalarEvent) -> None:
    """Numbers in base 60 (YAML 1.1: "1:30") take quadratic time: 20 s for 512 KiB."""
    is_text = scalar.style and scalar.tag is None
    if len(scalar.value) > MAX_DIGITS and not is_text and _NUMBER.fullmatch(scalar.value):
        raise HieradataError(f"a number has more than {MAX_DIGITS:,} digits; put it in quotes if it is text.")


def _count_nodes(source: str) -> None:
    total = 0
    sizes: dict[str, int] = {}
    stack: list[_Open] = []
    for event in yaml.parse(source, Loader=_Loader):
        nodes = 0
        if isinstance(event, yaml.ScalarEvent):
            nodes = 1
            _refuse_endless_number(event)
            if event.anchor:
                sizes[event.anchor] = 1
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise HieradataError(f"the alias *{event.anchor} stands inside what it names, or names nothing.")
            nodes = sizes[event.anchor]
        elif isinstance(event, yaml.CollectionStartEvent):
            sizes.pop(event.anchor or "", None)
            stack.append(_Open(event.anchor))
            if len(stack) > MAX_DEPTH:
                raise HieradataError(f"hieradata is nested more than {MAX_DEPTH} levels deep.")
        elif isinstance(event, yaml.CollectionEndEvent):
            closed = stack.pop()
            nodes = closed.nodes
            if closed.anchor:
                sizes[closed.anchor] = nodes
        if stack:
            stack[-1].nodes += nodes
        else:
            total += nodes
        if max(total, stack[-1].nodes if stack else 0) > MAX_NODES:
            raise HieradataError("hieradata has more than 10,000 nodes once its aliases are expanded.")
