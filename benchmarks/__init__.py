"""servekit and its peers, side by side: `python -m benchmarks`, see README.md beside this file."""
