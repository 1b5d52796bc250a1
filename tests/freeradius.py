"""A real FreeRADIUS that asks for a PIN and then for a code."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.patience import PATIENCE
from tests.ports import free_port
from throughway.model.config import RADIUSConfig

PROGRAM = "/usr/sbin/freeradius"
SECRET = b"shared secret of tests"
PIN, CODE = "24-68-alice", "135790"
READY = "Ready to process requests"
QUESTION = "Enter the code of your token"

_CONFIGURATION = """
prefix = /usr
exec_prefix = /usr
sysconfdir = /etc
libdir = /usr/lib/freeradius
raddbdir = {folder}
logdir = {folder}
run_dir = {folder}
name = freeradius
pidfile = {folder}/pid
log {{
  destination = files
  file = {folder}/log
}}
security {{
  status_server = no
  allow_vulnerable_openssl = yes
}}
thread pool {{
  start_servers = 1
  max_servers = 2
}}
modules {{
  pap {{
  }}
  expr {{
  }}
  always handled {{
    rcode = handled
  }}
}}
client localhost {{
  ipaddr = 127.0.0.1
  secret = "{secret}"
  require_message_authenticator = yes
}}
server tokens {{
  listen {{
    type = auth
    ipaddr = 127.0.0.1
    port = {port}
  }}
  authorize {{
    if (!&State) {{
      update control {{
        &Cleartext-Password := "{pin}"
        &Auth-Type := question
      }}
    }}
    else {{
      update control {{
        &Cleartext-Password := "{code}"
        &Auth-Type := answer
      }}
    }}
    pap
  }}
  authenticate {{
    Auth-Type question {{
      pap
      if (ok) {{
        update reply {{
          &State := 0x71756573746966
          &Reply-Message := "{question}"
          &Message-Authenticator := 0x00
        }}
        update control {{
          &Response-Packet-Type := Access-Challenge
        }}
        handled
      }}
    }}
    Auth-Type answer {{
      pap
    }}
  }}
  post-auth {{
    update reply {{
      &Message-Authenticator := 0x00
    }}
    Post-Auth-Type REJECT {{
      update reply {{
        &Message-Authenticator := 0x00
        &Reply-Message := "not the code of your token"
      }}
    }}
  }}
}}
"""


def configuration(folder: str, port: int) -> str:
    """Return radiusd.conf; the server keeps everything in the folder."""
    return _CONFIGURATION.format(
        folder=folder, port=port, secret=SECRET.decode(), pin=PIN, code=CODE, question=QUESTION
    )


def command(folder: str) -> tuple[str, ...]:
    """Return what runs it until it is ended; it says when it is ready."""
    return (PROGRAM, "-f", "-l", "stdout", "-d", folder, "-n", "radiusd", "-xx")


@contextmanager
def serving(folder: Path) -> Iterator[RADIUSConfig]:
    """Run it; yield how it is asked."""
    port = free_port()
    (folder / "radiusd.conf").write_text(configuration(str(folder), port))
    secret = folder / "secret"
    secret.write_bytes(SECRET + b"\n")
    secret.chmod(0o600)
    process = subprocess.Popen(
        command(str(folder)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said = []
    try:
        for line in process.stdout:
            said.append(line)
            if READY in line:
                break
        else:
            raise AssertionError("".join(said[-20:]))
        yield RADIUSConfig(servers=(("127.0.0.1", port),), secret=secret, timeout=PATIENCE)
    finally:
        process.terminate()
        process.stdout.close()
        process.wait(PATIENCE)
