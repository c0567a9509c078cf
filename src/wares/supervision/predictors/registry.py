"""How well a ranking will answer its query, predicted without judgments; and from predictions, weights of queries.

    predictions = get_predictor("nqc(k=50)")(evidence)
    weights = get_weight_map("soft-max(temperature=0.5)")(predictions)

Arrays in, arrays out. A predictor looks at the query's words in the collection (IDF, SCQ, VAR), at the words of the
listings retrieved (Clarity), or at their scores (WIG, NQC, SMV, σ_max, n(σ_x%)). What a predictor assumes of the signs
of scores stands in its docstring, and evidence that breaks it is an error. Where the papers leave a choice it says
"our reading". Predictions of one predictor can be compared between queries, those of two predictors cannot.
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
    """The predictor of that name with its settings, as in `nqc(k=50)`."""
    return parse_spec(name, PREDICTORS, "predictor")
