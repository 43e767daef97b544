"""Figures, verdicts and the page that is made of them."""

from __future__ import annotations

from tests.bench import report
from tests.bench.figures import Figure, Verdict, percentile
from tests.bench.report import Chapter

QUICK = Figure("Answer", 12.34, "ms", at_most=50, original="319 ms")
SLOW = Figure("Answers", 900, "/s", at_least=1200, note="counted by the client")
BARE = Figure("Bare", 0.5, "s")


def test_a_figure_at_its_goal_meets_it() -> None:
    assert Figure("", 50, at_most=50).verdict is Verdict.MET
    assert Figure("", 1200, at_least=1200).verdict is Verdict.MET


def test_a_figure_beyond_its_goal_misses_it() -> None:
    assert Figure("", 50.1, at_most=50).verdict is Verdict.MISSED
    assert SLOW.verdict is Verdict.MISSED


def test_a_figure_that_could_not_be_measured_misses_its_goal() -> None:
    assert Figure("", float("nan"), at_most=50).verdict is Verdict.MISSED
    assert Figure("", float("nan"), at_most=50).measured == "none"


def test_a_figure_without_a_goal_has_no_verdict() -> None:
    assert BARE.verdict is Verdict.NONE
    assert BARE.goal == ""


def test_the_95th_of_a_hundred_is_the_95th_percentile() -> None:
    assert percentile(range(100, 0, -1), 0.95) == 95
    assert percentile([7.0], 0.95) == 7.0


def test_only_figures_beyond_their_goal_are_named_as_missed() -> None:
    assert report.missed([Chapter("", "", [QUICK, SLOW, BARE])]) == [SLOW]


def test_the_page_tells_machine_method_goal_figure_verdict_and_the_originals() -> None:
    page = report.page({"Memory": "4.0 GiB"}, [Chapter("Status", "Asked often.", [QUICK, SLOW])])
    assert "- Memory: 4.0 GiB\n" in page
    assert "## Status\n\nAsked often.\n" in page
    assert "| Answer | <= 50 ms | 12.3 ms | met | [319 ms] |\n" in page
    assert "| Answers | >= 1,200 /s | 900 /s | MISSED |  |\n" in page
    assert "- Answers: counted by the client\n" in page
