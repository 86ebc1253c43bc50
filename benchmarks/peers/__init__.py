"""Hand-written servers for the same predictors; each runs in its own environment."""
