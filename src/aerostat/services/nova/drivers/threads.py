"""The bounded pool in which a driver writes and hashes files."""

from concurrent.futures import ThreadPoolExecutor

WRITERS_MAX = 2


def blocking_pool(name: str) -> ThreadPoolExecutor:
    """Return a pool of WRITERS_MAX threads; they start when first used."""
    return ThreadPoolExecutor(WRITERS_MAX, thread_name_prefix=name)
