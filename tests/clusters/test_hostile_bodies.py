"""Whatever is sent, the answer is a 4xx that names what is wrong; never a 500, and nothing is left behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.clusters.bodies import EXAMPLE, changed
from tests.clusters.conftest import traces

POSTS = ["/api/clusters", "/api/clusters/a.b/apply"]


@pytest.fixture(autouse=True)
def nothing_is_left(hub: APIFlask) -> Iterator[None]:
    """No row and no folder comes of any of it."""
    yield
    assert traces(hub) == (0, 0, 0, 0)


def send(client: FlaskClient, content: bytes, path: str = "/api/clusters", method: str = "POST") -> tuple[int, Any]:
    """The answer to a body that calls itself JSON; always a problem document."""
    answer = client.open(path, method=method, data=content, content_type="application/json")
    document = answer.get_json()
    assert answer.mimetype == "application/problem+json"
    assert document["status"] == answer.status_code < 500 or answer.status_code == 502
    return answer.status_code, document


NO_JSON = [
    b"", b" ", b"{", b"}", b"{]", b"{'a': 1}", b"{a: 1}", b'{"a": 1,}', b'{"a" 1}', b"{} {}", b"nil", b"\x00",
    b"\xff\xfe",
    b'{"a": "\xff"}', b'{"a": "\n"}', b'{"a": 01}', b"\xef\xbb\xbf{}", b'{"a": ' + b"[" * 100_000, b"[" * 100_000,
    '{"a": 1}'.encode("utf-16"), b"<xml/>", b"a=1&b=2", b"/* */ {}",
]  # fmt: skip


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("content", NO_JSON, ids=range(len(NO_JSON)))
def test_a_body_that_is_no_json_is_400(hub_client: FlaskClient, content: bytes, path: str) -> None:
    status, document = send(hub_client, content, path)
    assert status == 400
    assert document["type"].endswith("/not-json")


@pytest.mark.parametrize("content", [b'{"nb_users": NaN}', b'{"a": Infinity}', b'{"a": -Infinity}', b"NaN"])
def test_numbers_that_json_does_not_have_are_400(hub_client: FlaskClient, content: bytes) -> None:
    assert send(hub_client, content)[0] == 400


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("content", [b"[]", b"[{}]", b"null", b"true", b"0", b"1.5", b'"text"', b'""'])
def test_json_that_is_no_object_is_422(hub_client: FlaskClient, content: bytes, path: str) -> None:
    status, document = send(hub_client, content, path)
    assert (status, document["errors"]) == (422, [{"field": "", "message": "must be an object"}])


@pytest.mark.parametrize("content", [b"{}", b"[]", b"x"])
def test_put_reads_its_body_as_strictly(hub_client: FlaskClient, content: bytes) -> None:
    assert send(hub_client, content, "/api/clusters/a.b", "PUT")[0] in (400, 422)


def test_a_key_that_stands_twice_is_refused_by_name(hub_client: FlaskClient) -> None:
    content = json.dumps(EXAMPLE).replace('"nb_users"', '"nb_users": 5, "nb_users"').encode()
    status, document = send(hub_client, content)
    assert (status, [error["field"] for error in document["errors"]]) == (422, ["nb_users"])


UNICODE = ["\\ud800", "\\udfff x", "x\\udc00\\ud800", "\\u0000"]


@pytest.mark.parametrize("text", UNICODE)
@pytest.mark.parametrize("field", ["cluster_name", "image", "guest_passwd", "hieradata", "sudoer_username"])
def test_half_characters_and_nuls_are_refused(hub_client: FlaskClient, field: str, text: str) -> None:
    content = json.dumps(changed(f"parameters.{field}", "PLACE")).replace("PLACE", text).encode()
    status, document = send(hub_client, content)
    assert status == 422
    assert document["errors"]


def test_half_characters_in_keys_are_refused(hub_client: FlaskClient) -> None:
    for text in UNICODE:
        content = json.dumps(changed("parameters.instances", {"PLACE": {"type": "x", "tags": ["x"]}}))
        status, document = send(hub_client, content.replace("PLACE", text).encode())
        assert status == 422
        assert document["errors"]


def test_nesting_that_a_parser_survives_is_refused_as_well(hub_client: FlaskClient) -> None:
    for depth in (50, 150, 300, 900):
        content = b'{"parameters": ' + b'{"a": ' * depth + b"1" + b"}" * depth + b"}"
        status, document = send(hub_client, content)
        assert status == 422
        assert document["errors"]


DEEP = [
    b'{"a": ' * 5000 + b"1" + b"}" * 5000, b'{"parameters": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    b'{"]": ' * 5000 + b'"}\\"{"' + b"}" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("content", DEEP, ids=range(len(DEEP)))
def test_nesting_that_no_parser_survives_is_refused_with_errors(
    hub_client: FlaskClient, content: bytes, path: str
) -> None:
    status, document = send(hub_client, content, path)
    assert (status, document["errors"]) == (422, [{"field": "", "message": "is nested too deeply"}])


@pytest.mark.parametrize(
    "content", [b'{"a": ' * 5000, b'{"a": ' * 5000 + b"1" + b"]" * 5000, b"[" * 5000 + b"]" * 4999]
)
def test_deep_nesting_that_is_not_closed_is_no_json(hub_client: FlaskClient, content: bytes) -> None:
    assert send(hub_client, content)[0] == 400


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("digits", [b"9" * 301, b"9" * 5000, b"-" + b"9" * 100_000])
def test_numbers_of_too_many_digits_are_refused_with_errors(hub_client: FlaskClient, digits: bytes, path: str) -> None:
    status, document = send(hub_client, b'{"parameters": {"nb_users": ' + digits + b"}}", path)
    assert (status, len(document["errors"])) == (422, 1)
    assert len(document["errors"][0]["message"]) < 100


@pytest.mark.parametrize("digits", [19, 20, 100, 300])
def test_numbers_that_python_reads_are_refused_at_their_field(hub_client: FlaskClient, digits: int) -> None:
    status, document = send(hub_client, json.dumps(changed("parameters.nb_users", int("9" * digits))).encode())
    assert (status, [error["field"] for error in document["errors"]]) == (422, ["parameters.nb_users"])


HOSTILE = [
    "../../etc/passwd", "..", "/etc/passwd", "a/../../b", "%2e%2e%2f", "<script>alert(1)</script>",
    "'; DROP TABLE x;--",
    "${file(\"/etc/passwd\")}", "%{ if true }", "{{ 7*7 }}", "{% raw %}", "$(reboot)", "`reboot`", "-rf", "\u202eevil",
    "\U0001f4a9", "a" * 100_000, "con", "a\u0000b", "\ufeffab", "\u0430\u0431",
]  # fmt: skip
NAMES = ["cluster_name", "domain", "sudoer_username"]


@pytest.mark.parametrize("field", NAMES)
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_tricks_in_names_are_refused_at_their_field(hub_client: FlaskClient, field: str, text: str) -> None:
    if (field, text) not in [("cluster_name", "con"), ("domain", "con"), ("sudoer_username", "con")]:
        status, document = send(hub_client, json.dumps(changed(f"parameters.{field}", text)).encode())
        assert status == 422
        assert [error["field"] for error in document["errors"]] == [f"parameters.{field}"]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_tricks_as_prefixes_tags_and_volume_names_are_refused(hub_client: FlaskClient, text: str) -> None:
    group = {"type": "p2-3gb", "tags": ["x"]}
    for path, value in [
        ("parameters.instances", {text: group}),
        ("parameters.instances.node.tags", [text]),
        ("parameters.volumes", {"nfs": {text: {"size": 1}}}),
        ("parameters.volumes", {text: {"home": {"size": 1}}}),
    ]:
        status, document = send(hub_client, json.dumps(changed(path, value)).encode())
        assert (status, bool(document.get("errors"))) == (422, True) or (text == "con" and status == 502)


PATHS = ["/api/clusters/{}", "/api/clusters/{}/status", "/api/clusters/{}/plan", "/api/clusters/{}/nodes/{}/console"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("text", [*HOSTILE[:-5], "%00", "%ff", "%0d%0a", "a" * 5000, "?", "#", "*", "'", '"', "\\"])
def test_tricks_in_the_path_are_just_names_of_nothing(hub_client: FlaskClient, path: str, text: str) -> None:
    for method in ("GET", "DELETE", "HEAD"):
        assert hub_client.open(path.format(text, text), method=method).status_code in (301, 302, 308, 404, 405, 422)


QUERIES = [
    *(
        "",
        "-1",
        "0",
        "x",
        "1e3",
        "1.5",
        "9" * 30,
        "9" * 5000,
        "\u0661",
        "\x00",
        "NaN",
        "0x10",
        "--1",
        "%",
        "_",
        "\ud7ff",
    ),
]


@pytest.mark.parametrize("value", QUERIES, ids=range(len(QUERIES)))
@pytest.mark.parametrize("name", ["page", "per_page", "sort", "q", "status", "project"])
def test_any_query_of_the_list_is_answered_or_refused(hub_client: FlaskClient, name: str, value: str) -> None:
    answer = hub_client.get("/api/clusters", query_string={name: value})
    assert answer.status_code in (200, 422)
    if answer.status_code == 422:
        assert [error["field"] for error in answer.get_json()["errors"]] == [name]


def test_the_page_of_clusters_survives_any_query(hub_client: FlaskClient) -> None:
    for value in QUERIES:
        assert hub_client.get("/", query_string={"page": value, "list": ""}).status_code in (200, 422)


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20)
)
junk = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)


def places(value: Any, path: str = "") -> list[str]:
    """The paths of everything in a body."""
    found = [path] if path else []
    if isinstance(value, dict):
        found += [each for key, inner in value.items() for each in places(inner, f"{path}.{key}".lstrip("."))]
    if isinstance(value, list):
        found += [each for index, inner in enumerate(value) for each in places(inner, f"{path}.{index}")]
    return found


FUZZ = settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@given(where=st.lists(st.tuples(st.sampled_from(places(EXAMPLE)), junk), min_size=1, max_size=3))
@FUZZ
def test_junk_anywhere_in_a_right_body(hub_client: FlaskClient, where: list[tuple[str, Any]]) -> None:
    body = changed()
    for path, value in sorted(where, key=lambda each: -each[0].count(".")):
        body = changed(path, value, body)
    status, document = send(hub_client, json.dumps(body).encode())
    # What happens to be right ends at the cloud that this hub does not have.
    assert status == 502 or (status == 422 and document["errors"])


@given(body=junk)
@FUZZ
def test_junk_instead_of_a_body(hub_client: FlaskClient, body: Any) -> None:
    for path in POSTS:
        status, document = send(hub_client, json.dumps(body).encode(), path)
        assert (status, bool(document["errors"])) == (422, True)


@given(content=st.binary(max_size=60))
@FUZZ
def test_any_bytes(hub_client: FlaskClient, content: bytes) -> None:
    assert send(hub_client, content)[0] in (400, 422)
