"""Teredo: IPv6 within UDP through NATs, RFC 4380 with RFC 5991 and RFC 6081; no I/O, no clock.

``client`` gets an address and finds the way to peers; ``server`` answers solicitations and passes
bubbles on; ``relay`` carries packets between clients and the gateway's endpoints; ``gateway`` is
the last two behind one UDP port.
"""
