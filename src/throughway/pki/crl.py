"""Revocation lists as evidence: base and delta CRLs (RFC 5280, sections 5 and 6.3).

A list that is out of date still proves that a certificate was revoked; nothing but a whole and
current one proves that it was not. Whatever bytes come, there is a verdict.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from cryptography import x509
from cryptography.x509.oid import CRLEntryExtensionOID, ExtensionOID

from throughway.model.revocation import Fault, Standing, Verdict
from throughway.pki.judgement import RevocationFact, RevocationState, hex_of, name_of, serial_of
from throughway.pki.pem import UNREADABLE, parse_crl

SKEW = timedelta(minutes=5)
"""By which clocks of computers differ."""
UNDATED = timedelta(days=7)
"""Life of a list without nextUpdate, which RFC 5280 does not allow (5.1.2.5)."""

KNOWN = frozenset(
    {
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.ISSUER_ALTERNATIVE_NAME,
        ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
        ExtensionOID.CRL_NUMBER,
        ExtensionOID.DELTA_CRL_INDICATOR,
        ExtensionOID.FRESHEST_CRL,
        ExtensionOID.ISSUING_DISTRIBUTION_POINT,
    }
)
"""Extensions of a list that we can process, critical or not."""
KNOWN_OF_ENTRIES = frozenset(
    {CRLEntryExtensionOID.CRL_REASON, CRLEntryExtensionOID.INVALIDITY_DATE}
)
_CRITICAL = b"\x01\x01\xff"
"""The BOOLEAN that makes an extension critical, in DER."""

_STATES = {
    None: RevocationState.GOOD,
    Fault.REVOKED: RevocationState.REVOKED,
    Fault.EXPIRED: RevocationState.STALE,
}

Extension = TypeVar("Extension", bound=x509.ExtensionType)


class _Refused(Exception):
    """A list that says nothing of the certificate."""

    def __init__(self, fault: Fault, why: str) -> None:
        super().__init__(why)
        self.fault, self.why = fault, why


@dataclass(frozen=True, slots=True)
class _List:
    """A list that is authentic and whose scope holds the certificate."""

    crl: x509.CertificateRevocationList
    number: int | None
    base_number: int | None
    """Of a delta list: the base that it goes with."""
    partial: str
    """Why it does not tell of every reason, "" when it does."""

    @property
    def ends(self) -> datetime:
        return self.crl.next_update_utc or self.crl.last_update_utc + UNDATED


def judge_crl(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    base: bytes | x509.CertificateRevocationList,
    now: datetime,
    *,
    deltas: Sequence[bytes] | None = (),
) -> Verdict:
    """Return what a base list, with the delta lists that could be had, says of a certificate.

    None for ``deltas``: they are not asked for, even where the list says that there are some.
    """
    try:
        verdict = _judge(certificate, issuer, base, now, deltas)
    except _Refused as refused:
        verdict = unknown(refused.fault, refused.why)
    except UNREADABLE as error:
        verdict = unknown(Fault.UNUSABLE, f"what is served is no usable CRL: {error}")
    return about(verdict, certificate)


def revocation(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    crl: x509.CertificateRevocationList | None,
    now: datetime,
) -> RevocationFact:
    """Judge by one list that an administrator has given, without delta lists."""
    if crl is None:
        return RevocationFact(state=RevocationState.UNKNOWN, why="there is no CRL")
    verdict = judge_crl(certificate, issuer, crl, now, deltas=None)
    state = _STATES.get(verdict.fault, RevocationState.UNKNOWN)
    return RevocationFact(state=state, why="" if verdict.fault is None else verdict.why)


def unknown(fault: Fault, why: str, url: str = "") -> Verdict:
    """Return the verdict that nothing is known, with the reason."""
    return Verdict(standing=Standing.UNKNOWN, fault=fault, why=why, url=url)


def about(verdict: Verdict, certificate: x509.Certificate) -> Verdict:
    """Return the verdict with the certificate that it is about."""
    return replace(verdict, subject=name_of(certificate.subject), serial=serial_of(certificate))


def delta_urls(of: x509.Certificate | x509.CertificateRevocationList) -> tuple[str, ...]:
    """Return where it says that the delta list is (RFC 5280, 4.2.1.15 and 5.2.6)."""
    try:
        points = of.extensions.get_extension_for_class(x509.FreshestCRL).value
    except (x509.ExtensionNotFound, *UNREADABLE):
        return ()
    return tuple(dict.fromkeys(url for point in points for url in point_urls(point)))


def delta_urls_of(base: bytes) -> tuple[str, ...]:
    """Return where a base list, as it came, says that its delta list is."""
    try:
        return delta_urls(parse_crl(base))
    except UNREADABLE:
        return ()


def point_urls(point: x509.DistributionPoint) -> Iterator[str]:
    """Yield the addresses of a distribution point, of whatever scheme."""
    for name in point.full_name or ():
        if isinstance(name, x509.UniformResourceIdentifier):
            yield name.value


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFact:
    """One entry of a list."""

    serial: str
    revoked_at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFact:
    """What a list says of itself, for people."""

    issuer: str = "(no CRL)"
    number: int | None = None
    base_number: int | None = None
    """Of a delta list."""
    this_update: datetime | None = None
    next_update: datetime | None = None
    delta_urls: tuple[str, ...] = ()
    revoked: tuple[EntryFact, ...] = ()


def describe(data: bytes) -> ListFact:
    """Return what a list says, whoever signed it."""
    try:
        crl = parse_crl(data)
        number, base = _extension(crl, x509.CRLNumber), _extension(crl, x509.DeltaCRLIndicator)
        return ListFact(
            issuer=name_of(crl.issuer),
            number=number.crl_number if number is not None else None,
            base_number=base.crl_number if base is not None else None,
            this_update=crl.last_update_utc,
            next_update=crl.next_update_utc,
            delta_urls=delta_urls(crl),
            revoked=tuple(
                EntryFact(
                    serial=hex_of(entry.serial_number),
                    revoked_at=entry.revocation_date_utc,
                    reason=str(_reason(entry).value),
                )
                for entry in crl
            ),
        )
    except UNREADABLE:
        return ListFact()


def issuer_of(data: bytes) -> bytes:
    """Return the issuer (DER) of a list, b"" when it is no list."""
    try:
        return parse_crl(data).issuer.public_bytes()
    except UNREADABLE:
        return b""


def issuer_name(data: bytes) -> str:
    """Return whose list it is, for people; it is cheap, however long the list is."""
    try:
        return name_of(parse_crl(data).issuer)
    except UNREADABLE:
        return "(no CRL)"


def listed(data: bytes, among: Collection[int]) -> frozenset[int]:
    """Return which of these serial numbers a list revokes."""
    try:
        # Long lists have a hundred thousand entries: nothing is asked of those of others.
        hits = [entry for entry in parse_crl(data) if entry.serial_number in among]
        back = x509.ReasonFlags.remove_from_crl
        return frozenset(e.serial_number for e in hits if _reason(e) is not back)
    except UNREADABLE:
        return frozenset()


def distrust(data: bytes, issuers: Sequence[x509.Certificate]) -> str:
    """Say why a list, base or delta, is of none of these issuers; "" when it is of one."""
    try:
        crl = parse_crl(data)
        named = [issuer for issuer in issuers if issuer.subject == crl.issuer]
        why = f"what is served is the CRL of {name_of(crl.issuer)}"
    except UNREADABLE as error:
        return f"what is served is no usable CRL: {error}"
    for issuer in named:
        try:
            _check_signature(crl, issuer)
        except _Refused as refused:
            why = refused.why
        except UNREADABLE as error:
            why = f"the signature of the CRL cannot be checked: {error}"
        else:
            return ""
    return why


def life_of(data: bytes) -> tuple[datetime, datetime] | None:
    """Return from when to when a list is good, None when it is no list."""
    try:
        crl = parse_crl(data)
        return crl.last_update_utc, crl.next_update_utc or crl.last_update_utc + UNDATED
    except UNREADABLE:
        return None


def _judge(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    data: bytes | x509.CertificateRevocationList,
    now: datetime,
    deltas: Sequence[bytes] | None,
) -> Verdict:
    base = _read(certificate, issuer, data)
    if base.base_number is not None:
        raise _Refused(Fault.UNUSABLE, "what is served in place of the CRL is a delta CRL")
    entry = _entry(base.crl, certificate)
    fitting, trouble = _fitting(certificate, issuer, base, deltas or ())
    for delta in fitting:
        if base.number is not None and (delta.number or 0) < base.number:
            continue  # the base has been issued since, and says all that it did
        change = _entry(delta.crl, certificate)
        if change is not None:
            entry = None if _reason(change) is x509.ReasonFlags.remove_from_crl else change
    if entry is not None:
        return _revoked(entry, base)
    _check_time(base, now, "the CRL")
    for delta in fitting:
        _check_time(delta, now, "the delta CRL")
    wanted = deltas is not None and (delta_urls(certificate) or delta_urls(base.crl))
    if wanted and not fitting:
        raise trouble or _Refused(Fault.DELTA_MISSING, "its delta CRL could not be had")
    if base.partial:
        raise _Refused(Fault.UNUSABLE, base.partial)
    return Verdict(
        standing=Standing.GOOD,
        why=f"not in the CRL of {base.crl.last_update_utc:%Y-%m-%d %H:%M} UTC",
        this_update=base.crl.last_update_utc,
        next_update=min(each.ends for each in (base, *fitting)),
    )


def _read(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    data: bytes | x509.CertificateRevocationList,
) -> _List:
    """Return a list that may be believed about this certificate."""
    crl = parse_crl(data) if isinstance(data, bytes) else data
    if crl.issuer != certificate.issuer:
        raise _Refused(Fault.WRONG_SIGNER, f"what is served is the CRL of {name_of(crl.issuer)}")
    _check_signature(crl, issuer)
    for extension in crl.extensions:
        if extension.critical and extension.oid not in KNOWN:
            words = f"the CRL has a critical extension {extension.oid.dotted_string}"
            raise _Refused(Fault.UNUSABLE, f"{words}, which is not known here")
    scope = _extension(crl, x509.IssuingDistributionPoint)
    partial = _check_scope(certificate, scope) if scope is not None else ""
    _check_entries(crl)
    number = _extension(crl, x509.CRLNumber)
    indicator = _extension(crl, x509.DeltaCRLIndicator)
    return _List(
        crl,
        number.crl_number if number is not None else None,
        indicator.crl_number if indicator is not None else None,
        partial,
    )


def _check_signature(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> None:
    who = name_of(issuer.subject)
    try:
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        usage = None
    if usage is not None and not usage.crl_sign:
        raise _Refused(Fault.WRONG_SIGNER, f"{who} may not sign CRLs (its key usage)")
    try:
        signed = crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    except UNREADABLE:
        signed = False
    if not signed:
        raise _Refused(Fault.WRONG_SIGNER, f"the CRL is not signed with the key of {who}")


def _check_scope(certificate: x509.Certificate, scope: x509.IssuingDistributionPoint) -> str:
    """Refuse a list for other certificates; say why one is not of all reasons (6.3.3 (b))."""
    if scope.indirect_crl:
        raise _Refused(Fault.UNUSABLE, "it is an indirect CRL, which is not supported")
    authority = _is_authority(certificate)
    if scope.only_contains_attribute_certs:
        raise _Refused(Fault.UNUSABLE, "the CRL is for attribute certificates only")
    if scope.only_contains_user_certs and authority:
        raise _Refused(Fault.UNUSABLE, "the CRL is not for certificates of authorities")
    if scope.only_contains_ca_certs and not authority:
        raise _Refused(Fault.UNUSABLE, "the CRL is for certificates of authorities only")
    if (scope.full_name or scope.relative_name) and not _is_point_of(certificate, scope):
        raise _Refused(Fault.UNUSABLE, "the CRL is for another distribution point")
    return "the CRL does not tell of all reasons" if scope.only_some_reasons else ""


def _is_point_of(certificate: x509.Certificate, scope: x509.IssuingDistributionPoint) -> bool:
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return False
    for point in points:
        if scope.relative_name is not None and point.relative_name == scope.relative_name:
            return True
        if set(scope.full_name or ()) & set(point.full_name or ()):
            return True
    return False


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _check_entries(crl: x509.CertificateRevocationList) -> None:
    """Refuse a list with an entry that cannot be understood, whosever it is (5.3)."""
    critical = sum(extension.critical for extension in crl.extensions)
    # Long lists have a hundred thousand entries; there is nothing to look for in nearly all.
    if crl.tbs_certlist_bytes.count(_CRITICAL) <= critical:
        return
    for entry in crl:
        for extension in entry.extensions:
            if extension.critical and extension.oid == CRLEntryExtensionOID.CERTIFICATE_ISSUER:
                raise _Refused(Fault.UNUSABLE, "it is an indirect CRL, which is not supported")
            if extension.critical and extension.oid not in KNOWN_OF_ENTRIES:
                oid = extension.oid.dotted_string
                words = f"an entry of the CRL has a critical extension {oid}"
                raise _Refused(Fault.UNUSABLE, f"{words}, which is not known here")


def _fitting(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    base: _List,
    deltas: Sequence[bytes],
) -> tuple[list[_List], _Refused | None]:
    """Return the delta lists that go with this base, oldest first, and why another does not."""
    fitting: list[tuple[int, _List]] = []
    trouble = None
    for data in deltas:
        try:
            delta = _read(certificate, issuer, data)
        except _Refused as refused:
            trouble = trouble or _Refused(refused.fault, f"the delta CRL: {refused.why}")
            continue
        except UNREADABLE as error:
            why = f"what is served in place of the delta CRL is none: {error}"
            trouble = trouble or _Refused(Fault.DELTA_MISSING, why)
            continue
        if why := _misfit(base, delta):
            trouble = trouble or _Refused(Fault.DELTA_MISSING, why)
        else:
            fitting.append((delta.number or 0, delta))
    return [delta for _, delta in sorted(fitting, key=lambda each: each[0])], trouble


def _misfit(base: _List, delta: _List) -> str:
    """Say why a delta list does not go with the base (5.2.4)."""
    if delta.base_number is None or delta.number is None:
        return "what is served in place of the delta CRL is none"
    if base.number is None:
        return "the CRL has no number, so that no delta CRL goes with it"
    scopes = [_extension(each.crl, x509.IssuingDistributionPoint) for each in (base, delta)]
    if scopes[0] != scopes[1]:
        return "the delta CRL has another scope than the CRL"
    if delta.base_number > base.number:
        return f"the delta CRL needs CRL number {delta.base_number}, and this is {base.number}"
    return ""


def _check_time(each: _List, now: datetime, what: str) -> None:
    if each.crl.last_update_utc > now + SKEW:
        words = f"{what} is valid from {each.crl.last_update_utc:%Y-%m-%d %H:%M} UTC on"
        raise _Refused(Fault.UNUSABLE, words)
    if now >= each.ends:
        words = f"{what} was due to be replaced on {each.ends:%Y-%m-%d %H:%M} UTC"
        raise _Refused(Fault.EXPIRED, words)


def _entry(
    crl: x509.CertificateRevocationList, certificate: x509.Certificate
) -> x509.RevokedCertificate | None:
    return crl.get_revoked_certificate_by_serial_number(certificate.serial_number)


def _reason(entry: x509.RevokedCertificate) -> x509.ReasonFlags:
    with suppress(x509.ExtensionNotFound):
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    return x509.ReasonFlags.unspecified


def _revoked(entry: x509.RevokedCertificate, base: _List) -> Verdict:
    reason = _reason(entry)
    words = f"revoked on {entry.revocation_date_utc:%Y-%m-%d}"
    if reason is x509.ReasonFlags.certificate_hold:
        words = f"on hold since {entry.revocation_date_utc:%Y-%m-%d} (certificateHold)"
    elif reason is not x509.ReasonFlags.unspecified:
        words += f" ({reason.value})"
    return Verdict(
        standing=Standing.REVOKED,
        fault=Fault.REVOKED,
        why=words,
        this_update=base.crl.last_update_utc,
        next_update=base.ends,
    )


def _extension(crl: x509.CertificateRevocationList, kind: type[Extension]) -> Extension | None:
    try:
        return crl.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
