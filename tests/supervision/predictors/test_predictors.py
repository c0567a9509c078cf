"""Performance prediction: one contract per family, values worked out by hand, properties and oracles."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from wares.core.errors import SettingsError
from wares.core.specs import format_spec
from wares.data.terms import TermCounts
from wares.supervision.predictors.evidence import Evidence, Floats, Predictor
from wares.supervision.predictors.query_weighting import QUERY_WEIGHTINGS, get_query_weighting
from wares.supervision.predictors.registry import PREDICTORS, get_predictor

NAN = math.nan

BEFORE_RETRIEVAL = {"avg-idf", "max-idf", "avg-scq", "max-scq", "avg-var", "max-var"}
NEED_WORDS = BEFORE_RETRIEVAL | {"clarity", "wig", "n-sigma"}
NEED_TWO_LISTINGS = {"nqc", "smv", "sigma-max", "n-sigma"}
CHANGED_PREDICTORS = ["clarity(k=3, terms=7, smoothing=0.25)", "wig(k=9)", "nqc(k=20)", "smv(k=7)", "n-sigma(x=25)"]
CHANGED_MAPS = ["soft-max(temperature=0.5)", "threshold(fraction=0.1)", "threshold(fraction=1)"]

TEXTS = ["red boot", "red hat hat", "blue hat", "boot boot red"]
#            red  boot  hat  blue     N = 4 texts, 10 words
# df           3     2    2     1
# cf           3     3    3     1
# P(w|C)      .3    .3   .3    .1


def evidence_of(
    *queries: str,
    texts: Sequence[str] = TEXTS,
    listings: Sequence[Sequence[int]] | None = None,
    scores: Sequence[Sequence[float]] | None = None,
    corpus: Sequence[float] | None = None,
) -> Evidence:
    """Evidence of a few queries; each found the first two texts, with scores 2 and 1, the corpus 1/2, or as told."""
    terms = TermCounts.from_texts(texts)
    return Evidence(
        query_terms=[terms.term_ids(query) for query in queries],
        terms=terms,
        listings=np.array([[0, 1]] * len(queries) if listings is None else listings, dtype=np.int64),
        scores=np.array([[2.0, 1.0]] * len(queries) if scores is None else scores, dtype=np.float64),
        corpus_scores=np.array([0.5] * len(queries) if corpus is None else corpus, dtype=np.float64),
    )


def of_scores(
    name: str, *scores: Sequence[float], corpus: Sequence[float] | None = None, words: int = 1
) -> list[float]:
    """Predictions of queries of so many words each from their scores alone."""
    queries = ["red " * words] * len(scores)
    listings = [[-1 if math.isnan(score) else 0 for score in row] for row in scores]
    found = get_predictor(name)(evidence_of(*queries, listings=listings, scores=scores, corpus=corpus))
    return [float(each) for each in found]


# The contract of every predictor ------------------------------------------------------------------------------------


@pytest.fixture(params=PREDICTORS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def predictor(name: str) -> Predictor:
    return get_predictor(name)


def test_one_finite_prediction_a_query(predictor: Predictor) -> None:
    found = predictor(evidence_of("red", "boot hat", "blue"))
    assert found.shape == (3,) and found.dtype == np.float64
    assert np.isfinite(found).all()


def test_no_queries_no_predictions(predictor: Predictor) -> None:
    nothing = replace(evidence_of("red"), query_terms=[], listings=np.zeros((0, 2), dtype=np.int64))
    nothing = replace(nothing, scores=np.zeros((0, 2)), corpus_scores=np.zeros(0))
    assert predictor(nothing).shape == (0,)


def test_missing_words_or_scores_give_nan(name: str, predictor: Predictor) -> None:
    found = predictor(
        evidence_of(
            "red",
            "unheard",
            "red",
            "red",
            listings=[[0, 1], [0, 1], [-1, -1], [0, -1]],
            scores=[[2, 1], [2, 1], [NAN, NAN], [2, NAN]],
        )
    )
    no_words, no_listings = name in NEED_WORDS, name not in BEFORE_RETRIEVAL
    assert np.isnan(found).tolist() == [False, no_words, no_listings, name in NEED_TWO_LISTINGS]


def test_rankings_without_columns(name: str, predictor: Predictor) -> None:
    empty = evidence_of("red", "blue", listings=[[], []], scores=[[], []])
    assert np.isnan(predictor(empty)).tolist() == [name not in BEFORE_RETRIEVAL] * 2


def test_the_easy_query_is_predicted_better(predictor: Predictor) -> None:
    """A telling word, much said by few texts of one kind and scored apart, against a word that is everywhere."""
    others = ["red hat", "blue boot", "green coat", "wool sock", "silk tie"]
    texts = ["shop anorak anorak anorak anorak", "shop anorak", *(f"shop {other}" for other in others)]
    listings, scores = [[0, 1, -1, -1, -1], [2, 3, 4, 5, 6]], [[9.0, 6.0, NAN, NAN, NAN], [1.2, 1.1, 1.0, 1.0, 1.0]]
    easy, hard = predictor(evidence_of("anorak", "shop", texts=texts, listings=listings, scores=scores, corpus=[1, 1]))
    assert easy > hard


def test_queries_are_predicted_one_by_one(predictor: Predictor) -> None:
    whole = evidence_of(
        "red boot",
        "unheard",
        "hat hat",
        "blue",
        listings=[[0, 3, 1], [-1, -1, -1], [1, 2, -1], [2, -1, -1]],
        scores=[[5, 3, 2], [NAN, NAN, NAN], [4, 1, NAN], [7, NAN, NAN]],
        corpus=[0.5, 0.25, 1.0, 0.125],
    )
    order = np.array([2, 0, 3, 1])
    shuffled = Evidence(
        [whole.query_terms[i] for i in order],
        whole.terms,
        whole.listings[order],
        whole.scores[order],
        whole.corpus_scores[order],
    )
    np.testing.assert_array_equal(predictor(shuffled), predictor(whole)[order])


def test_evidence_is_not_changed(predictor: Predictor) -> None:
    given_scores = np.array([[4.0, 2.0, NAN], [3.0, 1.0, 0.5]])
    evidence = evidence_of("red", "hat", listings=[[0, 1, -1], [1, 2, 3]], scores=given_scores.tolist())
    evidence = replace(evidence, scores=given_scores.copy())
    predictor(evidence)
    np.testing.assert_array_equal(evidence.scores, given_scores)


def test_single_precision_is_enough(predictor: Predictor) -> None:
    """Labels come as float32; the sums over them are float64."""
    scores = np.linspace(30, 1, 200, dtype=np.float32)[None]
    evidence = evidence_of("boot", listings=[[0, 1, 2, 3] * 50], corpus=[0.25])
    single, double = (replace(evidence, scores=scores.astype(kind)) for kind in (np.float32, np.float64))
    np.testing.assert_array_equal(predictor(single), predictor(double))


# Names and settings -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [*PREDICTORS, *CHANGED_PREDICTORS])
def test_predictors_print_and_parse_to_the_same_thing(text: str) -> None:
    assert format_spec(get_predictor(text), PREDICTORS) == text


@pytest.mark.parametrize("text", [*QUERY_WEIGHTINGS, *CHANGED_MAPS])
def test_query_weightings_print_and_parse_to_the_same_thing(text: str) -> None:
    assert format_spec(get_query_weighting(text), QUERY_WEIGHTINGS) == text


@pytest.mark.parametrize(
    ("get", "text", "complaint"),
    [
        (get_predictor, "wig(k=0)", "k must be a whole number of at least 1, not 0"),
        (get_predictor, "wig(k='five')", "not 'five'"),
        (get_predictor, "nqc(k=1)", "k must be a whole number of at least 2, not 1"),
        (get_predictor, "smv(k=1)", "k must be a whole number of at least 2, not 1"),
        (get_predictor, "smv(k=2.5)", "not 2.5"),
        (get_predictor, "n-sigma(x=0)", "x must be a number between 0 and 100, both excluded, not 0"),
        (get_predictor, "n-sigma(x=100)", "not 100"),
        (get_predictor, "clarity(k=0)", "k must be a whole number"),
        (get_predictor, "clarity(terms=0)", "terms must be a whole number"),
        (get_predictor, "clarity(smoothing=0)", "smoothing must be a number between 0 and 1"),
        (get_predictor, "clarity(smoothing=1.0)", "not 1.0"),
        (get_predictor, "sigma-max(k=3)", "predictor sigma-max has no setting 'k'"),
        (get_predictor, "nqq", "no predictor 'nqq'; there are clarity, wig"),
        (get_query_weighting, "soft-max(temperature=0)", "temperature must be a number between 0 and inf"),
        (get_query_weighting, "threshold(fraction=0)", "fraction"),
        (get_query_weighting, "threshold(fraction=1.5)", "fraction"),
        (get_query_weighting, "linear", "no query weighting 'linear'; there are rank, min-max"),
    ],
)
def test_bad_names_and_settings_are_refused(get: Callable[[str], object], text: str, complaint: str) -> None:
    with pytest.raises(SettingsError) as told:
        get(text)
    assert complaint in str(told.value)


# Signs of scores ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "scores", "corpus", "complaint"),
    [
        ("smv", [[2, 1], [1, 0]], [1, 1], "smv assumes positive scores, but query 1 has 0."),
        ("smv", [[2, 1], [2, 1]], [1, -0.5], "smv assumes a positive corpus score, but query 1 has -0.5."),
        ("n-sigma", [[2, 1], [-1, -2]], [1, 1], "n-sigma assumes positive scores, but query 1 has -1."),
        ("nqc", [[2, 1], [1, -0.25]], [1, 1], "same sign as the corpus score, but query 1 has -0.25."),
        ("nqc", [[-2, -3], [1, 0.5]], [-4, -4], "same sign as the corpus score, but query 1 has 1."),
    ],
)
def test_scores_of_the_wrong_sign_are_refused(
    name: str, scores: list[list[float]], corpus: list[float], complaint: str
) -> None:
    with pytest.raises(SettingsError) as told:
        of_scores(name, *scores, corpus=corpus)
    assert complaint in str(told.value) and "Compute it on a lexical run such as bm25" in str(told.value)


@pytest.mark.parametrize("name", ["wig(k=2)", "sigma-max"])
def test_other_predictors_read_any_sign(name: str) -> None:
    """Scores 3, 1 and -1, -3 over corpus scores 2 lower than their means: mean 2 above, deviation 1, either way."""
    found = of_scores(name, [3, 1], [-1, -3], corpus=[0, -4])
    assert found == pytest.approx([2, 2] if name == "wig(k=2)" else [1, 1])


@pytest.mark.parametrize("name", ["nqc", "smv"])
def test_a_corpus_score_of_0_gives_nan(name: str) -> None:
    assert np.isnan(of_scores(name, [2, 1], [2, 1], corpus=[0, 1])).tolist() == [True, False]


# Worked out by hand -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "query", "value"),
    [
        # ln(4/3) = .287682 for red, ln(4/2) = .693147 for boot, ln(4/1) = 1.386294 for blue
        ("avg-idf", "red blue", (0.287682 + 1.386294) / 2),
        ("max-idf", "red blue", 1.386294),
        ("avg-idf", "red red blue", (2 * 0.287682 + 1.386294) / 3),
        # (1 + ln 3) ln(1 + 4/3) = 2.098612 · .847298 for red, 2.098612 · ln 3 = 2.098612 · 1.098612 for boot
        ("avg-scq", "red boot", (1.778150 + 2.305561) / 2),
        ("max-scq", "red boot", 2.305561),
        ("max-scq", "blue", 1.609438),  # (1 + ln 1) ln(1 + 4/1) = ln 5
        # red stands once wherever it stands: 0. boot stands once and twice: ln tf is 0 and .693147, which deviate
        # by half of that, .346574, from their mean; times ln(1 + 4/2) = 1.098612 that is .380750
        ("avg-var", "red boot", 0.380750 / 2),
        ("max-var", "red boot", 0.380750),
    ],
)
def test_words_by_hand(name: str, query: str, value: float) -> None:
    assert get_predictor(name)(evidence_of(query)) == pytest.approx([value], abs=2e-6)


@pytest.mark.parametrize(
    ("name", "scores", "corpus", "words", "value"),
    [
        ("wig(k=2)", [4, 2, 1], 1, 4, 1.0),  # ((4 - 1) + (2 - 1)) / 2 = 2, over √4
        ("wig(k=2)", [4], 1, 1, 3.0),  # a single listing is its own mean
        ("nqc(k=2)", [4, 2, 1], 0.5, 3, 2.0),  # 4 and 2 deviate by 1 from 3; over .5
        ("nqc", [-2, -4], -5, 1, 0.2),  # log-likelihoods: 1 over 5
        ("smv(k=2)", [3, 1, 1], 0.5, 3, 1.909542),  # mean 2: (3 ln(3/2) + 1 ln 2) / 2 = .954771, over .5
        ("sigma-max", [9, 5, 1], 1, 3, 3.265986),  # 9, 5: 2. 9, 5, 1: √((16 + 0 + 16) / 3), the greater
        ("sigma-max", [10, 0, 0], 1, 1, 5.0),  # 10, 0: 5. 10, 0, 0: √(200/9) = 4.71, the smaller
        ("n-sigma", [10, 8, 6, 4], 1, 4, 0.816497),  # at least 5: 10, 8, 6 deviate by √(8/3) = 1.632993; over √4
        ("n-sigma(x=60)", [10, 8, 6, 4], 1, 4, 0.816497),  # 6 is 60% of 10, just in
        ("n-sigma(x=70)", [10, 8, 6, 4], 1, 4, 0.5),  # 10, 8: 1; over √4
        ("n-sigma", [10, 1], 1, 1, 0.0),  # 10 stands alone
    ],
)
def test_scores_by_hand(name: str, scores: list[float], corpus: float, words: int, value: float) -> None:
    assert of_scores(name, scores, corpus=[corpus], words=words) == pytest.approx([value], abs=2e-6)


@pytest.mark.parametrize(
    ("name", "query", "listings", "value"),
    [
        # One listing, "blue hat": P(w|q) is half itself (.5 hat, .5 blue), half the collection:
        # red .15, boot .15, hat .4, blue .3. In bits: 2 · .15 log2(.15/.3) = -.3,
        # .4 log2(.4/.3) = .166015, .3 log2(.3/.1) = .475489
        ("clarity(smoothing=0.5)", "blue", [2], -0.3 + 0.166015 + 0.475489),
        ("clarity(terms=2, smoothing=0.5)", "blue", [2], 0.166015 + 0.475489),
        # "blue hat" and "red hat hat" give hat .5 · 1/2 + .15 = .4 and .5 · 2/3 + .15 = .483333, so that they weigh
        # .452830 and .547170. P(w|q): red .5 · .547170/3 + .15 = .241195, boot .15,
        # hat .5 (.452830/2 + .547170 · 2/3) + .15 = .445597, blue .5 · .452830/2 + .05 = .163208
        # In bits: .241195 log2(.803983) = -.075919, .15 log2(.5) = -.15,
        # .445597 log2(1.485323) = .254338, .163208 log2(1.632080) = .115341
        ("clarity(smoothing=0.5)", "hat", [2, 1], -0.075919 - 0.15 + 0.254338 + 0.115341),
        ("clarity(k=1, smoothing=0.5)", "blue", [2, 1], -0.3 + 0.166015 + 0.475489),
    ],
)
def test_clarity_by_hand(name: str, query: str, listings: list[int], value: float) -> None:
    evidence = evidence_of(query, listings=[listings], scores=[[1.0] * len(listings)])
    assert get_predictor(name)(evidence) == pytest.approx([value], abs=2e-6)


def test_clarity_ignores_listings_without_words() -> None:
    """A photo without a title is in the collection, and a dense run finds it."""
    texts = [*TEXTS, "", "..."]
    found = get_predictor("clarity")(
        evidence_of("blue", "blue", "blue", texts=texts, listings=[[4, 2], [2, -1], [4, 5]], scores=[[2, 1]] * 3)
    )
    assert found[0] == pytest.approx(found[1]) and np.isnan(found[2])


@pytest.mark.parametrize(
    ("name", "predictions", "weights"),
    [
        # Ranks 2.5, 1, 2.5, 4 of 5 queries: sum 10, so that mean 1 is half of them
        ("rank", [3, 1, 3, 7, NAN], [1.25, 0.5, 1.25, 2, 0]),
        # Above the worst: 2, 0, 2, 6, sum 10
        ("min-max", [3, 1, 3, 7, NAN], [1, 0, 1, 3, 0]),
        # Standardised: -1 and 1. exp(±1/2) = .606531, 1.648721: shares .268941, .731059 of 3 queries
        ("soft-max(temperature=2)", [10, 30, NAN], [3 * 0.268941, 3 * 0.731059, 0]),
        # Half of 4 is 2 of 5 queries
        ("threshold", [3, 1, 2, 7, NAN], [2.5, 0, 0, 2.5, 0]),
        # The second best is as good as the third
        ("threshold", [3, 1, 3, 7, NAN], [5 / 3, 0, 5 / 3, 5 / 3, 0]),
        ("threshold(fraction=0.01)", [3, 1, 3, 7, NAN], [0, 0, 0, 5, 0]),
        ("threshold(fraction=1)", [3, 1, 3, 7, NAN], [1.25, 1.25, 1.25, 1.25, 0]),
    ],
)
def test_weights_by_hand(name: str, predictions: list[float], weights: list[float]) -> None:
    assert get_query_weighting(name)(np.array(predictions)) == pytest.approx(weights, abs=2e-6)


# The contract of every weight map -----------------------------------------------------------------------------------

MAPS = [*QUERY_WEIGHTINGS, *CHANGED_MAPS]
PREDICTIONS = st.lists(st.one_of(st.integers(-1000, 1000).map(lambda n: n / 8), st.just(NAN)), min_size=1, max_size=12)
KNOWN = PREDICTIONS.filter(lambda values: not all(map(math.isnan, values))).map(np.array)


@pytest.mark.parametrize("name", MAPS)
@given(predictions=KNOWN)
def test_weights_have_mean_one_and_rise_with_the_predictions(name: str, predictions: Floats) -> None:
    weights = get_query_weighting(name)(predictions)
    assert weights.shape == predictions.shape and weights.dtype == np.float64
    assert weights.mean() == pytest.approx(1.0) and (weights >= 0).all()
    assert (weights[np.isnan(predictions)] == 0).all()
    known = ~np.isnan(predictions)
    order = np.argsort(predictions[known])
    rising, steps = weights[known][order], np.diff(predictions[known][order])
    assert (np.diff(rising) >= 0).all()
    assert (np.diff(rising)[steps == 0] == 0).all()


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("value", [0.0, 0.1, -7.0])
def test_equal_predictions_get_equal_weights(name: str, value: float) -> None:
    weights = get_query_weighting(name)(np.array([value, value, NAN, value]))
    np.testing.assert_allclose(weights, [4 / 3, 4 / 3, 0, 4 / 3])


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("predictions", [[NAN, NAN], []])
def test_no_prediction_at_all_is_refused(name: str, predictions: list[float]) -> None:
    with pytest.raises(SettingsError, match=r"no query has a predicted performance\. Leave out --query-predictor"):
        get_query_weighting(name)(np.array(predictions))


# Properties and oracles ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MAPS)
@given(predictions=KNOWN, unit=st.sampled_from([0.25, 3.0, 1000.0]), zero=st.integers(-50, 50))
def test_weights_have_no_unit(name: str, predictions: Floats, unit: float, zero: int) -> None:
    weights = get_query_weighting(name)(predictions)
    np.testing.assert_allclose(get_query_weighting(name)(predictions * unit + zero), weights, atol=1e-9)


@pytest.mark.parametrize("name", ["rank", "threshold(fraction=0.1)"])
@given(predictions=KNOWN)
def test_rank_and_threshold_depend_on_the_order_alone(name: str, predictions: Floats) -> None:
    np.testing.assert_array_equal(get_query_weighting(name)(predictions**3), get_query_weighting(name)(predictions))


def test_temperature_runs_from_the_best_query_to_equal_weights() -> None:
    predictions = np.array([1.0, 2.0, 4.0])
    np.testing.assert_allclose(get_query_weighting("soft-max(temperature=0.01)")(predictions), [0, 0, 3], atol=1e-9)
    np.testing.assert_allclose(get_query_weighting("soft-max(temperature=1e9)")(predictions), [1, 1, 1], atol=1e-6)


def falling(least: float = 1 / 8) -> st.SearchStrategy[list[float]]:
    """Scores of a query, best first, in eighths."""
    eighths = st.integers(int(least * 8), 800)
    return st.lists(eighths, min_size=2, max_size=12).map(lambda found: sorted((n / 8 for n in found), reverse=True))


@given(scores=falling(least=-100), offset=st.sampled_from([0, 1e9]), absent=st.integers(0, 3))
def test_sigma_max_is_the_greatest_of_all_depths(scores: list[float], offset: float, absent: int) -> None:
    """Far from zero too, where squares lose the spread; and with listings missing at the end."""
    brute = max(float(np.std(scores[:depth])) for depth in range(2, len(scores) + 1))
    moved = [score + offset for score in scores]
    assert of_scores("sigma-max", moved + [NAN] * absent) == pytest.approx([brute], abs=1e-6)


@pytest.mark.parametrize(
    ("name", "power"), [("wig", 1), ("nqc", 0), ("smv", 0), ("sigma-max", 1), ("n-sigma", 1), ("n-sigma(x=25)", 1)]
)
@given(scores=falling(), unit=st.sampled_from([0.25, 4.0, 64.0]))
def test_scores_in_another_unit(name: str, power: int, scores: list[float], unit: float) -> None:
    """NQC and SMV have no unit, the others have that of the scores."""
    (before,) = of_scores(name, scores, corpus=[0.5])
    (after,) = of_scores(name, [score * unit for score in scores], corpus=[0.5 * unit])
    assert after == pytest.approx(before * unit**power, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", ["wig", "sigma-max"])
@given(scores=falling(), offset=st.sampled_from([-200.0, 32.0]))
def test_scores_from_another_zero(name: str, scores: list[float], offset: float) -> None:
    (before,) = of_scores(name, scores, corpus=[0.5])
    (after,) = of_scores(name, [score + offset for score in scores], corpus=[0.5 + offset])
    assert after == pytest.approx(before, abs=1e-6)


@pytest.mark.parametrize("name", ["nqc(k=3)", "smv(k=3)", "wig(k=3)"])
@given(scores=falling())
def test_only_the_k_best_scores_count(name: str, scores: list[float]) -> None:
    assert of_scores(name, scores) == pytest.approx(of_scores(name, scores[:3]))


@pytest.mark.parametrize("name", ["nqc", "smv", "sigma-max", "n-sigma"])
def test_equal_scores_give_0(name: str) -> None:
    assert of_scores(name, [3, 3, 3], corpus=[1]) == pytest.approx([0], abs=1e-12)


WORDS = ["red", "boot", "hat", "blue", "coat", "sock"]
SENTENCES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join)


@given(texts=st.lists(SENTENCES, min_size=2, max_size=6), data=st.data())
def test_clarity_is_relative_entropy_to_the_collection(texts: list[str], data: st.DataObject) -> None:
    """With every word summed, against SciPy and models written out as probabilities, text by text."""
    query = data.draw(st.sampled_from(texts))
    found = data.draw(st.lists(st.integers(0, len(texts) - 1), min_size=1, max_size=len(texts), unique=True))
    evidence = evidence_of(query, texts=texts, listings=[found], scores=[[1.0] * len(found)])
    counts: npt.NDArray[np.float64] = evidence.terms.counts.toarray().astype(float)
    collection = counts.sum(0) / counts.sum()
    models = [0.6 * counts[place] / counts[place].sum() + 0.4 * collection for place in found]
    likelihoods = np.array([math.prod(model[evidence.query_terms[0]]) for model in models])
    mixed = sum(share * model for share, model in zip(likelihoods / likelihoods.sum(), models, strict=True))
    (clarity,) = get_predictor("clarity")(evidence)
    assert clarity == pytest.approx(entropy(mixed, collection, base=2), abs=1e-9)


def test_clarity_of_a_long_query_does_not_underflow() -> None:
    """A listing's whole description as a query: a product of 2,000 probabilities is 0 in floating point."""
    (clarity,) = get_predictor("clarity")(evidence_of("blue hat " * 1000, listings=[[2, 1]]))
    (alone,) = get_predictor("clarity")(evidence_of("blue", listings=[[2]], scores=[[1]]))
    assert clarity == pytest.approx(alone)


@given(texts=st.lists(SENTENCES, min_size=1, max_size=6), data=st.data())
def test_words_against_their_formulas_read_term_by_term(texts: list[str], data: st.DataObject) -> None:
    query = data.draw(st.sampled_from(texts))
    words, split = query.split(), [text.split() for text in texts]
    table: dict[str, list[float]] = {"idf": [], "scq": [], "var": []}
    for word in words:
        holders = [text.count(word) for text in split if word in text]
        rarity = math.log(1 + len(texts) / len(holders))
        table["idf"].append(math.log(len(texts) / len(holders)))
        table["scq"].append((1 + math.log(sum(holders))) * rarity)
        table["var"].append(float(np.std([1 + math.log(count) * rarity for count in holders])))
    for name, values in table.items():
        evidence = evidence_of(query, texts=texts)
        assert get_predictor(f"avg-{name}")(evidence) == pytest.approx([np.mean(values)], abs=1e-9)
        assert get_predictor(f"max-{name}")(evidence) == pytest.approx([max(values)], abs=1e-9)
