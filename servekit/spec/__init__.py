"""servekit.yaml, read and checked."""
