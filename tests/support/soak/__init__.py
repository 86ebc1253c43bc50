"""A soak: many clients of many tempers, and workers that are killed all the while; then the books must be right.

`python -m soak` runs it at length, and tests/integration/test_soak.py for some seconds.
"""
