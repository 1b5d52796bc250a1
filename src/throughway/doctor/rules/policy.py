"""Rules about group policy: what has reached the client."""

from throughway.catalogue.on_windows import policy as catalogue
from throughway.doctor.rule import Rule
from throughway.model.evidence import Role
from throughway.model.facts.domain import GroupPolicyResult
from throughway.model.facts.names import DAClientExperience, NRPTRule, NRPTTable, PolicyView
from throughway.model.findings import Confidence, Finding

_SERVERS = "server"
_EMPTY = ("empty", "leer", "vide", "vac", "\u7a7a")
"""A policy that is filtered out because it has nothing for this part is no fault."""

Signs = tuple[NRPTTable | DAClientExperience, ...]


def filtered_out(result: GroupPolicyResult) -> Finding | None:
    """The policy for clients is there, and something keeps it from this computer."""
    # Who applies the servers' policy is a server, and is kept from that of the clients.
    if not result.computer or any(_is_ours(name) for name in result.applied):
        return None
    for name, reason in result.filtered:
        if _is_for_clients(name) and not any(word in reason.lower() for word in _EMPTY):
            return Finding(
                problem=catalogue.GPO_NOT_APPLIED,
                summary=f"The policy {name} is not applied: {reason or 'it is filtered out'}.",
                reason="the result of the policies says exactly this",
                evidence=(result.source,),
                values=(("GPO", name),),
            )
    return None


def not_listed(
    result: GroupPolicyResult, rules: tuple[NRPTRule, ...], signs: Signs
) -> Finding | None:
    """No policy of DirectAccess is listed, and what it would bring is not there."""
    names = (*result.applied, *(name for name, _ in result.filtered))
    if not result.computer or not result.applied or any(_is_ours(name) for name in names):
        return None
    lacking = [sign for sign in signs if _is_empty(sign)]
    if not lacking or any(rule.dns_servers for rule in rules):
        return None
    return Finding(
        problem=catalogue.GPO_NOT_APPLIED,
        summary="None of the policies that were applied is of DirectAccess.",
        confidence=Confidence.LIKELY,
        reason="none has the name, and the settings that it would bring are empty",
        evidence=(result.source, lacking[0].source),
    )


def settings_empty(experience: DAClientExperience) -> Finding | None:
    """The settings that only the policy brings are empty."""
    if not _is_empty(experience):
        return None
    return Finding(
        problem=catalogue.GPO_NOT_APPLIED,
        summary="The client has no settings of DirectAccess.",
        confidence=Confidence.LIKELY,
        reason="the policy for clients always brings tunnel endpoints and resources",
        evidence=(experience.source,),
    )


def _is_ours(name: str) -> bool:
    return "directaccess" in name.lower().replace(" ", "")


def _is_for_clients(name: str) -> bool:
    return _is_ours(name) and _SERVERS not in name.lower()


def _is_empty(sign: NRPTTable | DAClientExperience) -> bool:
    if isinstance(sign, NRPTTable):
        return sign.view is PolicyView.POLICY and not sign.rules and not sign.error_code
    given = sign.tunnel_endpoints or sign.corporate_resources
    # A name that was not printed may have been cut off, with the rest.
    return not given and sign.friendly_name == ""


RULES = (
    Rule((catalogue.GPO_NOT_APPLIED,), filtered_out, Role.CLIENT),
    Rule((catalogue.GPO_NOT_APPLIED,), not_listed, Role.CLIENT),
    Rule((catalogue.GPO_NOT_APPLIED,), settings_empty, Role.CLIENT),
)
