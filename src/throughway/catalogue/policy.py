"""Problems of the policy bundle: what a client knows of its deployment."""

from throughway.catalogue.host import CLOCK_SKEW
from throughway.model.findings import Component, Problem, Severity

BUILD = "throughway policy build --config /etc/throughway/gateway.toml"
JOIN = "throughway client join policy.bundle"

MISSING = Problem(
    code="policy-missing",
    title="This client has joined no deployment",
    severity=Severity.CRITICAL,
    component=Component.POLICY,
    cause="There is no policy bundle, so the client knows neither gateway nor intranet.",
    resolution="Get the bundle from the administrator of the gateway and join with it.",
    fix=(JOIN, "systemctl restart throughway-client"),
    verify=("throughway client status",),
)

SIGNATURE_INVALID = Problem(
    code="policy-signature-invalid",
    title="The policy bundle is not signed by the deployment",
    severity=Severity.CRITICAL,
    component=Component.POLICY,
    cause=(
        "The signature does not fit the key that was pinned when this client joined: the bundle "
        "was changed on its way, comes from another deployment, or the signing key is new."
    ),
    resolution=(
        "The bundle was refused and the last good one stays in force. If the deployment has a "
        "new key, compare its fingerprint with the administrator's and join again."
    ),
    fix=(JOIN,),
    verify=("throughway client status",),
)

MALFORMED = Problem(
    code="policy-malformed",
    title="The policy bundle cannot be understood",
    severity=Severity.CRITICAL,
    component=Component.POLICY,
    cause="The bundle is damaged, or of a format newer than this client knows.",
    resolution="Update this client, or build the bundle again.",
    fix=(BUILD, JOIN),
    verify=("throughway version", "throughway client status"),
)

EXPIRED = Problem(
    code="policy-expired",
    title="The policy of this client has expired",
    severity=Severity.CRITICAL,
    component=Component.POLICY,
    cause=(
        "The bundle's last day is past. A policy that nobody renews is not obeyed, lest a "
        "client follow a deployment that has long changed."
    ),
    resolution="Build a new bundle on the gateway and join with it.",
    fix=(BUILD, JOIN),
    verify=("throughway client status",),
    depends_on=(CLOCK_SKEW,),
)

ROLLED_BACK = Problem(
    code="policy-rolled-back",
    title="An older policy was offered than the one in force",
    severity=Severity.WARNING,
    component=Component.POLICY,
    cause=(
        "The bundle has a lower version than the client's own: the gateway serves an old file, "
        "or somebody replays one."
    ),
    resolution="The older bundle was refused. Build and publish the current one.",
    fix=(BUILD,),
    verify=("throughway client refresh", "throughway client status"),
)

OUT_OF_DATE = Problem(
    code="policy-out-of-date",
    title="The policy of this client will expire soon and no newer one was found",
    severity=Severity.WARNING,
    component=Component.POLICY,
    cause=(
        "The client asks the gateway for newer bundles through the infrastructure tunnel, and "
        "either cannot reach it or is given the same one again."
    ),
    resolution="Build a new bundle on the gateway; clients fetch it by themselves.",
    fix=(BUILD, "throughway client refresh"),
    verify=("throughway client status",),
    depends_on=(EXPIRED,),
)

FETCH_FAILED = Problem(
    code="policy-unreachable",
    title="Newer policies cannot be fetched",
    severity=Severity.WARNING,
    component=Component.POLICY,
    cause="The address in the policy from which newer bundles come does not answer.",
    resolution=(
        "The policy in force stays. Look whether the gateway serves the bundle (publish.serve) "
        "and whether its address is among the infrastructure prefixes."
    ),
    fix=("curl --head POLICY_URL", "throughway client refresh"),
    verify=("throughway gateway status policy",),
    depends_on=(SIGNATURE_INVALID, MALFORMED),
    visible_after=60.0,
)

BUNDLE_MISSING = Problem(
    code="policy-not-built",
    title="The gateway has no policy bundle to give out",
    severity=Severity.WARNING,
    component=Component.POLICY,
    cause="The configuration tells what to publish, but the bundle was never built or was removed.",
    resolution="Build it; the gateway serves it from then on.",
    fix=(BUILD,),
    verify=("throughway gateway status policy",),
)

PROBLEMS = (
    MISSING,
    SIGNATURE_INVALID,
    MALFORMED,
    EXPIRED,
    ROLLED_BACK,
    OUT_OF_DATE,
    FETCH_FAILED,
    BUNDLE_MISSING,
)
