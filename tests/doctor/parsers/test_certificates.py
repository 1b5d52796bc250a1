"""Certificates as certutil, PowerShell and files show them."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from throughway.doctor.examination import examine
from throughway.doctor.parser import Parser
from throughway.doctor.parsers.certificates import (
    PARSERS,
    certutil_dump,
    certutil_store,
    certutil_urlcache,
    certutil_verify,
    files,
    get_childitem_cert,
)
from throughway.model.errors import ParseError
from throughway.model.evidence import Evidence
from throughway.model.facts.base import Fact
from throughway.model.facts.certificates import (
    CachedURL,
    Certificate,
    CertificateVerification,
    CRLRetrieval,
    NoCertificates,
    RevocationList,
    Store,
)

HASH = "779a97b1d8e492b5bafebc02338845ffdff76ad2"
ISSUER = "CN=Example Issuing CA, DC=example, DC=com"
STORE = f"""My "Personal"
================ Certificate 0 ================
Serial Number: 5800000002ca70ea4e42f218a6000000000002
Issuer: {ISSUER}
 NotBefore: 11/3/2023 8:14 PM
 NotAfter: 11/3/2025 8:14 PM
Subject: CN=client1.example.com
Certificate Template Name (Certificate Type): Machine
Non-root Certificate
Cert Hash(sha1): {HASH}
  Key Container = 46f11b4056ad38609b08d1dea6880023_7989b711
  Provider = Microsoft RSA SChannel Cryptographic Provider
Encryption test passed

================ Certificate 1 ================
Archived!
Serial Number: 11aa22bb
Issuer: CN=Old Root, DC=example, DC=com
 NotBefore: 03.04.2020 10:00
 NotAfter: 03.04.2030 10:00
Subject: CN=Old Root, DC=example, DC=com
Cert Hash(sha1): 88 9a 97 b1 d8 e4 92 b5 ba fe bc 02 33 88 45 ff df f7 6a d2
Missing stored keyset
CertUtil: -store command completed successfully.
"""
GERMAN = f"""my "Eigene Zertifikate"
================ Zertifikat 0 ================
Seriennummer: 5800000002ca70ea4e42f218a6000000000002
Aussteller: {ISSUER}
 Nicht vor: 03.11.2023 20:14
 Nicht nach: 03.11.2025 20:14
Antragsteller: CN=client1.example.com
Kein Stammzertifikat
Zertifikathash(sha1): {HASH}
  Schlüsselcontainer = 46f11b4056ad38609b08d1dea6880023_7989b711
Verschlüsselungstest wurde durchgeführt
CertUtil: -store-Befehl wurde erfolgreich ausgeführt.
"""
CHINESE = f"""My "个人"
================ 证书 0 ================
序列号: 5800000002ca70ea4e42f218a6000000000002
颁发者: {ISSUER}
 NotBefore: 2023/11/3 20:14
 NotAfter: 2025/11/3 20:14
使用者: CN=client1.example.com
非根证书
证书哈希(sha1): {HASH}
  密钥容器 = 46f11b4056ad38609b08d1dea6880023_7989b711
加密测试通过
CertUtil: -store 命令成功完成。
"""
VERIFY = f"""Issuer:
    CN=Example Issuing CA
    DC=example
    DC=com
  Name Hash(sha1): 55758060d1c853dbf76f17adb6e8a46007e2a017
Subject:
    CN=da.example.com
  Name Hash(sha1): 81305be4b49289dd287b505b300ec5e107485203

ChainContext.dwInfoStatus = CERT_TRUST_HAS_PREFERRED_ISSUER (0x100)
ChainContext.dwErrorStatus = CERT_TRUST_IS_OFFLINE_REVOCATION (0x1000000)

