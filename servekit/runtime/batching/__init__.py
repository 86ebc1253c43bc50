"""Batches in a worker: predictions that wait are gathered, and `predict` is called once for all of them."""
