"""`servekit batch`: rows from a file, through a predictor, into a file of results."""
