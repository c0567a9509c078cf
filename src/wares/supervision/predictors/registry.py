"""The family of query performance predictors: they predict how well a query is answered, without judgments.

    predictions = get_predictor("nqc(k=50)")(evidence)
    weights = get_query_weighting("soft-max(temperature=0.5)")(predictions)

A predictor reads the query's terms in the collection (IDF, SCQ, VAR), the words of the retrieved listings (Clarity), or
their scores (WIG, NQC, SMV, σ_max, n(σ_x%)). Its docstring names what it assumes of scores; evidence that breaks the
assumption raises SettingsError. "Our reading" marks a choice that the paper leaves open. Predictions of one predictor
can be compared between queries, those of two predictors cannot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wares.core.specs import parse_spec
from wares.supervision.predictors.post_retrieval import NQC, SMV, WIG, Clarity, NSigma, SigmaMax
from wares.supervision.predictors.pre_retrieval import (
    AverageIdf,
    AverageScq,
    AverageVar,
    MaximumIdf,
    MaximumScq,
    MaximumVar,
)

if TYPE_CHECKING:
    from wares.supervision.predictors.evidence import Predictor


PREDICTORS: dict[str, type[Predictor]] = {
    "clarity": Clarity,
    "wig": WIG,
    "nqc": NQC,
    "smv": SMV,
    "sigma-max": SigmaMax,
    "n-sigma": NSigma,
    "avg-idf": AverageIdf,
    "max-idf": MaximumIdf,
    "avg-scq": AverageScq,
    "max-scq": MaximumScq,
    "avg-var": AverageVar,
    "max-var": MaximumVar,
}


def get_predictor(name: str) -> Predictor:
    """The predictor of a spec, as in `nqc(k=50)`."""
    return parse_spec(name, PREDICTORS, "predictor")
