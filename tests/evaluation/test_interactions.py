"""Later interactions: pairs of a query and a listing that training had, and new ones, are measured apart."""

from __future__ import annotations

import pytest

from wares.data.interactions import Interaction, Interactions
from wares.data.runs import Run
from wares.evaluation.interactions import evaluate_interactions


def interactions(*pairs: tuple[str, str]) -> Interactions:
    return Interactions(
        tuple(Interaction(query, listing, "click", 1.0, float(time)) for time, (query, listing) in enumerate(pairs))
    )


TRAINING = interactions(("boots", "a"), ("mug", "c"))
TEST = interactions(("boots", "a"), ("boots", "b"), ("scarf", "d"))
MEMORY: Run = {"asked-1": {"a": 3.0, "b": 2.0, "c": 1.0}, "asked-2": {"a": 2.0, "d": 1.0}}
LUCK: Run = {"asked-1": {"c": 3.0, "b": 2.0, "a": 1.0}, "asked-2": {"d": 2.0, "a": 1.0}}


def test_new_and_learned_pairs_are_measured_apart() -> None:
    """For new pairs b follows nothing: a, which the query had in training, is left out of the results."""
    measured = evaluate_interactions({"memory": MEMORY, "luck": LUCK}, TRAINING, TEST, "luck")
    reciprocal_ranks = {
        novelty: {system: values["RR"] for system, values in evaluation.per_query.items()}
        for novelty, evaluation in measured.items()
    }
    assert reciprocal_ranks == {
        "new": {"memory": {"asked-1": 1.0, "asked-2": 0.5}, "luck": {"asked-1": 0.5, "asked-2": 1.0}},
        "learned": {"memory": {"asked-1": 1.0}, "luck": {"asked-1": pytest.approx(1 / 3)}},
    }


def test_a_kind_of_pair_that_does_not_occur_is_missing() -> None:
    runs = {"memory": MEMORY, "luck": LUCK}
    assert set(evaluate_interactions(runs, interactions(("mug", "c")), TEST, "luck")) == {"new"}
    assert set(evaluate_interactions(runs, TEST, TEST, "luck")) == {"learned"}
    assert evaluate_interactions(runs, TRAINING, interactions(), "luck") == {}
