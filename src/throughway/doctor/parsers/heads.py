"""The lines with which outputs begin, by which several in one text are told apart.

Words stand here only where the form says nothing. Every pattern is tried at the beginning of a
line, looks at a few lines at most, and holds no nested repetition.
"""

import re

UNDERLINE = "-\u2013\u2014\u2500"
"""Dashes below a heading, as they are and as a web page makes them longer."""
_DASHES = rf"\n[ \t]*[{UNDERLINE}]{{10,}}[ \t]*$"
_ONCE = (
    # ipconfig /all
    r"(?=[^\n:.]{0,40}\bWindows\b)(?=[^\n:.]{0,40}\bIP\b)[^\n:.]{8,60}\n{1,3}"
    r"[^\n]{3,120}(?:[ ]\.|:[ \t]*$)",
    # netsh interface teredo show state
    rf"[^\n:]{{0,30}}\bTeredo\b[^\n:]{{0,20}}{_DASHES}",
    # netsh interface 6to4 show interface, show state
    r"-{10} [^\n-]{4,20} -{10,}$",
    r"6to4 Service State\s{0,60}:",
    # netsh interface isatap show state
    r"ISATAP (?:Service )?State\s{0,60}:",
    # netsh dnsclient show state; netsh namespace show policy and effectivepolicy
    r"(?=[^\n:]{0,90}(?:Name Resolution Policy Table|Namensauflösungsrichtlinie"
    r"|stratégie de résolution de noms|directivas de resolución de nombres|名称解析策略表))"
    r"[^\n:]{8,110}$",
    # netsh winhttp show proxy, show advproxy
    r"(?=[^\n]{0,40}WinHTTP)[^\n:]{4,70}\bproxy[^\n:]{0,30}:[ \t]*$",
    r"[^\n:]{0,30}WinHTTP[^\n:]{2,30}:[ \t]*$",
    # netsh advfirewall
    r"(?:No (?:rules|SAs) match the specified|Es stimmen keine (?:Regeln|SAs)"
    r"|Aucune (?:règle|SA) ne correspond aux|Ninguna (?:regla|SA) coincide con"
    r"|没有与指定标准相匹配)",
    r"Global Settings:[ \t]*$",
    r"An error occurred while attempting to contact the {1,2}Windows",
    # ping, tracert, nslookup
    r"(?:Pinging [^\s,]{1,255} |PING \S{1,255} ?\(|ping: [^\s:]{1,255}: "
    r"|Ping request could not find|Ping wird ausgeführt für "
    r"|Envoi d'une requête 'ping' sur |Haciendo ping a |正在 Ping )",
    r"(?:Tracing route to |Routenverfolgung zu |Détermination de l'itinéraire |Traza a "
    r"|通过最多 )",
    r"(?:DNS request timed out\.\n[ \t]{0,8}timeout was[^\n]{0,40}\n){0,3}"
    r"(?:Server|Serveur|Servidor|Сервер|服务器)[ ]{0,2}:[^\n]{1,255}\nA[^\n:]{4,12}:",
    # sc, net view, net start
    r"\[SC\] \w{3,40}",
    r"(?:Shared resources at \\\\|System error \d{1,5} has occurred)",
    r"(?:These Windows services are started|Folgende Windows-Dienste sind gestartet"
    r"|Les services Windows suivants|Se han iniciado estos servicios de Windows"
    r"|已经启动以下 Windows 服务)[^\n:]{0,40}:",
    # systeminfo
    r"[^\n:]{3,40}:[ \t]{1,60}\S[^\n]{0,80}\n"
    r"[^\n:]{3,60}:[ \t]{1,60}Microsoft(?:\(R\)|®)?[ ]Windows",
    # route print
    r"={60,}\n[^\n=]{4,40}\n[ \t]{0,4}\d{1,3}\.\.\.",
    # reg query
    r"(?:ERROR|FEHLER|ERREUR)\s?: The system was unable to find the specified registry",
    r"FEHLER: Der angegebene Registrierungsschl",
    r"Windows Registry Editor Version",
    # certutil
    r"\w{2,40} \"[^\"\n]{2,80}\"\n(?:={8,} |CertUtil: )",
    # the domain
    r"[ \t]{0,16}[^\n:]{2,30}: \\\\[^\s\\]{1,255}\n[ \t]{0,16}[^\n:]{3,30}: \\\\[\da-fA-F]",
    r"Getting DC name failed",
    r"Tracking \S{1,255} \[[^\n]{2,60}:123\]",
    r"Leap Indicator: ",
    r"(?:Current DFSR global state|DFSR migration has not)",
    r"Microsoft \(R\) Windows \(R\) Operating System Group Policy Result",
    # auditpol
    r"(?:System audit policy|Systemüberwachungsrichtlinie|Stratégie d'audit système"
    r"|Directiva de auditoría del sistema|系统审核策略)[ \t]*$",
    r"\*{10,}\n[^\n*]{5,80}\n[^\n:]{3,60}: {1,4}\d{14}$",
    # PowerShell: an error, a warning before what it is about, a test, texts of objects
    r"(?:Get|Resolve|Test|Find)-[A-Za-z]\w{3,50} : \S",
    r"(?:WARNING: [^\n]{10,200}\n{1,3}){0,4}ComputerName {1,30}: ",
    r"(?:#< CLIXML$|<Objs |#TYPE )",
)
_AGAIN = (
    # An adapter of ipconfig; what certutil -verify and -dump say of a name
    r"(?P<opening>[^\n:]{3,100}:\n{1,2}[ \t]{0,8}[^\n.:]{3,60}(?: \.)+ ?:"
    r"|[^\s:][^\n:]{1,20}:\n[ \t]{2,8}(?:CN|DC|OU|O|C|E)=)",
    # netsh interface httpstunnel, ipv6; netsh advfirewall
    rf"(?:[^\n:=]|:(?=\d)){{3,100}}:?{_DASHES}",
    r"(?:Role|Rolle|Rôle|Rol|角色)\s{0,40}: ?\S[^\n]{0,40}\nURL",
    rf"[^\s:][^\n:]{{1,40}}[^\s:]:[ ]{{4,60}}\S[^\n]{{0,200}}{_DASHES}",
    r"Rule Name: {1,60}\S",
    # ipconfig without its first line
    r"[ \t]{0,8}[^\n.:]{3,60}(?: \.){4,} :",
    r"Relay Name\s{0,40}: ",
    r"Router Name\s{0,40}: ",
    r"DNS request timed out\.",
    # netsh advfirewall monitor show mmsa, qmsa, with its dashes lost
    r"[^\n:]{5,60} \d{1,4}[/.-]\d\d?[/.-]\d{2,4},? \d\d?:\d\d:\d\d[^\n]{0,5}\n"
    r"[^\n:]{3,60}:[ ]{0,60}[\da-f]",
    r"[^\n:]{0,40}\bIPHTTPSInterface\b[^\n:]{0,40}\bParam[^\W\d_]{1,8}"
    rf"(?:\n[{UNDERLINE}]{{4,200}})?$",
    # route print
    r"(?:={60,}\n)?[^\n=:]{4,40}\n={60,}\n[^\n]{3,60}:$",
    # sc
    r"[^\s:]{4,30} ?: ?\S{1,80}\n(?:[ \t]*[A-Z_]{4,30} ?:[^\n]{0,200}\n)?"
    r"[ \t]{0,12}\w{2,8}\s{1,30}:\s\w{1,4}\s{1,4}WIN32",
    # certutil
    r"={8,} [^\n=]{2,40} \d{1,6} ={8,}$",
    r"[ \t]{0,4}-{10,} {2}[^\n-]{3,40} {2}-{10,}$",
    r"CertContext\[\d{1,4}\]\[\d{1,4}\]",
    r"X509 Certificate(?: Revocation List)?:",
    r"https?://\S{4,300}\.cr[lt]$",
    r"WinHttp Cache entries",
    r"-----BEGIN [A-Z0-9 ]{3,30}-----$",
    r"HKEY_[A-Z_]{4,30}\\[^\n]{1,250}$",
    # events and logs
    r"(?:An )?IPsec (?:main|quick|extended) mode (?:negotiation failed|security association was)",
    r"Event\[\d{1,6}\]",
    r"Log Name:\s",
    r"<Event[ >]",
    r"[\w-]{2,30}(?: [\w-]{1,30}){0,3}: Not working properly",
    r"\*{2}Errors?\*{2}:?$",
    r"[^\n:]{4,60}RSOP[^\n]{2,120}:",
)
ONCE = re.compile(rf"^(?=[^\n])(?:{'|'.join(_ONCE)})", re.MULTILINE | re.IGNORECASE)
"""Where an output begins, and nothing else."""
AGAIN = re.compile(rf"^(?=[^\n])(?:{'|'.join(_AGAIN)})", re.MULTILINE)
"""Where an output may begin, or a section of one."""
MOMENT = re.compile(
    r"^(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}(?:Z|[+-]\d\d:\d\d)"
    r"|(?:\w{2,3}\.? )?\d\d[/.]\d\d[/.]\d{4}(?: {1,2}\d?\d:\d\d:\d\d[.,]\d\d)"
    r"|[A-Z][a-z]{2,5}day, [A-Z][a-z]{2,8} \d{1,2}, \d{4} \d{1,2}:\d\d:\d\d [AP]M)$",
    re.MULTILINE,
)
"""What tells a moment: an output of one line."""
END = re.compile(
    r"^(?:ok\.?|aceptar|确定。|CertUtil: -\w{2,20} [^\n]{4,120})$", re.MULTILINE | re.IGNORECASE
)
"""What ends an output: the next head begins another, be it of the same kind."""
