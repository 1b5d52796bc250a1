"""Problems of one-time codes, as the client hears them and the gateway tells them."""

from throughway.catalogue.host import CLOCK_SKEW
from throughway.model.findings import Component, Problem, Severity

AGAIN = ("throughway login USER --code",)


def _problem(
    code: str, title: str, cause: str, resolution: str, *fix: str, roots: tuple[Problem, ...] = ()
) -> Problem:
    return Problem(
        code=code,
        title=title,
        severity=Severity.CRITICAL,
        component=Component.AUTHORISER,
        cause=cause,
        resolution=resolution,
        fix=fix or AGAIN,
        verify=AGAIN,
        depends_on=roots,
    )


WRONG = _problem(
    "one-time-code-wrong",
    "The one-time code is wrong",
    "It is not the code that the user's device shows, or the RADIUS server refused it.",
    "Log on again with the code that the device shows now.",
)
USED = _problem(
    "one-time-code-used",
    "The one-time code was used before",
    "Each code counts once. Either it was typed twice, or somebody else has used it.",
    "Wait for the device's next code. If nobody typed the first, give the user a new secret.",
)
CLOCK = _problem(
    "one-time-code-clock",
    "The one-time code is of another time",
    "The code is the user's, but of some minutes ago or ahead: the clock of the device, or of the "
    "gateway, is wrong.",
    "Set the clock of the device by the network; look at the gateway's.",
    "timedatectl",
    roots=(CLOCK_SKEW,),
)
TOO_MANY = _problem(
    "one-time-code-too-many",
    "Too many wrong one-time codes",
    "After five wrong codes none of the user's counts for five minutes, so that nobody can guess.",
    "Wait, and log on again. If the user did not type them, somebody knows the password: change "
    "it.",
)
UNKNOWN = _problem(
    "one-time-code-unknown-user",
    "The user has no device for one-time codes",
    "The gateway has no secret for this user.",
    "Make one and give it to the user, by a way on which nobody else can read it.",
    "throughway gateway totp add USER",
)
NOT_OFFERED = _problem(
    "one-time-code-not-offered",
    "The gateway takes no one-time codes",
    "The policy names no service for them: the gateway has no [users.codes].",
    "Log on without --code; or have the administrator set codes up and build the policy anew.",
    "throughway login USER",
)
ENDED = _problem(
    "one-time-code-ended",
    "What was given for the one-time code has ended",
    "A right code is worth a certificate of some hours. They are over, and with them the intranet "
    "tunnel; the user is logged off.",
    "Log on again, with a new code.",
)
SERVICE_DOWN = _problem(
    "one-time-code-service-down",
    "The gateway's code service does not answer",
    "It cannot be reached through the infrastructure tunnel, or it cannot ask the authority or "
    "the RADIUS server.",
    "Look at the gateway's log: it names what did not answer.",
    "journalctl -u throughway-gateway --since -10min",
)

FOR_THE_USER = (WRONG, USED, CLOCK, TOO_MANY, ENDED)
PROBLEMS = (*FOR_THE_USER, UNKNOWN, NOT_OFFERED, SERVICE_DOWN)
