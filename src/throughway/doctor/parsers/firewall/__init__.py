"""Profiles and connection security rules of the Windows firewall."""

from throughway.doctor.parser import Parser
from throughway.doctor.parsers.firewall import (
    get_firewallproduct,
    get_netfirewallprofile,
    get_netfirewallsetting,
    get_netipsecrule,
    netsh_advfirewall_consec,
    netsh_advfirewall_global,
    netsh_advfirewall_profiles,
)

PARSERS: tuple[Parser, ...] = (
    netsh_advfirewall_profiles.PARSER,
    netsh_advfirewall_global.PARSER,
    netsh_advfirewall_consec.PARSER,
    get_netfirewallprofile.PARSER,
    get_netfirewallsetting.PARSER,
    get_netipsecrule.PARSER,
    get_firewallproduct.PARSER,
)
