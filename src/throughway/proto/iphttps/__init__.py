"""IP-HTTPS ([MS-IPHTTPS]): IPv6 packets back to back in one HTTP/1.1 POST and its response.

``client`` and ``server`` are the two machines, ``stream`` is the cut between them and the fast
path, ``http`` the two heads; ``slowpath`` and ``neighbours`` belong to the server.
"""
