"""The server: HTTP in front of a pool."""
