"""Hieradata: empty, or one YAML mapping of at most 512 KiB and 10,000 nodes; nothing else, however it is written."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.clusters.hieradata import MAX_BYTES, MAX_DEPTH, MAX_NODES, HieradataError, check_hieradata

RIGHT = [
    "", "  \n", "---", "---\n", "# nothing but words\n", "null", "a: 1", "---\na: 1\n...", "{}",
    "{a: {b: [1, 2, {c: d}]}}",
    "profile::base: '%{lookup(1)}'", "a: ${file(1)}", "a: &x [1]\nb: *x", "a: &x {k: 1}\nb:\n  <<: *x\n  c: 2",
    "é: ü", "a: 2001-01-01", "a: 1e3", "a: |\n  text\n  text", "a: !!str 5", "a: 'x\\u2028y'", "1: 2",
]  # fmt: skip
WRONG = [
    "text", "- a", "[1]", "5", "true", "'quoted'", "a: [", "a: {", "a: b: c", "\ta: 1", "a: 1\n---\nb: 2", "a: 'x", "%",
    "a: *nowhere", "a: &x [*x]", "&x a: *x\n*x : [", "a: !!python/object/apply:os.system ['true']", "!!python/none ",
    "a: !!python/name:os.system", "a: !ruby/object:Gem {}", "a: !mine 1", "a: !!int x", "a: !!int ''",
    "a: !!bool maybe", "? [a, b]\n: c",
    "a: !!timestamp soon", "a: 2001-99-99", "a: !!float x", "a: !!omap 5", "a: !!set [1]",
    "{[a]: {b}}: c", "a: 1\x00", "a: \x1b", "a: \ufffe", "? {a: b}\n: c", "<<: 5", "a: " + "9" * 5000, "!!map [1]",
    "a: 99:99:99:x:", "a: !!null x: y", "!!str {a: b}",
]  # fmt: skip


@pytest.mark.parametrize("source", RIGHT)
def test_nothing_or_a_mapping_passes(source: str) -> None:
    check_hieradata(source)


@pytest.mark.parametrize("source", WRONG)
def test_all_else_is_refused_in_words(source: str) -> None:
    with pytest.raises(HieradataError) as refused:
        check_hieradata(source)
    assert len(str(refused.value)) > 10
    assert "\n" not in str(refused.value)


def test_the_place_of_a_mistake_is_named() -> None:
    with pytest.raises(HieradataError, match=r"line 3, column 4"):
        check_hieradata("a: 1\nb: 2\nc: ]\n")


def padded(size: int) -> str:
    """A mapping of exactly so many bytes."""
    return "a: 1\n#" + "x" * (size - 6)


def test_512_kib_pass_and_one_byte_more_does_not() -> None:
    check_hieradata(padded(MAX_BYTES))
    with pytest.raises(HieradataError, match="512 KiB"):
        check_hieradata(padded(MAX_BYTES + 1))
    with pytest.raises(HieradataError, match="512 KiB"):
        check_hieradata("a: " + "é" * (MAX_BYTES // 2))


def test_ten_thousand_nodes_pass_and_one_more_does_not() -> None:
    def listing(items: int) -> str:
        return "a:\n" + "- 1\n" * items

    check_hieradata(listing(MAX_NODES - 3))  # besides the items: the mapping, its key, the list
    with pytest.raises(HieradataError, match="10,000 nodes"):
        check_hieradata(listing(MAX_NODES - 2))


LAUGHS = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 40))
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 40))
KEYS = "? &k [" + "1, " * 500 + "1]\n: 1\n" + "".join(f"x{i}: [*k, *k, *k]\n" for i in range(100))


@pytest.mark.parametrize("bomb", [LAUGHS, MERGES, KEYS], ids=["billion laughs", "merges", "aliased key"])
def test_a_bomb_of_aliases_is_counted_and_never_built(bomb: str) -> None:
    began = time.monotonic()
    with pytest.raises(HieradataError, match="10,000 nodes"):
        check_hieradata(bomb)
    assert time.monotonic() - began < 1


SLOW = {
    "deep lists": "a: " + "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
    "very deep lists": "a: " + "[" * 200_000,
    "very deep maps": "{a: " * 100_000,
    "deep blocks": "".join(f"{' ' * i}a:\n" for i in range(700)),
    "a number in base 60": "a: 1" + ":1" * 240_000,
    "a fraction in base 60": "a: 1" + ":1" * 240_000 + ".5",
    "a long number": "a: " + "1" * 500_000,
    "a long hexadecimal number": "a: 0x" + "f" * 500_000 + "\n- b",
    "a long binary number": "a: 0b" + "1" * 500_000 + "\n- b",
}


@pytest.mark.parametrize("source", SLOW.values(), ids=SLOW)
def test_what_would_take_long_is_refused_soon(source: str) -> None:
    began = time.monotonic()
    with pytest.raises(HieradataError):
        check_hieradata(source)
    assert time.monotonic() - began < 1


def test_a_long_text_of_digits_is_no_number() -> None:
    check_hieradata("a: '" + "1" * 5000 + "'\nb: |\n  " + "1:" * 5000)
    check_hieradata("a: 1" + ":1" * 300)


def test_many_keys_of_one_mapping_are_no_trouble() -> None:
    began = time.monotonic()
    check_hieradata("".join(f"k{i}: v\n" for i in range(MAX_NODES // 2 - 1)))
    assert time.monotonic() - began < 1


@given(
    st.text(alphabet=st.characters(codec=None), max_size=60) | st.text("a:-[]{}&*!|>'\"#%@`,?\n \t1<=~", max_size=60)
)
@settings(max_examples=400, deadline=None, derandomize=True)
def test_any_text_is_accepted_or_refused_and_nothing_else_happens(source: str) -> None:
    with suppress(HieradataError):
        check_hieradata(source)
