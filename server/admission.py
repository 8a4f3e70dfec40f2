"""What the acceptor is told about whom it lets in, and which of it may change while it runs. Pure.

    settings --server.reload--> {dotted key: plain value}
                                    | in its order, or in a "settings" message
                                    v
                                acceptor: Admission.changed(values)

The acceptor keeps the result and acts by it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

KEYS: Final[Mapping[str, str]] = {
    "session.limits.per_address": "per_address",
    "session.limits.accept_rate": "accept_rate",
    "iproto.keepalive.idle": "keepalive_idle",
    "iproto.keepalive.interval": "keepalive_interval",
    "iproto.keepalive.count": "keepalive_count",
    "iproto.user_timeout": "user_timeout",
    "iproto.proxy_trusted": "proxy_trusted",
}
"""Setting to field; all of them may change at any time, for connections that come from then on."""

LOOPBACK: Final = ("127.0.0.0/8", "::1/128")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Admission:
    """Limits of new connections, and options of their sockets."""

    per_address: int = 0
    """Sessions that one address may have, 0 for any number."""
    accept_rate: int = 0
    """New connections a second, 0 for any number."""
    keepalive_idle: int = 0
    """Seconds without a packet until the system asks whether the client is there, 0 for never."""
    keepalive_interval: int = 15
    keepalive_count: int = 4
    user_timeout: float = 0.0
    """Seconds that what was sent may be unconfirmed, 0 for as long as the system likes."""
    proxy_trusted: Sequence[str] = LOOPBACK
    """Networks whose PROXY headers are believed."""

    def changed(self, values: Mapping[str, Any]) -> Admission:
        """With other values by dotted key; keys of others are none of its business."""
        return replace(self, **{KEYS[key]: values[key] for key in values if key in KEYS})

    def networks(self) -> tuple[Network, ...]:
        """The trusted networks."""
        return tuple(ipaddress.ip_network(text) for text in self.proxy_trusted)
