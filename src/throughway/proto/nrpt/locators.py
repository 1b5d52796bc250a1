"""What a DNS server of the intranet must know if it knows a namespace at all.

That a server says of a namespace itself that there is no such name proves little: some say so
of every name that has no records of its own. Of one that does not know where the domain's
controllers are either, it is true.
"""


def locator_in(namespace: str, realm: str) -> str:
    """Return the name at which the domain's KDCs are listed, "" where that is no name of it."""
    domain = realm.strip(".").lower()
    zone = namespace.strip(".").lower()
    inside = bool(zone) and (domain == zone or domain.endswith(f".{zone}"))
    return f"_kerberos._tcp.{domain}" if inside else ""
