"""A captive portal on a router of the lab: a web page before everything, until somebody clicks.

It does what real ones do: DNS passes, every page is answered by a redirect to its own, everything
else of a guest who has not clicked goes nowhere.
"""

import subprocess
import sys
from types import TracebackType
from typing import TYPE_CHECKING

from throughway.lab import processes

if TYPE_CHECKING:
    from throughway.lab.lab import Lab
    from throughway.lab.processes import HostProcess

ROUTER, INSIDE, LAN = "hotelnat", "192.168.138.1", "lan"
PORT = 8080
LOGIN = f"http://{INSIDE}:{PORT}/login"
ACCEPT = f"http://{INSIDE}:{PORT}/accept"
"""The page that lets whoever asks for it through."""
START_TIMEOUT = 60.0

CHAINS = f"""
  set guests {{ type ipv4_addr; }}
  chain pages {{
    type nat hook prerouting priority -110; policy accept;
    iifname "{LAN}" ip saddr != @guests ip daddr != {INSIDE} tcp dport 80 redirect to :{PORT}
  }}
  chain passing {{
    type filter hook forward priority -10; policy accept;
    iifname "{LAN}" ip saddr != @guests drop
  }}
"""
RULES = f"table inet portal {{{CHAINS}}}\n"
SERVER = f"""
import http.server, subprocess, sys
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/accept":
            guest = "{{ " + self.client_address[0] + " }}"
            subprocess.run(["nft", "add", "element", "inet", "portal", "guests", guest], check=True)
        known = self.path in ("/login", "/accept")
        self.send_response(200 if known else 302)
        if not known:
            self.send_header("Location", "{LOGIN}")
        text = b"Welcome" if self.path == "/accept" else b"<a href=/accept>I accept</a>"
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("", {PORT}), Page).serve_forever()
"""


class CaptivePortal:
    """Stands while the block runs."""

    def __init__(self, lab: "Lab") -> None:
        self._lab = lab
        self._server: HostProcess | None = None

    def __enter__(self) -> "CaptivePortal":
        lab = self._lab
        lab.run(ROUTER, ["nft", "-f", "-"], stdin=RULES, check=True)
        self._server = lab.popen(
            ROUTER,
            [sys.executable, "-c", SERVER],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        processes.wait_port(lab.namespaces(ROUTER), INSIDE, PORT, START_TIMEOUT)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lab.run(ROUTER, ["nft", "delete", "table", "inet", "portal"])
        if self._server is not None:
            self._server.kill()
            self._server.wait()

    def accept(self, host: str) -> None:
        """Click, as the person before a host would."""
        self._lab.run(host, ["curl", "-sS", "--max-time", "5", ACCEPT], check=True)
