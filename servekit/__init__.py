"""Put a Python model into production: what model authors import."""