CertContext[0][0]: dwInfoStatus=102 dwErrorStatus=1000040
  Issuer: {ISSUER}
  NotBefore: 7/1/2024 9:44 AM
  NotAfter: 7/1/2026 9:44 AM
  Subject: CN=da.example.com
  Serial: 1200000002e7565ff3f4f3b9d0000000000002
  SubjectAltName: DNS Name=da.example.com, DNS Name=*.da.example.com
  Cert: 092eb7929b8eac83c44c3ae8e71b0034e176c23b
  ----------------  Certificate AIA  ----------------
  Verified "Certificate (0)" Time: 0
    [0.0] http://pki.example.com/issuing.crt

  ----------------  Certificate CDP  ----------------
  Verified "Base CRL (5a)" Time: 0 5ed0044ac937193b78f9878ad7bac5c9ff7534ff
    [0.0] http://crl.example.com/issuing.crl
  Failed "CDP" Time: 0 (null)
    Error retrieving URL: The server name could not be resolved 0x80072ee7 (WinHttp: 12007)
    http://inside.example.com/issuing.crl
  ----------------  Certificate OCSP  ----------------
  No URLs "None" Time: 0 (null)
    CRL 5a:
    Issuer: {ISSUER}
    ThisUpdate: 7/1/2024 9:44 AM
    NextUpdate: 7/8/2024 9:44 AM

CertContext[0][1]: dwInfoStatus=10c dwErrorStatus=0
  Issuer: CN=Example Root
  Subject: CN=Example Issuing CA
Revocation was not checked 0x80092013 (-2146885613 CRYPT_E_REVOCATION_OFFLINE)
CertUtil: -verify command completed successfully.
"""


def read(parser: Parser, text: str, command: str = "") -> list[Fact]:
    return list(parser.parse(Evidence("a.txt", text, command=command)))


def certificates(parser: Parser, text: str, command: str = "") -> list[Certificate]:
    return [fact for fact in read(parser, text, command) if isinstance(fact, Certificate)]


def test_a_store() -> None:
    first, second = certificates(certutil_store.PARSER, STORE)
    assert (first.store, first.subject, first.issuer) == (
        Store.MACHINE,
        "CN=client1.example.com",
        ISSUER,
    )
    assert first.serial == "5800000002ca70ea4e42f218a6000000000002"
    assert (first.thumbprint, first.private_key, first.archived) == (HASH, True, False)
    assert (first.not_before, first.not_after) == (
        datetime(2023, 11, 3, 20, 14),
        datetime(2025, 11, 3, 20, 14),
    )
    assert (first.usages, first.names, first.self_signed) == (None, None, False)
    assert (second.archived, second.private_key, second.self_signed) == (True, False, True)
    assert second.thumbprint == "889a97b1d8e492b5bafebc02338845ffdff76ad2"


@pytest.mark.parametrize("text", [GERMAN, CHINESE], ids=["de", "zh"])
def test_a_store_by_form(text: str) -> None:
    (found,) = certificates(certutil_store.PARSER, text)
    assert (found.store, found.subject, found.issuer) == (
        Store.MACHINE,
        "CN=client1.example.com",
        ISSUER,
    )
    assert (found.thumbprint, found.private_key) == (HASH, True)
    assert found.not_after == datetime(2025, 11, 3, 20, 14)


@pytest.mark.parametrize(
    ("command", "header", "store"),
    [
        ("certutil -store My", 'My "Personal"', Store.MACHINE),
        ("certutil -user -store My", 'My "Personal"', Store.USER),
        ("certutil -store Root", 'Root "Trusted Root Certification Authorities"', Store.ROOT),
        ("", 'CA "Intermediate Certification Authorities"', Store.INTERMEDIATE),
        ("certutil -store -silent CA", "", Store.INTERMEDIATE),
    ],
)
def test_which_store_it_is(command: str, header: str, store: Store) -> None:
    text = header + STORE[STORE.index("\n") :]
    found = certificates(certutil_store.PARSER, text, command)
    assert {c.store for c in found} == {store}


def test_an_empty_store() -> None:
    text = 'My "Personal"\nCertUtil: -store command completed successfully.\n'
    (none,) = read(certutil_store.PARSER, text, "certutil -store My")
    assert isinstance(none, NoCertificates)
    assert none.store is Store.MACHINE
    for broken in (
        'My "Personal"\n',
        'My "Personal"\nCertUtil: -store command FAILED: 0x80070005 (WIN32: 5)\n',
    ):
        assert read(certutil_store.PARSER, broken, "certutil -store My") == []


def test_the_verbose_form() -> None:
    text = f"""My "Personal"
================ Certificate 0 ================
X509 Certificate:
Version: 3
Serial Number: 5800000002ca70ea4e42f218a6000000000002
Signature Algorithm:
    Algorithm ObjectId: 1.2.840.113549.1.1.11 sha256RSA
