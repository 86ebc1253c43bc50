"""Between threads and event loops: generators and functions in threads, with the caller's Context."""

from servekit.threads.asyncify import asyncify
from servekit.threads.bridge import ThreadBridge, async_generator_from_thread
from servekit.threads.context import ContextThreadPoolExecutor, propagate
from servekit.threads.parallel import aparallel, parallel
from servekit.threads.retrying import RetryPolicy

__all__ = [
    "ContextThreadPoolExecutor",
    "RetryPolicy",
    "ThreadBridge",
    "aparallel",
    "async_generator_from_thread",
    "asyncify",
    "parallel",
    "propagate",
]
