"""``gateway.toml`` to :class:`GatewayConfig`, checked whole: every error at once.

What a single value must be is said in :mod:`throughway.gateway.values`, which keys there are in
:mod:`throughway.gateway.tables`, what values, files and certificates must be to each other in
:mod:`throughway.gateway.checks`.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from throughway.gateway import checks
from throughway.gateway.tables import (
    TABLES,
    GatewayFile,
    HealthTable,
    IPHTTPSTable,
    PublishTable,
    RevocationTable,
    UsersTable,
    health_policy_of,
)
from throughway.model import config as model
from throughway.model.config import EVERYTHING, GatewayConfig
from throughway.model.errors import ConfigError
from throughway.model.policy import NRPTRule, ResourceProbe
from throughway.model.revocation import RevocationPolicy
from throughway.net.files import read_toml
from throughway.pki import fields

DEFAULT_FILE = Path("/etc/throughway/gateway.toml")


def load(path: Path = DEFAULT_FILE) -> GatewayConfig:
    """Read and check the file; raises one :exc:`ConfigError` that tells every error."""
    if not os.path.exists(path):
        raise ConfigError(str(path), "", "does not exist; docs/operate/configuration.md shows one")
    try:
        file = GatewayFile.model_validate(read_toml(path), context=str(path.parent))
    except ValidationError as error:
        raise fields.combined(str(path), _told(error, path)) from None
    config = _config(file, path)
    if errors := list(checks.check(config)):
        raise fields.combined(str(path), errors)
    return config


def _config(file: GatewayFile, path: Path) -> GatewayConfig:
    ipsec = model.IPsecServerConfig(**dict(file.ipsec), health=_health(file.health))
    if file.publish is not None and file.publish.force_tunnel:
        ipsec = replace(ipsec, intranet_prefixes=(EVERYTHING,))
    return GatewayConfig(
        file=path,
        iphttps=_iphttps(file.iphttps),
        ipsec=ipsec,
        computers=tuple(model.Computer(**dict(computer)) for computer in file.computers),
        users=_users(file.users) if file.users else None,
        directory=model.DirectoryConfig(**dict(file.directory)) if file.directory else None,
        access=tuple(model.AccessRule(**dict(rule)) for rule in file.access),
        radius=model.RADIUSConfig(**dict(file.radius)) if file.radius else None,
        kdc_proxy=model.KDCProxyConfig(**dict(file.kdc_proxy)) if file.kdc_proxy else None,
        publish=_publish(file.publish) if file.publish else None,
        metrics=model.MetricsConfig(**dict(file.metrics)) if file.metrics else None,
        teredo=model.TeredoServerConfig(**dict(file.teredo)) if file.teredo else None,
        sixtofour=model.SixToFourServerConfig(**dict(file.sixtofour)) if file.sixtofour else None,
        nat64=model.NAT64Config(**dict(file.nat64)) if file.nat64 else None,
        enrolment=model.EnrolmentConfig(**dict(file.enrolment)) if file.enrolment else None,
        health=ipsec.health,
        audit=model.AuditConfig(**dict(file.audit)),
        log=model.LogConfig(**dict(file.log)),
        state_directory=file.state_directory,
        runtime_directory=file.runtime_directory,
        control_socket=file.control_socket,
    )


def _health(table: HealthTable) -> model.HealthConfig:
    return model.HealthConfig(policy=health_policy_of(table), authority=table.authority)


def _iphttps(table: IPHTTPSTable) -> model.IPHTTPSServerConfig:
    adc = model.ADCConfig(**dict(table.adc)) if table.adc else None
    return model.IPHTTPSServerConfig(**dict(table) | {"adc": adc})


def _users(table: UsersTable) -> model.UsersConfig:
    certificates = table.certificates
    told = model.UserCertificatesConfig(**dict(certificates)) if certificates else None
    codes = model.CodesConfig(**dict(table.codes)) if table.codes else None
    return model.UsersConfig(**(dict(table) | {"certificates": told, "codes": codes}))


def _publish(table: PublishTable) -> model.PublishConfig:
    values = dict(table) | {
        "nrpt": tuple(NRPTRule(**dict(rule)) for rule in table.nrpt),
        "probes": tuple(ResourceProbe(**dict(probe)) for probe in table.probes),
        "revocation": RevocationPolicy(**dict(table.revocation or RevocationTable())),
    }
    return model.PublishConfig(**values)


def _told(error: ValidationError, path: Path) -> Iterator[ConfigError]:
    """Say each of pydantic's errors in the words of the file."""
    for detail in error.errors(include_url=False):
        location = detail["loc"]
        yield ConfigError(str(path), key_of(location), _reason(cast("dict[str, Any]", detail)))


def _reason(detail: dict[str, Any]) -> str:
    match detail["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            *outer, name = detail["loc"]
            return f"unknown key{fields.did_you_mean(str(name), known_keys(tuple(outer)))}"
        case "value_error":
            return str(detail["ctx"]["error"])
        case "tuple_type":
            return f"must be a list: [...], is {detail['input']!r}"
        case _:
            return f"{detail['msg']}, is {detail['input']!r}"


def key_of(location: tuple[int | str, ...]) -> str:
    """Write a place as the documentation does: ``publish.nrpt[0].servers``."""
    key = ""
    for part in location:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else part
    return key


def known_keys(location: tuple[int | str, ...]) -> tuple[str, ...]:
    """Return the keys of the table at a place."""
    name = ".".join(part for part in location if isinstance(part, str))
    return tuple(TABLES[name].model_fields) if name in TABLES else ()
