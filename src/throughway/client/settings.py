"""``client.toml`` to :class:`ClientConfig`, checked whole.

By hand and not by pydantic, which would cost 12 of the 80 MiB that the client may have. The
file is flat and small and is written by ``throughway client join``; whether certificate and
key fit each other was checked there, so that X.509 stays out of the daemon too.
"""

import ipaddress
import os
from collections.abc import Iterator
from pathlib import Path

from throughway.model.config import (
    AuditConfig,
    CardRemoval,
    ClientConfig,
    ESPMode,
    LogConfig,
    LogLevel,
    MetricsConfig,
    ProxyConfig,
    SmartCardConfig,
    TokenKey,
)
from throughway.model.errors import ConfigError
from throughway.net.files import read_file, read_secret, read_toml
from throughway.pki import fields
from throughway.pki.fields import Fields
from throughway.pki.key_uri import SCHEME, parse_key_uri

DEFAULT_FILE = Path("/etc/throughway/client.toml")
DEFAULT_AUDIT = "/var/log/throughway/client-events.jsonl"
DEFAULT_LOG = "/var/log/throughway/client-log.jsonl"
DEFAULT_METRICS = "127.0.0.1:9724"
TABLES = ProxyConfig | AuditConfig | SmartCardConfig | LogConfig | MetricsConfig
NO_FILE = Path("/nonexistent")
"""What ``key`` is while the key is on a token."""
DEFAULTS = {field.name: field.default for field in ClientConfig.__dataclass_fields__.values()}


def load(path: Path = DEFAULT_FILE) -> ClientConfig:
    """Read and check the file; raises one :exc:`ConfigError` that tells every error."""
    if not os.path.exists(path):
        raise ConfigError(str(path), "", "does not exist; `throughway client join` writes it")
    table = Fields(read_toml(path), str(path))
    config = _read(table, path)
    token = config.token_key
    watched = (config.certificate, config.key)
    for key, file, read in (
        ("certificate", config.certificate, read_file),
        ("key", config.key if token is None else token.pin_file, read_secret),
        ("password_file", config.password_file, read_secret),
        ("keytab", config.keytab, read_secret),
        ("policy_key", config.policy_key, read_file),
        ("iphttps_ca", config.iphttps_ca, read_file),
    ):
        # A key that was refused already would only be refused again, for a worse reason.
        if file in watched and not os.path.lexists(file):
            continue  # whoever watches the certificate says so, and goes on when it is there again
        if file is not None and not table.refused(key):
            try:
                read(file)
            except ValueError as error:
                table.refuse(key, str(error))
    table.finish()
    return config


def changed(before: ClientConfig, after: ClientConfig) -> tuple[str, ...]:
    """Return the keys of the file in which two configurations differ; of tables each key."""
    # A key on a token is a field of its own, but in the file it is ``key`` as well.
    names = ("key" if n == "token_key" else n for n in _differing(before, after) if n != "file")
    return tuple(dict.fromkeys(names))


def _differing(before: object, after: object) -> Iterator[str]:
    for name in before.__dataclass_fields__:  # type: ignore[attr-defined]
        old, new = getattr(before, name), getattr(after, name)
        if isinstance(old, TABLES) and new is not None:
            yield from (f"{name}.{key}" for key in _differing(old, new))
        elif old != new:
            yield name


def load_proxy(path: Path) -> ProxyConfig:
    """Return the proxy of a file that need not be whole yet, nor be there."""
    if not os.path.exists(path):
        return ProxyConfig()
    table = Fields(read_toml(path), str(path)).optional_table("proxy")
    proxy = _read_proxy(table, path)
    if table.errors:
        raise fields.combined(str(path), table.errors)
    return proxy


