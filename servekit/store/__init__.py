"""Where predictions are kept after their response."""
