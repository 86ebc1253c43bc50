"""`/metrics`: what happens is counted in plain numbers, and written for Prometheus when it asks."""
