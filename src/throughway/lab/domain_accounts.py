"""Fill a freshly provisioned domain; run by the system's Python, which has Samba's modules.

Reads what is wanted as JSON from its input and prints the NT hashes of the computers. One
process instead of a ``samba-tool`` for every account: a third of a second instead of three.
It imports nothing of ours: the system's Python does not know us.
"""

import importlib
import json
import sys
from typing import Any

Samba = Any
"""Samba's modules and objects; they have no types."""

STRONG_ENCRYPTION = "24"
"""msDS-SupportedEncryptionTypes: AES128 and AES256, no RC4 ([MS-KILE] 2.2.7)."""


def main() -> None:
    """Create users, computers, DNS records and keytabs."""
    ldb, sam, parameters = importlib.import_module("ldb"), *_open_database()
    wanted = json.load(sys.stdin)
    hashes = {}
    for name, password in wanted["users"].items():
        sam.newuser(name, password)
        _never_expires(sam, ldb, name)
    for computer in wanted["computers"]:
        hashes[computer["account"]] = _add_computer(sam, ldb, computer)
    for name, addresses in wanted["records"].items():
        _add_record(sam, wanted["domain"], name, addresses)
    for principal, file in wanted["keytabs"].items():
        _export_keytab(parameters, principal, file)
    json.dump(hashes, sys.stdout)


def _open_database() -> tuple[Samba, Samba]:
    parameters = importlib.import_module("samba.param").LoadParm()
    parameters.load_default()
    session = importlib.import_module("samba.auth").system_session(parameters)
    database = importlib.import_module("samba.samdb").SamDB(session_info=session, lp=parameters)
    return database, parameters


def _export_keytab(parameters: Samba, principal: str, file: str) -> None:
    importlib.import_module("samba").enable_net_export_keytab()
    net = importlib.import_module("samba.net").Net(None, parameters)
    net.export_keytab(keytab=file, principal=principal)


def _add_computer(sam: Samba, ldb: Samba, computer: dict[str, Any]) -> str:
    account = computer["account"]
    # Without prepare_oldjoin the account would be made disabled.
    sam.newcomputer(
        account, prepare_oldjoin=True, service_principal_name_list=computer["services"] or None
    )
    found = sam.search(sam.domain_dn(), expression=f"(sAMAccountName={account})")[0]
    message = ldb.Message(found.dn)
    message["enctypes"] = ldb.MessageElement(
        STRONG_ENCRYPTION, ldb.FLAG_MOD_REPLACE, "msDS-SupportedEncryptionTypes"
    )
    sam.modify(message)
    sam.setpassword(f"(sAMAccountName={account})", computer["password"])
    secret = sam.search(found.dn, scope=ldb.SCOPE_BASE, attrs=["unicodePwd"])[0]
    return bytes(secret["unicodePwd"][0]).hex()


def _never_expires(sam: Samba, ldb: Samba, name: str) -> None:
    found = sam.search(
        sam.domain_dn(), expression=f"(sAMAccountName={name})", attrs=["userAccountControl"]
    )[0]
    dont_expire_password = 0x10000
    control = int(str(found["userAccountControl"])) | dont_expire_password
    message = ldb.Message(found.dn)
    message["control"] = ldb.MessageElement(
        str(control), ldb.FLAG_MOD_REPLACE, "userAccountControl"
    )
    sam.modify(message)


def _add_record(sam: Samba, domain: str, name: str, addresses: list[str]) -> None:
    sambadns = importlib.import_module("samba.provision.sambadns")
    zone = f"DC={domain},CN=MicrosoftDNS,DC=DomainDnsZones,{sam.domain_dn()}"
    v4 = next((address for address in addresses if ":" not in address), None)
    v6 = next((address for address in addresses if ":" in address), None)
    sambadns.add_host_record(sam, zone, f"DC={name}", v4, v6)


if __name__ == "__main__":
    main()
