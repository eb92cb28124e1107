"""``taiwa-health URL``: exits 0 when the address answers 2xx; for container health checks, so it starts quickly."""

from __future__ import annotations

import http.client
import sys
from urllib.parse import urlsplit


def main() -> None:
    """Ask once, within two seconds; say why not on standard error."""
    parts = urlsplit(sys.argv[1])
    connection = http.client.HTTPConnection(parts.netloc, timeout=2)
    try:
        connection.request("GET", parts.path)
        response = connection.getresponse()
        if response.status // 100 != 2:  # noqa: PLR2004  the 2 of 2xx
            sys.exit(response.read(2000).decode(errors="replace"))
    except OSError as error:
        sys.exit(f"{sys.argv[1]} does not answer: {error}")
