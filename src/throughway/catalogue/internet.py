"""Problems of the network the client stands in: links, portals, proxies."""

from throughway.model.findings import Component, Problem, Severity

CAPTIVE_PORTAL = Problem(
    code="captive-portal",
    title="A captive portal stands before the Internet",
    severity=Severity.WARNING,
    component=Component.INTERNET,
    cause="The network answers web requests itself until somebody signs in.",
    resolution=(
        "Open a web browser, sign in to the network and leave the rest alone: the client sees "
        "that the way is free and connects by itself."
    ),
    fix=("throughway client refresh",),
    verify=("throughway client status",),
)

INTERNET_DOWN = Problem(
    code="internet-down",
    title="This machine has no way to the Internet",
    severity=Severity.CRITICAL,
    component=Component.INTERNET,
    cause=(
        "There is no default route, or nothing beyond it answers: cable or Wi-Fi is off, the "
        "router gave no address, or the provider is down."
    ),
    resolution=(
        "Join a network, or mend the one joined. The client notices a new address or route and "
        "connects at once."
    ),
    verify=(
        "ip route show default",
        "ip -6 route show default",
        "ping -c 3 HOST",
        "throughway client status",
    ),
    depends_on=(CAPTIVE_PORTAL,),
    visible_after=3.0,
)

PROXY_REQUIRED_NOT_CONFIGURED = Problem(
    code="proxy-required-not-configured",
    title="The network lets nobody out but through a web proxy, and none is configured",
    severity=Severity.CRITICAL,
    component=Component.INTERNET,
    cause=(
        "Direct connections to port 443 are stopped while the network offers a proxy, and the "
        "client was not told to use it."
    ),
    resolution=(
        "Give the client the proxy of this network, or ask the network's administrator to let "
        "TCP port 443 to the gateway pass directly."
    ),
    verify=("curl --proxy http://PROXY --head https://HOST:PORT/", "throughway client status"),
    depends_on=(CAPTIVE_PORTAL, INTERNET_DOWN),
)

PROXY_UNREACHABLE = Problem(
    code="proxy-unreachable",
    title="The configured web proxy does not answer",
    severity=Severity.CRITICAL,
    component=Component.INTERNET,
    cause=(
        "A proxy is configured but cannot be connected to. Most often it is the proxy of a "
        "network which this machine has left."
    ),
    resolution="Take the proxy away when this network has none; otherwise correct its address.",
    verify=("curl --proxy http://PROXY --head https://HOST:PORT/", "throughway client status"),
    depends_on=(CAPTIVE_PORTAL, INTERNET_DOWN),
)

PROXY_AUTHENTICATION_REQUIRED = Problem(
    code="proxy-authentication-required",
    title="The web proxy asks for a user name and a password",
    severity=Severity.CRITICAL,
    component=Component.INTERNET,
    cause=(
        "The proxy answered 407. IP-HTTPS starts before anybody has logged on, so there is "
        "nobody whose password it could use."
    ),
    resolution=(
        "Ask the proxy's administrator to let connections to the gateway pass without "
        "authentication, or give the client credentials of its own for the proxy: user and "
        "password_file under [proxy] in client.toml."
    ),
    verify=("curl --proxy http://PROXY --head https://HOST:PORT/", "throughway client status"),
    depends_on=(CAPTIVE_PORTAL, INTERNET_DOWN),
)

PROXY_CREDENTIALS_REFUSED = Problem(
    code="proxy-credentials-refused",
    title="The web proxy does not accept the credentials that it is given",
    severity=Severity.CRITICAL,
    component=Component.INTERNET,
    cause=(
        "The proxy answered 407 again after it was given what the client has for it: the "
        "password is wrong or has expired, the account may not use the proxy, or there was no "
        "Kerberos ticket for it."
    ),
    resolution=(
        "Correct user and password_file under [proxy] in client.toml. For Kerberos, see that a "
        "domain controller can be reached from this network."
    ),
    verify=("throughway client refresh", "throughway client status"),
    depends_on=(CAPTIVE_PORTAL, INTERNET_DOWN),
)

PROXY_SCRIPT_UNUSABLE = Problem(
    code="proxy-script-unusable",
    title="The script that names the web proxy cannot be had or fails",
    severity=Severity.WARNING,
    component=Component.INTERNET,
    cause=(
        "The proxy is to be found by a configuration script (PAC), but its address does not "
        "answer, or the script has an error, takes too long, or names no proxy that we speak to."
    ),
    resolution=(
        "Correct the script's address, mend the script, or name the proxy itself: url under "
        "[proxy] in client.toml."
    ),
    verify=("throughway client refresh", "throughway client status"),
    depends_on=(CAPTIVE_PORTAL, INTERNET_DOWN),
)

PROXY_BLOCKS_IPHTTPS = Problem(
    code="proxy-blocks-iphttps",
    title="The web proxy refuses the connection to the gateway",
    severity=Severity.CRITICAL,
    component=Component.INTERNET,
    cause=(
        "The proxy was reached but answered the CONNECT request with a refusal: the gateway's "
        "name or port is not on its list, or it forbids long-lived connections."
    ),
    resolution="Ask the proxy's administrator to allow CONNECT to the gateway's name on its port.",
    verify=("curl --proxy http://PROXY --head https://HOST:PORT/", "throughway client status"),
    depends_on=(CAPTIVE_PORTAL, PROXY_AUTHENTICATION_REQUIRED, PROXY_CREDENTIALS_REFUSED),
)

NO_WAY_OUT = (
    CAPTIVE_PORTAL,
    INTERNET_DOWN,
    PROXY_REQUIRED_NOT_CONFIGURED,
    PROXY_UNREACHABLE,
    PROXY_AUTHENTICATION_REQUIRED,
    PROXY_CREDENTIALS_REFUSED,
    PROXY_BLOCKS_IPHTTPS,
)
"""Whatever needs the Internet follows from any of these."""

PATH_MTU_BLACK_HOLE = Problem(
    code="path-mtu-black-hole",
    title="Large packets vanish on the way",
    severity=Severity.CRITICAL,
    component=Component.INTERNET,
    cause=(
        "Somewhere on the way packets of full size are dropped, or the fragments of what is "
        "larger, and nobody says so: a tunnel or DSL line with a smaller MTU behind a firewall "
        "that drops ICMP, or a filter that drops fragments. Small packets pass, so that "
        "connections come up and then stand still."
    ),
    resolution=(
        'Let ICMP "packet too big" and fragments pass the firewalls of both sides. The client '
        "goes on with small segments by itself; other programs do where the kernel looks for the "
        "size that passes, or with a smaller MTU on this computer's link to its network."
    ),
    fix=("sysctl -w net.ipv4.tcp_mtu_probing=1",),
    verify=(
        "ping -M do -c 3 -s 1400 HOST",
        "ping -M do -c 3 -s 500 HOST",
        "throughway client status",
    ),
    depends_on=NO_WAY_OUT,
)

PROBLEMS = (*NO_WAY_OUT, PATH_MTU_BLACK_HOLE, PROXY_SCRIPT_UNUSABLE)
