"""Problems of our daemons that they cannot tell themselves: seen by whoever asks them."""

from throughway.model.findings import Component, Problem, Severity

CLIENT_NOT_RUNNING = Problem(
    code="client-not-running",
    title="The client daemon does not run, or does not answer",
    severity=Severity.CRITICAL,
    component=Component.HOST,
    cause=(
        "This computer has joined, but nobody answers on the client's control socket: the daemon "
        "was stopped, ended because of an error in client.toml, or hangs. Nothing of the intranet "
        "is reached, and what a killed daemon has closed stays closed."
    ),
    resolution="Start it. If it ends again, the last lines of its log say why.",
    fix=("systemctl restart throughway-client", "journalctl -u throughway-client -n 50"),
    verify=("throughway client status",),
)

GATEWAY_NOT_RUNNING = Problem(
    code="gateway-not-running",
    title="The gateway daemon does not run, or does not answer",
    severity=Severity.CRITICAL,
    component=Component.GATEWAY,
    cause=(
        "This machine is configured as a gateway, but nobody answers on the gateway's control "
        "socket: the daemon was stopped, ended because of an error in its configuration or a "
        "certificate, or hangs. No client can connect."
    ),
    resolution="Check the configuration, then start it. Its log says at the end why it ended.",
    fix=(
        "throughway gateway check",
        "systemctl restart throughway-gateway",
        "journalctl -u throughway-gateway -n 50",
    ),
    verify=("throughway gateway status",),
)

PROBLEMS = (CLIENT_NOT_RUNNING, GATEWAY_NOT_RUNNING)
