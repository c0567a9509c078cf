"""Query performance predictors, and the weights of queries that follow from their predictions."""
