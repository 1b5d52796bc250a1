"""Words and names that tell nothing of whose evidence it is; they stay."""

import re

KEPT_WORDS = frozenset(
    """
    ad adfs administrator administrators admin and authority ca cdp cert certenroll
    certificate certification certs class client clients cloud com computer computers
    configuration connect controllers corp crl da dc default digicert direct directaccess dns
    dnssec domain edge edu enterprise entca erfc external for gateway global gov gpo guest
    home host http https in infra inside int internal internet intra intranet iphttps ipsec
    ipv isatap issuing kdc kerberos laptop lan ldap live local localdomain localhost lync mail
    machine main microsoft msdcs nat net network nls node nps ntds ocsp of office one or org
    outside owa pc pdc pki policy pro probe provider public ra remote root router rras secure
    security server servers service services settings sha site sites smtp srv ssl sub system
    tcp teredo test the tls trust udp user users vpn webprobehost corpconnectivityhost web win
    windows wins workgroup workstation wpad www xn
    """.split()  # noqa: SIM905 - a list of two hundred strings is no reading
)
"""Generic words of names: kept, so that a reader still sees what a machine is for."""

KEPT_DOMAINS = (
    *("microsoft.com", "msftncsi.com", "msftconnecttest.com", "windowsupdate.com", "windows.com"),
    *("windows.net", "azure.com", "cloudapp.net", "live.com", "office.com", "office365.com"),
    *("digicert.com", "verisign.com", "symantec.com", "symcb.com", "symcd.com", "thawte.com"),
    *("geotrust.com", "globalsign.com", "globalsign.net", "sectigo.com", "comodoca.com"),
    *("usertrust.com", "entrust.net", "godaddy.com", "starfieldtech.com", "letsencrypt.org"),
    *("lencr.org", "amazontrust.com", "identrust.com", "quovadisglobal.com", "swisssign.net"),
    *("in-addr.arpa", "ip6.arpa", "google.com", "dns.google", "root-servers.net"),
)
"""Domains of makers, and of authorities that everybody knows."""

FILE_ENDINGS = frozenset(
    """
    adml admx aspx bat cab cer cmd cpl crl crt csv dat der dll dmp doc docx etl evt evtx exe
    gz htm html inf ini js json log manifest md mof msc msi mui pac pcap pcapng pdf pem php pl
    png pol ps1 psd1 psm1 py reg rtf sys tar tmp toml txt vbs wsf xls xlsx xml yaml yml zip
    """.split()  # noqa: SIM905 - a list of two hundred strings is no reading
)
TOP_LEVEL = frozenset(
    {"com", "net", "org", "local", "corp", "lan", "info", "biz", "eu", "internal"}
)

KEPT_IDENTIFIERS = re.compile(
    r"0CCE92[0-9A-F]{2}-69AE-11D9-BED3-505054503030"  # subcategories of the audit policy
    r"|31B2F340-016D-11D2-945F-00C04FB984F9|6AC1786C-016F-11D2-945F-00C04FB984F9"  # defaults
    r"|35378EAC-683F-11D2-A89A-00C04FBBCFA2|827D319E-6EAC-11D2-A4EA-00C04F79F83A"  # extensions
    r"|00000000-0000-0000-0000-000000000000|(?:[0-9A-F]{8}-){1}0000-0000-C000-000000000046",
    re.IGNORECASE,
)
"""GUIDs that are the same on every Windows."""

TYPE_NAME = re.compile(r"\[?(?:[A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*)(?:\.[A-Z][A-Za-z0-9_]*)+$")
"""``System.Net.IPAddress``: a name of a program, not of a machine."""
