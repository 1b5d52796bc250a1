"""An authority as AD CS is one, by openssl: two levels, and all that stands in its certificates."""

import subprocess
from pathlib import Path

ROOT, ISSUING = "corp-root", "corp-issuing"
CONFIGURATION = """
[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, digitalSignature, keyCertSign, cRLSign
subjectKeyIdentifier = hash
1.3.6.1.4.1.311.21.1 = ASN1:INTEGER:0
[computer]
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = {usages}
subjectAltName = {critical}DNS:{name}
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
crlDistributionPoints = points
authorityInfoAccess = caIssuers;URI:ldap:///CN=CORP-CA?cACertificate?base
1.3.6.1.4.1.311.21.7 = ASN1:SEQUENCE:template
1.3.6.1.4.1.311.21.10 = ASN1:SEQUENCE:policies
1.3.6.1.4.1.311.25.2 = ASN1:SEQUENCE:security
[points]
fullname = URI:ldap:///CN=CORP-CA?certificateRevocationList?base
[template]
id = OID:1.3.6.1.4.1.311.21.8.1570340.14022450.8600245
major = INTEGER:100
minor = INTEGER:4
[policies]
one = SEQUENCE:policy
[policy]
id = OID:1.3.6.1.5.5.7.3.2
[security]
name = IMPLICIT:0,SEQUENCE:sid
[sid]
id = OID:1.3.6.1.4.1.311.25.2.1
value = EXPLICIT:0,FORMAT:ASCII,OCTETSTRING:S-1-5-21-1004336348-1177238915-682003330-1104
"""


def create(folder: Path) -> None:
    """Make root and issuing authority: NAME.crt and NAME.key."""
    configure(folder, "unused.example.com")
    for name, signer in ((ROOT, ""), (ISSUING, ROOT)):
        new = ("-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-subj", f"/CN={name}")
        by = ("-CA", f"{signer}.crt", "-CAkey", f"{signer}.key") if signer else ()
        extensions = ("-config", "adcs.conf", "-extensions", "ca")
        openssl(
            folder, "req", "-x509", *new, *by, *extensions, "-days", "30", "-out", f"{name}.crt"
        )


def issue(folder: Path, request: str, name: str, usages: str = "clientAuth") -> None:
    """Certify REQUEST.csr as the template says: what the request asks for is passed over."""
    configure(folder, name, usages)
    by = ("-CA", f"{ISSUING}.crt", "-CAkey", f"{ISSUING}.key", "-days", "20")
    extensions = ("-extfile", "adcs.conf", "-extensions", "computer")
    asked = ("-req", "-in", f"{request}.csr", "-out", f"{request}.crt")
    openssl(folder, "x509", *asked, *by, *extensions)


def configure(folder: Path, name: str, usages: str = "clientAuth") -> None:
    text = CONFIGURATION.format(name=name, usages=usages, critical="critical, ")
    (folder / "adcs.conf").write_text(text)


def openssl(folder: Path, *command: str) -> str:
    answer = subprocess.run(
        ("openssl", *command), cwd=folder, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout
