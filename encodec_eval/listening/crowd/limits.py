"""How many requests one client may make: a bucket of tokens for each, in memory only."""

import ipaddress
import threading
import time
from collections.abc import Callable

MAX_CLIENTS = 20000


class RateLimit:
    """`per_second` requests of one client for long, `burst` at once. 0 per second: no limit."""

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_second, self.burst, self.clock = per_second, burst, clock
        self._buckets: dict[str, tuple[float, float]] = {}  # client -> tokens, when counted
        self._lock = threading.Lock()

    def wait_s(self, client: str) -> float:
        """Take one request of a client: 0 if it is allowed, else the seconds until the next one is."""
        if not self.per_second:
            return 0
        with self._lock:
            now = self.clock()
            tokens, counted = self._buckets.pop(client, (self.burst, now))
            tokens = min(self.burst, tokens + (now - counted) * self.per_second)
            allowed = tokens >= 1
            self._buckets[client] = (tokens - allowed, now)
            while len(self._buckets) > MAX_CLIENTS:
                del self._buckets[next(iter(self._buckets))]  # the one that came longest ago
            return 0 if allowed else (1 - tokens) / self.per_second


def client_of(address: str) -> str:
    """Whom an address counts for: itself, or its network of 64 bits in IPv6, where one client has all of them."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))
    return address
