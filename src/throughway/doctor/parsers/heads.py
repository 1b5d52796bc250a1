"""The lines with which outputs begin, by which several in one text are told apart.

Words stand here only where the form says nothing. Every pattern is tried at the beginning of a
line, looks at a few lines at most, and holds no nested repetition; it stands with what must be
there for it to match, which is cheaper to look for.
"""

import re

from throughway.doctor.parsers.forms.cued import Head, Heads

UNDERLINE = "-\u2013\u2014\u2500"
"""Dashes below a heading, as they are and as a web page makes them longer."""
_DASHES = rf"\n[ \t]*[{UNDERLINE}]{{10,}}[ \t]*$"
_UNDERLINES = tuple(10 * dash for dash in UNDERLINE)
_BELOW = (1,)


def _once(*cues: str, pattern: str, below: tuple[int, ...] = (0,)) -> Head:
    return Head(re.compile(pattern, re.MULTILINE | re.IGNORECASE), cues, below)


def _again(*cues: str, pattern: str, below: tuple[int, ...] = (0,)) -> Head:
    return Head(re.compile(pattern, re.MULTILINE), cues, below)


ONCE = Heads(
    # ipconfig /all
    _once(
        "windows",
        pattern=r"(?=[^\n:.]{0,40}\bWindows\b)(?=[^\n:.]{0,40}\bIP\b)[^\n:.]{8,60}\n{1,3}"
        r"[^\n]{3,120}(?:[ ]\.|:[ \t]*$)",
    ),
    # netsh interface teredo show state
    _once("teredo", pattern=rf"[^\n:]{{0,30}}\bTeredo\b[^\n:]{{0,20}}{_DASHES}"),
    # netsh interface 6to4 show interface, show state
    _once("---------- ", pattern=r"-{10} [^\n-]{4,20} -{10,}$"),
    _once("6to4 service state", pattern=r"6to4 Service State\s{0,60}:"),
    # netsh interface isatap show state
    _once(
        "isatap",
        pattern=r"ISATAP (?:Service )?State\s{0,60}:",
    ),
    # netsh dnsclient show state; netsh namespace show policy and effectivepolicy
    _once(
        "policy",
        "namensauflösungsrichtlinie",
        "stratégie",
        "directiva",
        "名称解析策略表",
        pattern=r"(?=[^\n:]{0,90}(?:Name Resolution Policy Table|Namensauflösungsrichtlinie"
        r"|stratégie de résolution de noms|directivas de resolución de nombres|名称解析策略表))"
        r"[^\n:]{8,110}$",
    ),
    # netsh winhttp show proxy, show advproxy
    _once(
        "winhttp",
        pattern=r"(?=[^\n]{0,40}WinHTTP)[^\n:]{4,70}\bproxy[^\n:]{0,30}:[ \t]*$"
        r"|[^\n:]{0,30}WinHTTP[^\n:]{2,30}:[ \t]*$",
    ),
    # netsh advfirewall
    _once(
        "match the specified",
        "es stimmen keine ",
        " ne correspond aux",
        " coincide con",
        "没有与指定标准相匹配",
        pattern=r"(?:No (?:rules|SAs) match the specified|Es stimmen keine (?:Regeln|SAs)"
        r"|Aucune (?:règle|SA) ne correspond aux|Ninguna (?:regla|SA) coincide con"
        r"|没有与指定标准相匹配)",
    ),
    _once("global settings:", pattern=r"Global Settings:[ \t]*$"),
    _once(
        "an error occurred while",
        pattern=r"An error occurred while attempting to contact the {1,2}Windows",
    ),
    # ping, tracert, nslookup
    _once(
        "ping",
        pattern=r"(?:Pinging [^\s,]{1,255} |PING \S{1,255} ?\(|ping: [^\s:]{1,255}: "
        r"|Ping request could not find|Ping wird ausgeführt für "
        r"|Envoi d'une requête 'ping' sur |Haciendo ping a |正在 Ping )",
    ),
    _once(
        "tracing route to ",
        "routenverfolgung zu ",
        "détermination de l'itinéraire ",
        "traza a ",
        "通过最多 ",
        pattern=r"(?:Tracing route to |Routenverfolgung zu |Détermination de l'itinéraire "
        r"|Traza a |通过最多 )",
    ),
    _once(
        "timed out.",
        "serv",
        "сервер",
        "服务器",
        pattern=r"(?:DNS request timed out\.\n[ \t]{0,8}timeout was[^\n]{0,40}\n){0,3}"
        r"(?:Server|Serveur|Servidor|Сервер|服务器)[ ]{0,2}:[^\n]{1,255}\nA[^\n:]{4,12}:",
    ),
    # sc, net view, net start
    _once("[sc] ", pattern=r"\[SC\] \w{3,40}"),
    _once(
        "shared resources at ",
        "system",
        pattern=r"(?:Shared resources at \\\\|System error \d{1,5} has occurred)",
    ),
    _once(
        "windows",
        pattern=r"(?:These Windows services are started|Folgende Windows-Dienste sind gestartet"
        r"|Les services Windows suivants|Se han iniciado estos servicios de Windows"
        r"|已经启动以下 Windows 服务)[^\n:]{0,40}:",
    ),
    # systeminfo
    _once(
        "microsoft",
        below=_BELOW,
        pattern=r"[^\n:]{3,40}:[ \t]{1,60}\S[^\n]{0,80}\n"
        r"[^\n:]{3,60}:[ \t]{1,60}Microsoft(?:\(R\)|®)?[ ]Windows",
    ),
    # route print
    _once(60 * "=", pattern=r"={60,}\n[^\n=]{4,40}\n[ \t]{0,4}\d{1,3}\.\.\."),
    # reg query
    _once(
        "system",
        pattern=r"(?:ERROR|FEHLER|ERREUR)\s?: The system was unable to find the specified registry",
    ),
    _once("der angegebene", pattern=r"FEHLER: Der angegebene Registrierungsschl"),
    _once("windows", pattern=r"Windows Registry Editor Version"),
    # certutil
    _once(
        '"\n========',
        '"\ncertutil: ',
        pattern=r"\w{2,40} \"[^\"\n]{2,80}\"\n(?:={8,} |CertUtil: )",
    ),
    # the domain
    _once(
        ": \\\\",
        pattern=r"[ \t]{0,16}[^\n:]{2,30}: \\\\[^\s\\]{1,255}\n"
        r"[ \t]{0,16}[^\n:]{3,30}: \\\\[\da-fA-F]",
    ),
    _once("getting dc name failed", pattern=r"Getting DC name failed"),
    _once("tracking ", pattern=r"Tracking \S{1,255} \[[^\n]{2,60}:123\]"),
    _once("leap indicator: ", pattern=r"Leap Indicator: "),
    _once(
        "dfsr",
        pattern=r"(?:Current DFSR global state|DFSR migration has not)",
    ),
    _once(
        "policy",
        pattern=r"Microsoft \(R\) Windows \(R\) Operating System Group Policy Result",
    ),
    # auditpol
    _once(
        "policy",
        "systemüberwachungsrichtlinie",
        "stratégie",
        "directiva",
        "系统审核策略",
        pattern=r"(?:System audit policy|Systemüberwachungsrichtlinie|Stratégie d'audit système"
        r"|Directiva de auditoría del sistema|系统审核策略)[ \t]*$",
    ),
    # PowerShell: a transcript, an error, a warning before what it is about, a test, objects
    _once(10 * "*", pattern=r"\*{10,}\n[^\n*]{5,80}\n[^\n:]{3,60}: {1,4}\d{14}$"),
    _once(
        "get-",
        "resolve-",
        "test-",
        "find-",
        pattern=r"(?:Get|Resolve|Test|Find)-[A-Za-z]\w{3,50} : \S",
    ),
    _once(
        "warning: ",
        "computername ",
        pattern=r"(?:WARNING: [^\n]{10,200}\n{1,3}){0,4}ComputerName {1,30}: ",
    ),
    _once("#< clixml", "<objs ", "#type ", pattern=r"(?:#< CLIXML$|<Objs |#TYPE )"),
)
"""Where an output begins, and nothing else."""
AGAIN = Heads(
    # An adapter of ipconfig; what certutil -verify and -dump say of a name
    _again(
        ":\n",
        pattern=r"(?P<opening>[^\n:]{3,100}:\n{1,2}[ \t]{0,8}[^\n.:]{3,60}(?: \.)+ ?:"
        r"|[^\s:][^\n:]{1,20}:\n[ \t]{2,8}(?:CN|DC|OU|O|C|E)=)",
    ),
    # netsh interface httpstunnel, ipv6; netsh advfirewall
    _again(
        *_UNDERLINES,
        below=_BELOW,
        pattern=rf"(?:[^\n:=]|:(?=\d)){{3,100}}:?{_DASHES}"
        rf"|[^\s:][^\n:]{{1,40}}[^\s:]:[ ]{{4,60}}\S[^\n]{{0,200}}{_DASHES}",
    ),
    _again("\nurl", pattern=r"(?:Role|Rolle|Rôle|Rol|角色)\s{0,40}: ?\S[^\n]{0,40}\nURL"),
    _again("rule name: ", pattern=r"Rule Name: {1,60}\S"),
    # ipconfig without its first line
    _again(" . . . . :", pattern=r"[ \t]{0,8}[^\n.:]{3,60}(?: \.){4,} :"),
    _again("relay name", pattern=r"Relay Name\s{0,40}: "),
    _again("router name", pattern=r"Router Name\s{0,40}: "),
    _again("timed out.", pattern=r"DNS request timed out\."),
    # netsh advfirewall monitor show mmsa, qmsa, with its dashes lost
    _again(
        *(f":{digit}" for digit in range(6)),
        pattern=r"(?=[^\n:]{10,80}:\d\d:\d\d)"
        r"[^\n:]{5,60} \d{1,4}[/.-]\d\d?[/.-]\d{2,4},? \d\d?:\d\d:\d\d[^\n]{0,5}\n"
        r"[^\n:]{3,60}:[ ]{0,60}[\da-f]",
    ),
    _again(
        "iphttpsinterface",
        pattern=r"[^\n:]{0,40}\bIPHTTPSInterface\b[^\n:]{0,40}\bParam[^\W\d_]{1,8}"
        rf"(?:\n[{UNDERLINE}]{{4,200}})?$",
    ),
    # route print
    _again(
        60 * "=",
        below=(0, 1),
        pattern=r"(?:={60,}\n)?[^\n=:]{4,40}\n={60,}\n[^\n]{3,60}:$",
    ),
    # sc
    _again(
        "win32",
        below=(1, 2),
        pattern=r"[^\s:]{4,30} ?: ?\S{1,80}\n(?:[ \t]*[A-Z_]{4,30} ?:[^\n]{0,200}\n)?"
        r"[ \t]{0,12}\w{2,8}\s{1,30}:\s\w{1,4}\s{1,4}WIN32",
    ),
    # certutil
    _again("======== ", pattern=r"={8,} [^\n=]{2,40} \d{1,6} ={8,}$"),
    _again("----------  ", pattern=r"[ \t]{0,4}-{10,} {2}[^\n-]{3,40} {2}-{10,}$"),
    _again("certcontext[", pattern=r"CertContext\[\d{1,4}\]\[\d{1,4}\]"),
    _again("x509 certificate", pattern=r"X509 Certificate(?: Revocation List)?:"),
    _again(".crl", ".crt", pattern=r"https?://\S{4,300}\.cr[lt]$"),
    _again("winhttp cache entries", pattern=r"WinHttp Cache entries"),
    _again("-----begin ", pattern=r"-----BEGIN [A-Z0-9 ]{3,30}-----$"),
    _again("hkey_", pattern=r"HKEY_[A-Z_]{4,30}\\[^\n]{1,250}$"),
    # events and logs
    _again(
        "ipsec ",
        pattern=r"(?:An )?IPsec (?:main|quick|extended) mode "
        r"(?:negotiation failed|security association was)",
    ),
    _again("event[", pattern=r"Event\[\d{1,6}\]"),
    _again("log name:", pattern=r"Log Name:\s"),
    _again("<event", pattern=r"<Event[ >]"),
    _again(
        "not working properly",
        pattern=r"[\w-]{2,30}(?: [\w-]{1,30}){0,3}: Not working properly",
    ),
    _again("**error", pattern=r"\*{2}Errors?\*{2}:?$"),
    _again("rsop", pattern=r"[^\n:]{4,60}RSOP[^\n]{2,120}:"),
)
"""Where an output may begin, or a section of one; an opening is one only with what follows."""
_CLOCK = re.compile(r":\d\d(?:[.,]\d\d| [AP]M)")
_MOMENT = re.compile(
    r"^(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}(?:Z|[+-]\d\d:\d\d)"
    r"|(?:\w{2,3}\.? )?\d\d[/.]\d\d[/.]\d{4}(?: {1,2}\d?\d:\d\d:\d\d[.,]\d\d)"
    r"|[A-Z][a-z]{2,5}day, [A-Z][a-z]{2,8} \d{1,2}, \d{4} \d{1,2}:\d\d:\d\d [AP]M)$",
    re.MULTILINE,
)
_END = re.compile(r"^(?:ok\.?|aceptar|确定。|CertUtil: -\w{2,20} [^\n]{4,120})$", re.IGNORECASE)
_LONGEST_END = 7
"""Characters of a word that ends an output."""


def moments(text: str) -> dict[int, int]:
    """Return where lines begin and end that tell a moment: outputs of one line."""
    if not _CLOCK.search(text):
        return {}
    return {match.start(): match.end() for match in _MOMENT.finditer(text)}


def is_end(line: str) -> bool:
    """Whether a line ends an output: the next head begins another, be it of the same kind."""
    return (len(line) <= _LONGEST_END or line[0] in "cC") and _END.match(line) is not None
