"""Faults of accounts that the directory takes back from who has come in with them.

The gateway asks Active Directory in all of these (docs/operate/access.md); it is restarted for it.
"""

from dataclasses import dataclass

from throughway.lab import deployment, processes
from throughway.lab.deployment import CONFIGURATION, GATEWAY_CONFIG
from throughway.lab.domain import account
from throughway.lab.faults.fault import GATEWAY, Fault, Scene, Step
from throughway.lab.faults.steps import Edit, Heard, Put, Run, restart_gateway

USERS, COMPUTERS = "Fault Users", "Fault Computers"
WORK_TIMEOUT = 60.0
"""Seconds until somebody is back at work after a restart of the gateway; two or three are usual."""
KEYTAB = f"{CONFIGURATION}/directory.keytab"
TABLE = f"""
[directory]
domain = "corp.example.com"
keytab = "{KEYTAB}"
principal = "EDGE1$"
interval = 2.0

[[access]]
computers = ["{COMPUTERS}"]
users = ["{USERS}"]

[publish]
"""


@dataclass(frozen=True, slots=True)
class Samba:
    """An account of the domain is changed; a CLIENT in the words is the client's account."""

    breaks: tuple[str, ...]
    mends: tuple[str, ...]
    holds: tuple[str, ...] = ()

    def do(self, scene: Scene) -> None:
        """Change it."""
        scene.lab.run("dc1", self._command(scene, self.breaks), check=True)

    def undo(self, scene: Scene) -> None:
        """Change it back; what is so already is no error."""
        scene.lab.run("dc1", self._command(scene, self.mends))

    def _command(self, scene: Scene, words: tuple[str, ...]) -> list[str]:
        own = account(scene.client)
        return ["samba-tool", *(word.replace("CLIENT$", own) for word in words)]


@dataclass(frozen=True, slots=True)
class AtWork:
    """Somebody works before anything is taken back."""

    holds: tuple[str, ...] = ()

    def do(self, scene: Scene) -> None:
        """Wait until the user's tunnel is up again."""
        spaces = scene.lab.namespaces(scene.client)

        def works() -> bool:
            tunnels = deployment.status_of(spaces, deployment.CLIENT).get("tunnels", ())
            return any(t["name"] == "intranet" and t["state"] == "up" for t in tunnels)

        processes.wait_until(works, WORK_TIMEOUT, f"the intranet tunnel of {scene.client}")

    def undo(self, scene: Scene) -> None:
        """Nothing."""


def _group(name: str, member: str) -> Run:
    add = f"""
    samba-tool group show '{name}' >/dev/null 2>&1 || samba-tool group add '{name}'
    samba-tool group addmembers '{name}' '{member}'
    """
    delete = f"samba-tool group delete '{name}' || ! samba-tool group show '{name}'"
    return Run("dc1", ("sh", "-ec", add), ("sh", "-c", delete), (f"dc1:{name}",))


def _keytab(scene: Scene) -> bytes:
    # The gateway's own account is in the keytab that the domain has made for it.
    return processes.read_file(scene.lab.namespaces(GATEWAY), f"{CONFIGURATION}/gateway.keytab")


def _asked(*steps: Step) -> tuple[Step, ...]:
    """Return the steps with what makes the gateway ask the directory before them."""
    return (
        _group(USERS, "alice"),
        _group(COMPUTERS, "CLIENT1$,CLIENT2$"),
        Heard(
            (
                Put(GATEWAY, KEYTAB, _keytab, 0o600),
                Edit(GATEWAY, GATEWAY_CONFIG, "\n[publish]\n", TABLE),
            ),
            restart_gateway,
        ),
        AtWork(),
        *steps,
    )


FAULTS = (
    Fault(
        name="user-disabled-cut",
        title="the user's account is disabled, and the gateway asks the directory",
        steps=_asked(Samba(("user", "disable", "alice"), ("user", "enable", "alice"))),
        client="access-account-disabled",
        gateway="access-account-disabled",
    ),
    Fault(
        name="user-out-of-group",
        title="the user is taken out of the group of who may come in",
        steps=_asked(
            Samba(
                ("group", "removemembers", USERS, "alice"),
                ("group", "addmembers", USERS, "alice"),
            )
        ),
        client="access-group-missing",
        gateway="access-group-missing",
    ),
    Fault(
        name="computer-disabled-cut",
        title="the computer's account is disabled, and the gateway asks the directory",
        steps=_asked(Samba(("user", "disable", "CLIENT$"), ("user", "enable", "CLIENT$"))),
        client="access-account-disabled",
        gateway="access-account-disabled",
    ),
)
