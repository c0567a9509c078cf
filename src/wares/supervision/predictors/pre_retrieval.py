"""Predictors of query performance from term statistics alone, before retrieval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from wares.supervision.predictors.evidence import max_over_terms, mean_over_terms

if TYPE_CHECKING:
    from wares.data.terms import TermCounts
    from wares.supervision.predictors.evidence import Evidence, Floats

IDF_SOURCE = "Cronen-Townsend, Zhou & Croft, SIGIR 2002; He & Ounis, SPIRE 2004"
ZHAO = "Zhao, Scholer & Tsegay, ECIR 2008"


def idf(terms: TermCounts) -> Floats:
    """(V,) ln(N / df), how few texts hold each term.

    Source: Cronen-Townsend, Zhou & Croft, SIGIR 2002 (mean over the query); He & Ounis, SPIRE 2004.
    """
    return np.asarray(np.log(len(terms) / terms.document_frequency))


def scq(terms: TermCounts) -> Floats:
    """(V,) (1 + ln cf) · ln(1 + N / df), how similar each term as a query is to the collection.

    Source: Zhao, Scholer & Tsegay, ECIR 2008.
    """
    rarity = np.log1p(len(terms) / terms.document_frequency)
    return np.asarray((1.0 + np.log(terms.collection_frequency)) * rarity)


def var(terms: TermCounts) -> Floats:
    """(V,) standard deviation of w(d, t) = 1 + ln tf · ln(1 + N / df) over the texts that hold each term.

    Source: Zhao, Scholer & Tsegay, ECIR 2008. Computed as ln(1 + N / df) times the deviation of ln tf, which does not
    depend on how the sum is bracketed.
    """
    columns, frequency = terms.counts.indices, terms.document_frequency
    logs = np.log(terms.counts.data)
    means = np.bincount(columns, logs, minlength=len(frequency)) / frequency
    squares = np.bincount(columns, (logs - means[columns]) ** 2, minlength=len(frequency))
    return np.asarray(np.sqrt(squares / frequency) * np.log1p(len(terms) / frequency))


@dataclass(frozen=True)
class AverageIdf:
    """Mean inverse document frequency (`idf`) of the query's terms."""

    source: ClassVar[str] = IDF_SOURCE

    def __call__(self, evidence: Evidence) -> Floats:
        return mean_over_terms(evidence.query_terms, idf(evidence.terms))


@dataclass(frozen=True)
class MaximumIdf:
    """Largest inverse document frequency (`idf`) of the query's terms."""

    source: ClassVar[str] = "Scholer, Williams & Turpin, JASIST 2004"

    def __call__(self, evidence: Evidence) -> Floats:
        return max_over_terms(evidence.query_terms, idf(evidence.terms))


@dataclass(frozen=True)
class AverageScq:
    """Mean collection-query similarity (`scq`) of the query's terms, NSCQ in the paper."""

    source: ClassVar[str] = ZHAO

    def __call__(self, evidence: Evidence) -> Floats:
        return mean_over_terms(evidence.query_terms, scq(evidence.terms))


@dataclass(frozen=True)
class MaximumScq:
    """Largest collection-query similarity (`scq`) of the query's terms."""

    source: ClassVar[str] = ZHAO

    def __call__(self, evidence: Evidence) -> Floats:
        return max_over_terms(evidence.query_terms, scq(evidence.terms))


@dataclass(frozen=True)
class AverageVar:
    """Mean deviation of term weights (`var`) of the query's terms."""

    source: ClassVar[str] = ZHAO

    def __call__(self, evidence: Evidence) -> Floats:
        return mean_over_terms(evidence.query_terms, var(evidence.terms))


@dataclass(frozen=True)
class MaximumVar:
    """Largest deviation of term weights (`var`) of the query's terms."""

    source: ClassVar[str] = ZHAO

    def __call__(self, evidence: Evidence) -> Floats:
        return max_over_terms(evidence.query_terms, var(evidence.terms))
