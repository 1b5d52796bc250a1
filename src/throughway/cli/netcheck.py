"""``throughway netcheck``: what the network that this computer stands in allows."""

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from throughway.cli.output import examples, note, print_json
from throughway.cli.progress import telling
from throughway.client.join import load_bundle
from throughway.client.proxy import ProxySource
from throughway.client.settings import DEFAULT_FILE, load
from throughway.control.permission import for_root
from throughway.model.errors import ThroughwayError
from throughway.probe.analysis.network import exit_code, judge
from throughway.probe.fetching import resolve
from throughway.probe.lines import plain, show
from throughway.probe.network import TOTAL_TIME, Around, Look
from throughway.probe.network_report import as_data, as_lines
from throughway.probe.portal import PAGES
from throughway.probe.proxies import NOBODY, Who
from throughway.probe.target import parse_target

MAXIMUM_TIMEOUT = 60.0
"""Seconds."""

app = typer.Typer(add_completion=False)


@app.command(
    epilog=examples(
        "throughway netcheck",
        "throughway netcheck --gateway da.example.com",
        "throughway netcheck --teredo teredo.example.com --json",
    )
)
def netcheck(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    gateway: Annotated[
        str,
        typer.Option(metavar="URL|HOST", help="The gateway; else the one of the client's policy."),
    ] = "",
    teredo: Annotated[
        str, typer.Option(metavar="HOST", help="A Teredo server; else the gateway is tried.")
    ] = "",
    config: Annotated[
        Path, typer.Option(metavar="FILE", help="The client's configuration.")
    ] = DEFAULT_FILE,
    timeout: Annotated[
        float, typer.Option(min=1, max=MAXIMUM_TIMEOUT, help="Seconds for everything together.")
    ] = TOTAL_TIME,
) -> None:
    """Say what this network lets through, and what of the client's ways would work here.

    As any user; as root it tries 6to4, too. Exit 0 well, 1 findings, 2 usage, 3 could not tell.
    """
    around = _known(gateway, teredo, config, timeout)
    with telling(quiet=as_json) as listener:
        seen = asyncio.run(Look(around, listener).run(os.environ))
    judged = judge(seen)
    if as_json:
        print_json(as_data(seen, judged))
    elif sys.stdout.isatty():
        show(as_lines(seen, judged), sys.stdout)
    else:
        for line in plain(as_lines(seen, judged)):
            typer.echo(line)
    raise typer.Exit(exit_code(seen, judged))


def _known(gateway: str, teredo: str, config: Path, timeout: float) -> Around:
    """Take the gateway from the command line, else from the client's policy, else none."""
    teredo_host = parse_target(teredo).host if teredo else ""
    if gateway:
        target = parse_target(gateway)
        return Around(
            gateway=target.host,
            port=target.port,
            source="the command line",
            teredo=teredo_host,
            seconds=timeout,
        )
    if config == DEFAULT_FILE and not config.exists():
        return Around(teredo=teredo_host, seconds=timeout)
    try:
        client = load(config)
        policy = load_bundle(client, time.time())
    except (ThroughwayError, OSError) as error:
        if config != DEFAULT_FILE:
            raise
        why = " ".join(f"{error}{for_root(error)}".split())
        note(f"The client's policy is not used (--gateway names the gateway): {why}")
        return Around(teredo=teredo_host, seconds=timeout)
    target = parse_target(policy.iphttps_url)
    transports = policy.transports
    named = (("client.toml", client.proxy.url), ("the policy", transports.proxy))
    scripts = (("client.toml", client.proxy.script), ("the policy", transports.proxy_script))
    return Around(
        gateway=target.host,
        port=target.port,
        source="the client's policy",
        teredo=teredo_host or transports.teredo_server,
        proxies=tuple((source, url) for source, url in named if url),
        scripts=tuple((source, url) for source, url in scripts if url),
        detect=client.proxy.detect,
        who=_who(ProxySource(client, policy, resolve)),
        endpoint=policy.infrastructure.endpoint,
        own_interfaces=frozenset({client.interface, "sixtofour0", "teredo0"}),
        locations=policy.nls_urls,
        anchors=policy.trust_anchors,
        pages=(transports.portal_probe,) if transports.portal_probe else PAGES,
        seconds=timeout,
    )


def _who(source: ProxySource) -> Who:
    """Return who the client is to proxies, as far as this user may read that."""
    try:
        return Who(source.credentials(), source.ticket)
    except (ThroughwayError, OSError) as error:
        note(f"Proxies are asked without credentials: {' '.join(str(error).split())}")
        return NOBODY