def _read(table: Fields, path: Path) -> ClientConfig:
    proxy, audit = table.optional_table("proxy"), table.optional_table("audit")
    smart_card = table.optional_table("smart_card")
    log, metrics = table.optional_table("log"), table.optional_table("metrics")
    key = table.text("key")
    config = ClientConfig(
        file=path,
        certificate=_path(table, path, "certificate"),
        key=path.parent / key if not key.startswith(SCHEME) else NO_FILE,
        token_key=_token_key(table, key),
        account=table.text("account", fields.check_account),
        identity=table.text("identity", fields.check_dns_name),
        password_file=_path(table, path, "password_file")
        if table.has("password_file") or not table.has("keytab")
        else None,
        keytab=_path(table, path, "keytab") if table.has("keytab") else None,
        kdc_proxy=table.optional_text("kdc_proxy", fields.check_https_url),
        bundle=_path(table, path, "bundle"),
        policy_key=_path(table, path, "policy_key"),
        interface=table.text("interface", fields.check_interface, _default("interface")),
        stub_address=table.text("stub_address", _check_loopback, _default("stub_address")),
        esp=ESPMode(table.text("esp", _check_esp, _default("esp")) or ESPMode.AUTO),
        iphttps_ca=_path(table, path, "iphttps_ca") if table.has("iphttps_ca") else None,
        transports=table.texts("transports", fields.check_transport, default=()),
        proxy=_read_proxy(proxy, path),
        audit=_read_audit(audit, path),
        log=_read_log(log, path),
        metrics=_read_metrics(metrics) if table.has("metrics") else None,
        iphttps_revocation=table.optional_text("iphttps_revocation", fields.check_revocation),
        ipsec_revocation=table.optional_text("ipsec_revocation", fields.check_revocation),
        logon_users=table.texts("logon_users", fields.check_text, default=()),
        smart_card=_read_smart_card(smart_card, path) if table.has("smart_card") else None,
        state_directory=_path(table, path, "state_directory"),
        runtime_directory=_path(table, path, "runtime_directory"),
        control_socket=_path(table, path, "control_socket"),
    )
    table.errors += proxy.errors + audit.errors + smart_card.errors + log.errors + metrics.errors
    if config.keytab is not None and not config.kdc_proxy:
        table.refuse("keytab", "needs kdc_proxy: a keytab is of no use to MSCHAPv2")
    return config


def _read_audit(table: Fields, path: Path) -> AuditConfig:
    audit = AuditConfig(
        file=path.parent / table.text("file", default=DEFAULT_AUDIT),
        journal=table.flag("journal", AuditConfig().journal),
        keep_days=table.integer("keep_days", 1, AuditConfig().keep_days),
    )
    table.gather()
    return audit


def _read_log(table: Fields, path: Path) -> LogConfig:
    default = LogConfig()
    log = LogConfig(
        level=LogLevel(table.text("level", _check_level, default.level) or default.level),
        file=path.parent / table.text("file", default=DEFAULT_LOG),
        journal=table.flag("journal", default.journal),
        keep_days=table.integer("keep_days", 1, default.keep_days),
    )
    table.gather()
    return log


def _read_metrics(table: Fields) -> MetricsConfig:
    listen = table.text("listen", _check_loopback_port, DEFAULT_METRICS) or DEFAULT_METRICS
    table.gather()
    return MetricsConfig(listen=fields.parse_socket_address(listen))


def _read_proxy(table: Fields, path: Path) -> ProxyConfig:
    proxy = ProxyConfig(
        url=table.optional_text("url", fields.check_proxy_url),
        script=table.optional_text("script", fields.check_web_url),
        user=table.optional_text("user", fields.check_text),
        domain=table.optional_text("domain", fields.check_text),
        password_file=_path(table, path, "password_file") if table.has("password_file") else None,
        detect=table.flag("detect", True),
    )
    if proxy.url and proxy.script:
        table.refuse("script", "stands beside url: a proxy is named by one of them")
    if bool(proxy.user) != (proxy.password_file is not None):
        table.refuse("user", "needs password_file, and the other way round")
    if proxy.password_file is not None:
        try:
            read_secret(proxy.password_file)
        except ValueError as error:
            table.refuse("password_file", str(error))
    table.gather()
    return proxy


def _read_smart_card(table: Fields, path: Path) -> SmartCardConfig:
    config = SmartCardConfig(
        module=_path(table, path, "module"),
        on_removal=CardRemoval(
            table.text("on_removal", _check_removal, CardRemoval.LOG_OFF) or CardRemoval.LOG_OFF
        ),
    )
    table.gather()
    return config


def _path(table: Fields, file: Path, key: str) -> Path:
    """Return a path; a relative one begins where the file is."""
    default = DEFAULTS.get(key)
    text = table.text(key, default=str(default) if isinstance(default, Path) else None)
    return file.parent / text


def _default(key: str) -> str:
    return str(DEFAULTS[key])


def _check_loopback(value: str) -> str:
    address = fields.check_address(value)
    if not ipaddress.ip_address(address).is_loopback:
        raise ValueError(f"{value!r} is not a loopback address, such as {_default('stub_address')}")
    return address


def _check_loopback_port(value: str) -> str:
    address, _ = fields.parse_socket_address(value)
    _check_loopback(address)
    return value


def _check_level(value: str) -> str:
    if value not in list(LogLevel):
        raise ValueError(f"{value!r} is not one of {', '.join(LogLevel)}")
    return value


def _token_key(table: Fields, key: str) -> TokenKey | None:
    if not key.startswith(SCHEME):
        return None
    try:
        return parse_key_uri(key)
    except ValueError as error:
        table.refuse("key", str(error))
        return None


def _check_removal(value: str) -> str:
    if value not in list(CardRemoval):
        raise ValueError(f"{value!r} is not one of {', '.join(CardRemoval)}")
    return value


def _check_esp(value: str) -> str:
    if value not in list(ESPMode):
        raise ValueError(f"{value!r} is not one of {', '.join(ESPMode)}")
    return value
