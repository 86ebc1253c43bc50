"""What runs a predictor: workers, the pool, predictions and their events."""
