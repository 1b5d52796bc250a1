"""``authority.toml``: every error at once."""

from pathlib import Path

import pytest

from throughway.authority import settings
from throughway.model.config import AuthorityConfig, LogConfig, LogLevel
from throughway.model.errors import ConfigError

LEAST = 'listen = ["192.0.2.1:8443", "[2001:db8::1]:443"]\nnames = ["da.example.com"]\n'


def load(folder: Path, text: str) -> AuthorityConfig:
    (folder / "authority.toml").write_text(text)
    return settings.load(folder / "authority.toml")


def test_the_least_that_is_needed(tmp_path: Path) -> None:
    config = load(tmp_path, LEAST)
    assert config.listen == (("192.0.2.1", 8443), ("2001:db8::1", 443))
    assert config.directory == Path("/etc/throughway/pki")
    assert (config.days, config.crl_days, config.crl, config.policy) == (365, 7, None, "")


def test_everything(tmp_path: Path) -> None:
    more = 'directory = "pki"\npolicy = "http://[2001:db8::1]:8080/p"\ncrl = "x.crl"\ndays = 90\n'
    config = load(tmp_path, LEAST + more)
    assert config.directory == tmp_path / "pki"
    assert config.crl == tmp_path / "x.crl"
    assert config.days == 90


def test_its_log(tmp_path: Path) -> None:
    assert load(tmp_path, LEAST).log == LogConfig()
    more = '[log]\nlevel = "debug"\nfile = "log.jsonl"\njournal = false\nkeep_days = 3\n'
    assert load(tmp_path, LEAST + more).log == LogConfig(
        level=LogLevel.DEBUG, file=tmp_path / "log.jsonl", journal=False, keep_days=3
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('names = ["a.example"]', "listen: is missing"),
        (LEAST.replace("192.0.2.1:8443", "everywhere"), "address:port"),
        (LEAST.replace(":443", ":70000"), "address:port"),
        (LEAST.replace("da.example.com", "a b"), "not a DNS name"),
        (LEAST + "days = 0", "days"),
        (LEAST + "days = 40000", "at most 3650"),
        (LEAST + 'policy = "ftp://x/y"', "http://"),
        (LEAST + '[log]\nlevel = "loud"', "log.level: 'loud' is not one of"),
        (LEAST + "[log]\nsize = 1", "size"),
        (LEAST + "day = 1", "did you mean 'days'"),
    ],
)
def test_errors(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load(tmp_path, text)


def test_a_missing_file_names_the_page(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"docs/operate/enrolment\.md"):
        settings.load(tmp_path / "none.toml")
