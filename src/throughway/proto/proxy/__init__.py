"""Tunnels through HTTP proxies: CONNECT (RFC 9110, section 9.3.6) and who may have one."""