Issuer:
    CN=Example Issuing CA
    DC=example
    DC=com
  Name Hash(sha1): 55758060d1c853dbf76f17adb6e8a46007e2a017

 NotBefore: 11/3/2023 8:14 AM
 NotAfter: 11/3/2025 8:14 AM

Subject:
    CN=client1.example.com
  Name Hash(sha1): 81305be4b49289dd287b505b300ec5e107485203

Certificate Extensions: 3
    2.5.29.37: Flags = 0, Length = 16
    Enhanced Key Usage
        Server Authentication (1.3.6.1.5.5.7.3.1)

    2.5.29.17: Flags = 0, Length = 25
    Subject Alternative Name
        DNS Name=client1.example.com

    2.5.29.31: Flags = 0, Length = 40
    CRL Distribution Points
                       URL=http://crl.example.com/issuing.crl

    2.5.29.19: Flags = 1(Critical), Length = 2
    Basic Constraints
        Subject Type=End Entity

Key Id Hash(sha1): 1d1c2b3a49586776859401a2b3c4d5e6f7089a1b
Cert Hash(sha1): {HASH}
Cert Hash(sha256): {HASH}{HASH[:24]}
Encryption test passed
"""
    (found,) = certificates(certutil_store.PARSER, text)
    assert (found.subject, found.issuer) == ("CN=client1.example.com", ISSUER)
    assert found.not_before == datetime(2023, 11, 3, 8, 14)
    assert found.usages == ("1.3.6.1.5.5.7.3.1",)
    assert found.names == ("client1.example.com",)
    assert found.crl_urls == ("http://crl.example.com/issuing.crl",)
    assert (found.authority, found.thumbprint) == (False, HASH)


def test_a_verification() -> None:
    facts = read(certutil_verify.PARSER, VERIFY)
    (verdict,) = [f for f in facts if isinstance(f, CertificateVerification)]
    assert (verdict.subject, verdict.issuer) == ("CN=da.example.com", ISSUER)
    assert verdict.errors == ("CERT_TRUST_IS_OFFLINE_REVOCATION", "CRYPT_E_REVOCATION_OFFLINE")
    assert verdict.error_codes == (0x80092013,)
    (leaf,) = [f for f in facts if isinstance(f, Certificate)]
    assert leaf.names == ("da.example.com", "*.da.example.com")
    assert leaf.thumbprint == "092eb7929b8eac83c44c3ae8e71b0034e176c23b"
    assert [(f.url, f.retrieved, f.error_code) for f in facts if isinstance(f, CRLRetrieval)] == [
        ("http://crl.example.com/issuing.crl", True, None),
        ("http://inside.example.com/issuing.crl", False, 0x80072EE7),
    ]
    (revocation,) = [f for f in facts if isinstance(f, RevocationList)]
    assert revocation.next_update == datetime(2024, 7, 8, 9, 44)


def test_the_cache() -> None:
    text = "\nhttp://crl.example.com/a.crl\nWinHttp Cache entries: 1\n"
    (found,) = read(certutil_urlcache.PARSER, text)
    assert isinstance(found, CachedURL)
    assert found.url == "http://crl.example.com/a.crl"


def test_a_dump_of_a_list() -> None:
    text = """X509 Certificate Revocation List:
Version: 2
Signature Algorithm:
    Algorithm ObjectId: 1.2.840.113549.1.1.11 sha256RSA
Issuer:
    CN=Example Issuing CA
    DC=example
    DC=com
  Name Hash(sha1): 55758060d1c853dbf76f17adb6e8a46007e2a017

 ThisUpdate: 11/1/2024 1:00 PM
 NextUpdate: 11/9/2024 1:20 AM
CRL Entries: 1

  Serial Number: 5800000002ca70ea4e42f218a6000000000002
   Revocation Date: 11/1/2024 1:00 PM
"""
    (found,) = read(certutil_dump.PARSER, text)
    assert isinstance(found, RevocationList)
    assert found.issuer == ISSUER
    assert found.next_update == datetime(2024, 11, 9, 1, 20)
    assert found.revoked == ("5800000002ca70ea4e42f218a6000000000002",)


def test_the_drive() -> None:
    text = f"""

   PSParentPath: Microsoft.PowerShell.Security\\Certificate::LocalMachine\\My

