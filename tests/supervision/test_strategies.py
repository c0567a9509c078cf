"""Strategies: the teachers of every round as a table, and greedy selection by eye."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from wares.core.errors import SettingsError
from wares.supervision.strategies import STRATEGIES, GreedySelection, Strategy, Teacher, select_teachers, teachers_for

NAN, INF = math.nan, math.inf


RANKERS = ("a", "b", "c")


WEAK = ("bm25", "rm3")


@pytest.mark.parametrize(
    ("strategy", "round", "names"),
    [
        ("weak", 1, "bm25 | rm3"),
        ("weak", 2, "bm25 | rm3"),
        ("weak", 4, "bm25 | rm3"),
        ("self", 1, "bm25 | rm3"),
        ("self", 2, "b, round 1"),
        ("self", 4, "b, round 3"),
        ("cross", 1, "bm25 | rm3"),
        ("cross", 2, "a, round 1 | c, round 1"),
        ("cross", 4, "a, round 3 | c, round 3"),
        ("joint", 1, "bm25 | rm3"),
        ("joint", 2, "a, round 1 | b, round 1 | c, round 1"),
        ("joint", 4, "a, round 3 | b, round 3 | c, round 3"),
        ("greedy", 1, "bm25 | rm3"),
        ("greedy", 2, "bm25 | rm3 | a, round 1 | b, round 1 | c, round 1"),
        (
            "greedy",
            3,
            "bm25 | rm3 | a, round 1 | b, round 1 | c, round 1 | a, round 2 | b, round 2 | c, round 2",
        ),
    ],
)
def test_teachers_of_ranker_b(strategy: Strategy, round: int, names: str) -> None:
    assert " | ".join(map(str, teachers_for(strategy, round, "b", RANKERS, WEAK))) == names


@pytest.mark.parametrize("round", [1, 2, 3])
def test_cross_labeling_needs_two_rankers(round: int) -> None:
    """Said in the first round, before hours of training."""
    with pytest.raises(SettingsError, match=r"cross-labeling needs two rankers or more\. .* --strategy self"):
        teachers_for("cross", round, "a", ["a"], WEAK)


@pytest.mark.parametrize("strategy", [each for each in STRATEGIES if each != "cross"])
@pytest.mark.parametrize("round", [1, 2, 5])
def test_other_strategies_work_with_one_ranker(strategy: Strategy, round: int) -> None:
    found = teachers_for(strategy, round, "a", ["a"], ["bm25"])
    assert found
    assert len(set(found)) == len(found)
    assert all(0 <= each.round < round for each in found)


A, B, C = Teacher(0, "a"), Teacher(1, "b"), Teacher(1, "c")


def chosen(values: dict[str, float], pool: Sequence[Teacher] = (A, B, C)) -> GreedySelection:
    """Greedy by a table of mixtures, as in "ab", whatever their order; a mixture that is not in it is a KeyError."""
    return select_teachers(pool, lambda mixture: values["".join(sorted(each.name for each in mixture))])


def test_greedy_by_eye() -> None:
    """b is the best alone; with c it is better; a, who is second best alone, spoils it."""
    found = chosen({"a": 0.5, "b": 0.6, "c": 0.1, "ab": 0.62, "bc": 0.7, "abc": 0.65})
    assert found.steps == ((B, 0.6), (C, 0.7))
    assert found.selected == [B, C]
    assert found.rejected == (A, 0.65)


def test_a_tie_is_no_improvement() -> None:
    found = chosen({"a": 0.5, "b": 0.4, "c": 0.4, "ab": 0.3, "ac": 0.5})
    assert found == GreedySelection(((A, 0.5),), (C, 0.5))


def test_the_first_of_equal_teachers_is_selected() -> None:
    assert chosen({"a": 1.0, "b": 1.0, "c": 1.0, "ab": 0.0, "ac": 0.0}).selected == [A]


def test_no_teacher_is_rejected_if_all_help() -> None:
    assert chosen({"a": 1, "b": 2, "c": 3, "ac": 4, "bc": 5, "abc": 6}) == GreedySelection(
        ((C, 3), (B, 5), (A, 6)), None
    )
    assert chosen({"a": -1.0}, [A]) == GreedySelection(((A, -1.0),), None)
    assert chosen({}, []) == GreedySelection((), None)


def test_the_criterion_gets_teachers_in_order_of_selection() -> None:
    asked: list[list[Teacher]] = []

    def criterion(mixture: Sequence[Teacher]) -> float:
        asked.append(list(mixture))
        return float(len(mixture))

    select_teachers([A, B], criterion)
    assert asked == [[A], [B], [A, B]]


def test_ensembles_with_nan_are_not_selected() -> None:
    """A criterion is NaN where a teacher abstains from every query."""
    assert chosen({"a": NAN, "b": 0.5, "c": 0.6, "ac": NAN, "bc": 0.7, "abc": NAN}).selected == [C, B]
