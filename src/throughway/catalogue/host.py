"""Problems of the machine itself and of our own software on it, client or gateway."""

from throughway.model.findings import Component, Problem, Severity

IPV6_DISABLED = Problem(
    code="ipv6-disabled",
    title="IPv6 is switched off on this machine",
    severity=Severity.CRITICAL,
    component=Component.HOST,
    cause=(
        "The kernel setting disable_ipv6 is 1 for all interfaces, or for one that DirectAccess "
        "needs. All that it carries is IPv6, so no address can be formed and no tunnel opened."
    ),
    resolution=(
        "Switch IPv6 on again, now and in the file under /etc/sysctl.d that switched it off. "
        "The network outside does not need IPv6 for this."
    ),
    fix=(
        "sysctl -w net.ipv6.conf.all.disable_ipv6=0",
        "sysctl -w net.ipv6.conf.default.disable_ipv6=0",
        "grep -rs disable_ipv6 /etc/sysctl.conf /etc/sysctl.d",
    ),
    verify=("sysctl net.ipv6.conf.all.disable_ipv6", "throughway client status"),
)

CLOCK_SKEW = Problem(
    code="clock-skew",
    title="The clock of this machine is wrong",
    severity=Severity.CRITICAL,
    component=Component.HOST,
    cause=(
        "The time differs from the time in an answer of the other side by more than certificates "
        "and Kerberos tolerate. Valid certificates then look expired or not yet valid."
    ),
    resolution="Set the clock by a time service; the client tries again by itself.",
    fix=("timedatectl set-ntp true", "systemctl restart systemd-timesyncd"),
    verify=("timedatectl status", "throughway client status"),
)

WORKER_RESTARTING = Problem(
    code="worker-restarting",
    title="A part of the daemon ended and is being started again",
    severity=Severity.WARNING,
    component=Component.HOST,
    cause="A process or task of the daemon ended unexpectedly; its sessions were dropped.",
    resolution="Clients come back by themselves. If it happens again, report it with the log.",
    fix=("journalctl -u throughway-gateway -u throughway-client --since -1h",),
    verify=("throughway gateway status", "throughway client status"),
)

FILES_NOT_WRITABLE = Problem(
    code="files-not-writable",
    title="A file that the daemon needs cannot be written",
    severity=Severity.CRITICAL,
    component=Component.HOST,
    cause="The disk is full or read-only, or the directory's mode keeps the daemon out.",
    resolution=(
        "Make room, mount the disk writable again, or give the directory back to root; the client "
        "tries again by itself."
    ),
    fix=(
        "df -h /var/lib/throughway /run/throughway /etc",
        "findmnt -T /var/lib/throughway",
        "ls -ld /var/lib/throughway/* /run/throughway",
    ),
    verify=("throughway client status", "throughway gateway status"),
)

FILES_EXHAUSTED = Problem(
    code="files-exhausted",
    title="The daemon can open no more files",
    severity=Severity.CRITICAL,
    component=Component.HOST,
    cause=(
        "Each connection, device and file of a process takes a file descriptor, and it has used "
        "all that it may have: the limit is too low for so many clients, somebody has lowered it, "
        "or something never gives back what it took."
    ),
    resolution=(
        "Raise LimitNOFILE= of the unit and restart it. If the number grows without end, report "
        "what is open; a restart is safe."
    ),
    fix=(
        "systemctl show -p LimitNOFILE throughway-gateway throughway-client",
        "journalctl -u throughway-gateway -u throughway-client --since -1h",
    ),
    verify=("throughway client status", "throughway gateway status"),
)

BUG = Problem(
    code="bug-in-throughway",
    title="throughway has made a mistake of its own",
    severity=Severity.CRITICAL,
    component=Component.HOST,
    cause="Something happened that its authors did not foresee; the log has the traceback.",
    resolution="Report it with the log. The daemon goes on as far as it can; a restart is safe.",
    fix=("journalctl -u throughway-gateway -u throughway-client --since -1h",),
    verify=("throughway client status", "throughway gateway status"),
)

AUDIT_NOT_WRITTEN = Problem(
    code="audit-not-written",
    title="The audit cannot be written to its file",
    severity=Severity.WARNING,
    component=Component.HOST,
    cause=(
        "The file of audit events cannot be written: its disk is full or read-only, or its folder "
        "belongs to somebody else. Clients are served as before; their events go to the journal "
        "only, and are counted."
    ),
    resolution=(
        "Make room on that disk, or name another file as `file` in `[audit]` and restart. It is "
        "tried again every five seconds; the first record then says how many were lost."
    ),
    fix=("ls -ld /var/log/throughway", "journalctl -t throughway-audit --since -1h"),
    verify=("throughway events --since 10m", "throughway gateway status"),
)

REASONS_NOT_SERVED = Problem(
    code="reasons-not-served",
    title="Clients cannot ask why they were refused",
    severity=Severity.WARNING,
    component=Component.HOST,
    cause=(
        "The policy tells clients to ask at `reasons_port`, but the gateway cannot serve there: "
        "another program has that port, or the IP-HTTPS certificate cannot be used for it. Clients "
        "are served as before; one that is refused learns no more than that."
    ),
    resolution=(
        "Give it another port as `reasons_port` in `[publish]`, build the policy anew and restart."
    ),
    fix=("ss -tlnp", "throughway policy build", "systemctl restart throughway-gateway"),
    verify=("throughway gateway status",),
)

PROBLEMS = (
    *(IPV6_DISABLED, CLOCK_SKEW, WORKER_RESTARTING, FILES_NOT_WRITABLE, FILES_EXHAUSTED, BUG),
    *(AUDIT_NOT_WRITTEN, REASONS_NOT_SERVED),
)
