"""What a user typed stays text: the real Terraform reads it back unchanged."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.terraform.render import RenderError, as_literal, render_main_tf, serialise
from app.terraform.templates import ClusterTemplate, load_template
from tests.terraform.conftest import Workbench
from tests.terraform.test_templates import SMALL, write

ECHO = """
{"output": {"echo": {"value": {{ parameters.cluster_name | tf }} }}}
"""


def template_of(root: Path, configuration: str) -> ClusterTemplate:
    folder = write(root)
    (folder / "main.tf.json.j2").write_text(configuration)
    return load_template(folder)


def render(root: Path, configuration: str, value: object = "x", **context: object) -> dict[str, Any]:
    template = template_of(root, configuration)
    rendered: dict[str, Any] = json.loads(render_main_tf(template, {"parameters": {"cluster_name": value}, **context}))
    return rendered


def test_the_same_input_gives_the_same_bytes_however_it_is_ordered(tmp_path: Path) -> None:
    template = template_of(tmp_path, ECHO)
    one = render_main_tf(template, {"parameters": {"cluster_name": {"a": 1, "b": [2]}}})
    two = render_main_tf(template, {"parameters": {"cluster_name": {"b": [2], "a": 1}}})
    assert one == two
    assert one.endswith(b"}\n")
    assert not one.endswith(b"\n\n")


def test_strings_keys_and_what_is_nested_are_escaped(tmp_path: Path) -> None:
    value = {"${k}": ["%{if x}", {"a": '"${file("/etc/passwd")}"\n'}], "$": "$$", "%": "100%"}
    assert render(tmp_path, ECHO, value)["output"]["echo"]["value"] == {
        "$${k}": ["%%{if x}", {"a": '"$${file("/etc/passwd")}"\n'}],
        "$": "$$",
        "%": "100%",
    }


def test_a_value_that_is_not_defined_is_named(tmp_path: Path) -> None:
    with pytest.raises(RenderError, match="colour"):
        render(tmp_path, '{"a": {{ parameters.colour | tf }} }')


def test_a_value_printed_without_the_filter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RenderError, match="without the filter `tf`"):
        render(tmp_path, '{"a": "{{ parameters.cluster_name }}"}')


@pytest.mark.parametrize(
    "code",
    [
        "{{ ''.__class__.__mro__ | tf }}",
        "{{ parameters.clear() | tf }}",
        "{{ cycler.__init__.__globals__.os | tf }}",
        "{% include '../../etc/passwd' %}",
    ],
)
def test_a_template_reaches_nothing_outside_its_sandbox(tmp_path: Path, code: str) -> None:
    with pytest.raises(RenderError):
        render(tmp_path, f'{{"a": {code} }}')


def test_what_was_typed_is_never_a_jinja_template(tmp_path: Path) -> None:
    assert render(tmp_path, ECHO, "{{ 1 + 1 }}{% raw %}")["output"]["echo"]["value"] == "{{ 1 + 1 }}{% raw %}"


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ("{% if %}", "line 1"),
        ('{"a": 1,}', "no valid JSON"),
        ("[1]", "no JSON object"),
        ('{"a": 1, "a": 2}', "key written twice: a"),
        ('{"a": NaN}', "NaN"),
    ],
)
def test_a_template_that_gives_no_configuration_says_why(tmp_path: Path, configuration: str, message: str) -> None:
    with pytest.raises(RenderError, match=message):
        render(tmp_path, configuration)


@pytest.mark.parametrize("value", [float("nan"), object(), {1: "a"}, {"é": 1, "e\u0301": 2}, b"bytes"])
def test_what_json_or_terraform_cannot_hold_is_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises(RenderError):
        render(tmp_path, ECHO, value)


def test_half_a_surrogate_pair_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RenderError, match="surrogate"):
        render(tmp_path, ECHO, "a\ud800")


@pytest.mark.parametrize("context", [{"parameters": 3}, {"parameters": {}}, {"module_version": "99"}])
def test_a_context_that_does_not_fit_the_template_is_refused(tmp_path: Path, context: dict[str, object]) -> None:
    with pytest.raises(RenderError):
        render(tmp_path, ECHO, **context)


def test_sets_are_written_in_order() -> None:
    assert as_literal({"b", "a", "c"}) == ["a", "b", "c"]


def test_the_template_knows_module_and_providers(tmp_path: Path) -> None:
    rendered = render(
        tmp_path,
        '{"m": {{ module | tf }}, "p": {{ required_providers | tf }}, "h": {{ hostname | tf }} }',
        hostname="a.b",
    )
    assert rendered["m"] == {"source": "./module", "version": "1"}
    assert rendered["p"]["openstack"]["version"] == "= 3.4.0"
    assert rendered["h"] == "a.b"
    assert "3.4.0" in SMALL


MARKERS = ["${", "%{", "$${", "%%{", "$", "%", "{", "}", "~}", '${file("/etc/passwd")}', "%{if true}", "%{endif}"]
QUOTES = ['"', "\\", "'", "`", "<<EOT", "{{", "}}", "{%", "//", "$(id)", "../", "<script>", "&", "null", "---\n"]
CHARACTERS = [
    "\n",
    "\r",
    "\t",
    "\x00",
    "\x1b",
    "\x7f",
    "\u2028",
    "\ufeff",
    "\u202e",
    "😀",
    "é",
    "e\u0301",
    "\u0301",
    "\u0600",
]
PIECES = st.sampled_from(MARKERS + QUOTES + CHARACTERS)
HOSTILE = st.lists(PIECES | st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=8).map("".join)


@given(
    st.recursive(
        HOSTILE | st.none() | st.booleans() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(HOSTILE, inner),
    )
)
def test_no_marker_of_a_terraform_template_is_left_unescaped(value: object) -> None:
    try:
        text = serialise(as_literal(value)).decode()
    except RenderError:
        return
    text = re.sub(r'"\$\{\\"(?:[\w -]|\\\\[uU])*\\"\}"', "", text)  # the one expression that rendering itself writes
    assert re.search(r"(?<!\$)\$\{|(?<!%)%\{", text) is None


@settings(
    max_examples=3,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@example(
    values=[
        "$${a}",
        "$$${a}",
        "%%{a}",
        "%%%{",
        "$${",
        "${",
        "%{",
        "$%{",
        "%${",
        "\x00",
        "",
        "\ufeff",
        "\\u0024{x}",
        '"${"',
    ],
    keys=["${a}", "%{", ""],
)
@given(values=st.lists(HOSTILE, min_size=60, max_size=150), keys=st.lists(HOSTILE, min_size=20, max_size=40))
def test_hostile_strings_are_planned_applied_and_read_back_unchanged(
    workbench: Workbench, values: list[str], keys: list[str]
) -> None:
    """The real Terraform, many strings an apply; through an output, and as keys of a map."""
    values, keys = (
        [unicodedata.normalize("NFC", text) for text in values],
        [unicodedata.normalize("NFC", text) for text in keys],
    )
    typed = {"values": values, "map": dict.fromkeys(keys, "x"), "nested": [{"k": value} for value in values[:10]]}
    root = workbench.root / f"template{workbench.operations}"
    workbench.configure(
        render_main_tf(template_of(root, ECHO), {"parameters": {"cluster_name": typed}}).decode(), "main.tf.json"
    )
    workbench.plan_and_apply()
    state = json.loads((workbench.work / "terraform.tfstate").read_bytes())
    read_back = state["outputs"]["echo"]["value"]
    assert read_back["values"] == values
    assert set(read_back["map"]) == set(keys)
    assert [each["k"] for each in read_back["nested"]] == values[:10]