Thumbprint                                Subject
----------                                -------
{HASH.upper()}  CN=client1.example.com


"""
    (found,) = certificates(get_childitem_cert.PARSER, text)
    assert (found.store, found.thumbprint) == (Store.MACHINE, HASH)
    assert (found.subject, found.private_key, found.usages) == (
        "CN=client1.example.com",
        None,
        None,
    )
    text = f"""
EnhancedKeyUsageList : {{Client Authentication (1.3.6.1.5.5.7.3.2)}}
DnsNameList          : {{client1.example.com}}
NotAfter             : 11/3/2025 8:14:00 AM
HasPrivateKey        : False
Issuer               : {ISSUER}
Subject              : CN=client1.example.com
Thumbprint           : {HASH.upper()}
"""
    command = r"Get-ChildItem Cert:\LocalMachine\My | Format-List *"
    (found,) = certificates(get_childitem_cert.PARSER, text, command)
    assert (found.store, found.private_key) == (Store.MACHINE, False)
    assert found.usages == ("1.3.6.1.5.5.7.3.2",)
    assert found.not_after is not None


def made() -> tuple[x509.Certificate, x509.CertificateRevocationList]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.DOMAIN_COMPONENT, "com"),
            x509.NameAttribute(NameOID.DOMAIN_COMPONENT, "example"),
            x509.NameAttribute(NameOID.COMMON_NAME, "Example Issuing CA"),
        ]
    )
    start = datetime(2024, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(0xABC)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=365))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("DA.example.com")]), False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)
        .sign(key, hashes.SHA256())
    )
    entry = x509.RevokedCertificateBuilder().serial_number(0xDEF).revocation_date(start).build()
    revocation = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(name)
        .last_update(start)
        .next_update(start + timedelta(days=7))
        .add_revoked_certificate(entry)
        .sign(key, hashes.SHA256())
    )
    return certificate, revocation


@pytest.mark.parametrize("encoding", [Encoding.DER, Encoding.PEM])
def test_files(tmp_path: Path, encoding: Encoding) -> None:
    certificate, revocation = made()
    (tmp_path / "a.cer").write_bytes(certificate.public_bytes(encoding))
    (tmp_path / "b.crl").write_bytes(revocation.public_bytes(encoding))
    (tmp_path / "c.p7b").write_bytes(pkcs7.serialize_certificates([certificate], encoding))
    reading = examine([tmp_path]).reading
    assert reading.unreadable == []
    facts = [fact for item in reading.read for fact in item.facts]
    first, _ = [fact for fact in facts if isinstance(fact, Certificate)]
    assert (first.subject, first.serial) == (ISSUER, "abc")
    assert (first.names, first.usages) == (("da.example.com",), ("1.3.6.1.5.5.7.3.2",))
    assert first.crl_urls == ()
    (found,) = [fact for fact in facts if isinstance(fact, RevocationList)]
    assert (found.issuer, found.revoked) == (ISSUER, ("def",))


def test_broken_files() -> None:
    certificate, _ = made()
    data = certificate.public_bytes(Encoding.DER)
    assert files.magic(data)
    draw = random.Random(3)
    for end in range(0, len(data), 29):
        with pytest.raises(ParseError):
            list(files.PARSER.parse(Evidence("a.cer", content=data[:end] or b"0")))
    for _ in range(100):
        changed = bytearray(data)
        for at in draw.sample(range(len(changed)), 6):
            changed[at] = draw.randrange(256)
        try:
            list(files.PARSER.parse(Evidence("a.cer", content=bytes(changed))))
        except ParseError:
            continue


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_broken_outputs_are_read_or_refused(parser: Parser) -> None:
    whole = STORE + VERIFY + CHINESE
    draw = random.Random(9)
    texts = [whole[:end] for end in range(0, len(whole), 31)]
    for _ in range(60):
        letters = list(whole)
        for at in draw.sample(range(len(letters)), 40):
            letters[at] = draw.choice(':\n -{}[]="0aZ\0\uff1a\u3000')
        texts.append("".join(letters))
    for text in texts:
        try:
            found = read(parser, text)
        except ParseError:
            continue
        assert not any(isinstance(fact, NoCertificates) for fact in found)
