"""Problems of the authoriser, which judges users' Kerberos tickets on the gateway."""

from throughway.model.findings import Component, Problem, Severity

KEYTAB_UNUSABLE = Problem(
    code="user-keytab-unusable",
    title="The gateway cannot use its keytab",
    severity=Severity.CRITICAL,
    component=Component.AUTHORISER,
    cause=(
        "The keytab is missing, unreadable, or holds no key for the configured service; every "
        "user's ticket is refused."
    ),
    resolution="Export the service's key from the domain again and reload the gateway.",
    fix=("klist -k KEYTAB", "throughway gateway reload"),
    verify=("throughway gateway status authoriser",),
)

DOWN = Problem(
    code="authoriser-down",
    title="The authoriser does not answer",
    severity=Severity.CRITICAL,
    component=Component.AUTHORISER,
    cause="Its RADIUS port on the loopback address could not be opened; no user can log on.",
    resolution="Stop the program that holds the port and reload the gateway.",
    fix=("ss -lunp src [::1]", "throughway gateway reload"),
    verify=("throughway gateway status authoriser",),
    depends_on=(KEYTAB_UNUSABLE,),
)

PROBLEMS = (KEYTAB_UNUSABLE, DOWN)
