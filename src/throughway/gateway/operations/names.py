"""How a DNS server is asked whether it answers."""

import dns.asyncquery
import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype

ASK_TIME = 1.5
"""Seconds for one question to one server; asked twice within the time of a look."""
TRIES = 2
PORT = 53


async def asks(server: str, name: str, port: int = PORT, locator: str = "") -> str:
    """Ask for the SOA of a name; return why there is no answer, "" when there is one.

    With a name that must be there if the first one is (:func:`~.locator_in`), one that knows
    neither is told, too.
    """
    why, knows = await _asked(server, name, port)
    if why or knows or not locator:
        return why
    why, knows = await _asked(server, locator, port)
    return why or ("" if knows else f"does not know {name}")


async def _asked(server: str, name: str, port: int) -> tuple[str, bool]:
    """Return why there is no answer, and whether there is such a name."""
    query = dns.message.make_query(name, dns.rdatatype.SOA)
    why = ""
    for _ in range(TRIES):
        try:
            answer = await dns.asyncquery.udp(query, server, timeout=ASK_TIME, port=port)
        except (dns.exception.Timeout, TimeoutError):
            why = "no answer"
        except (OSError, dns.exception.DNSException) as error:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        else:
            rcode = dns.rcode.to_text(answer.rcode())
            good = rcode in {"NOERROR", "NXDOMAIN"}
            return "" if good else f"answers {rcode}", rcode == "NOERROR"
    return why, False
