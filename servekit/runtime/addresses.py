"""Which addresses on the network a client may make a server talk to."""

import ipaddress
from typing import Final, TypeAlias

__all__ = ["Address", "is_public", "parse_address"]

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64: Final = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
"""IPv6 addresses whose last 32 bits are the IPv4 address they lead to.

Source:
    RFC 6052, section 2.1, and RFC 8215.
"""


def parse_address(text: str) -> Address:
    """Return an address as the system's resolver gives it, where a zone such as `%eth0` may follow it."""
    return ipaddress.ip_address(text.partition("%")[0])


def is_public(address: Address) -> bool:
    """Whether an address belongs to the internet at large.

    Private, loopback, link-local (where clouds keep their credentials), multicast, reserved and unspecified
    ones do not, nor does an IPv6 address that leads to such an IPv4 address.
    """
    if isinstance(address, ipaddress.IPv6Address) and (inner := _embedded(address)) is not None:
        return is_public(inner)
    return address.is_global and not address.is_multicast and not address.is_reserved


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 address leads to, by mapping, NAT64, 6to4 or Teredo."""
    if any(address in network for network in _NAT64):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    if address.teredo is not None:
        return address.teredo[1]
    return address.ipv4_mapped or address.sixtofour
