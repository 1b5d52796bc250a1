"""Problems of name resolution on Windows clients, and what mends the shared ones there."""

from collections.abc import Mapping

from throughway.catalogue import names
from throughway.model.findings import Advice, Problem

PROBLEMS: tuple[Problem, ...] = ()

ADVICE: Mapping[str, Advice] = {
    names.NRPT_CORRUPT.code: Advice(
        cause=(
            "The name resolution policy table cannot be used (0x2564): two rules contradict each "
            "other or one is broken, and name resolution fails until it is mended."
        ),
        resolution=(
            "Find the broken or doubled rule among the policy's and the local ones, remove it at "
            "its source, and start the machine again."
        ),
        fix=(
            r'reg query "HKLM\SOFTWARE\Policies\Microsoft\Windows NT\DNSClient" /s',
            r"reg query HKLM\SYSTEM\CurrentControlSet\Services\Dnscache\Parameters /s",
            "gpupdate /force",
        ),
        verify=("Get-DnsClientNrptPolicy -Effective",),
    ),
}
