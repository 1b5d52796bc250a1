"""Names and chains of certificates, without any evidence around them."""

from datetime import UTC, datetime

import pytest

from throughway.doctor.rules import chains
from throughway.model.evidence import Source
from throughway.model.facts.base import CollectedAt
from throughway.model.facts.certificates import Certificate, Store

HERE = Source("a")


def certificate(subject: str, issuer: str) -> Certificate:
    return Certificate(source=HERE, store=Store.UNKNOWN, subject=subject, issuer=issuer)


@pytest.mark.parametrize("name", ["", " ", "no name at all", "=", ",,"])
def test_what_is_no_name_has_no_parts(name: str) -> None:
    assert chains.parts(name) == frozenset()
    assert chains.common_name(name) == ""


def test_the_order_of_a_name_does_not_matter() -> None:
    one, other = "CN=Example CA, DC=example, DC=com", "DC=com, DC=example, CN=example ca"
    assert chains.parts(one) == chains.parts(other)
    assert chains.common_name(one) == "example ca"
    assert chains.parts('CN="Example, Inc. CA", C=DE') == {"cn=example, inc. ca", "c=de"}


def test_names_with_an_asterisk_cover_one_label() -> None:
    assert chains.covers(["*.example.com"], "DA.example.com.")
    assert not chains.covers(["*.example.com"], "da.eu.example.com")
    assert not chains.covers(["", "other.example.com"], "da.example.com")


def test_chains() -> None:
    leaf = certificate("CN=client", "CN=Issuing")
    issuing = certificate("CN=Issuing", "CN=Root")
    root = certificate("CN=Root", "CN=Root")
    assert chains.chains_to(leaf, "CN=Issuing", ()) is True
    assert chains.chains_to(leaf, "CN=Root", (issuing,)) is True
    assert chains.chains_to(leaf, "CN=Other", (issuing, root)) is False
    # A link is not known: nothing can be said.
    assert chains.chains_to(leaf, "CN=Other", (issuing,)) is None
    assert chains.chains_to(leaf, "", ()) is None
    loop = (certificate("CN=a", "CN=b"), certificate("CN=b", "CN=a"))
    assert chains.chains_to(loop[0], "CN=Other", loop) is None


def test_moments() -> None:
    moments = [CollectedAt(source=HERE, iso="no"), CollectedAt(source=HERE, iso="2024-11-18T10:00")]
    now = chains.collected_at(moments)
    assert now == datetime(2024, 11, 18, 10)
    assert chains.is_past(datetime(2024, 1, 1, tzinfo=UTC), now)
    assert not chains.is_past(None, now)
    assert not chains.is_past(datetime(2024, 1, 1, tzinfo=UTC), None)


def test_what_several_commands_say_of_one_certificate() -> None:
    plain = Certificate(
        source=HERE, store=Store.MACHINE, subject="CN=a", thumbprint="00", private_key=False
    )
    verbose = Certificate(
        source=HERE, store=Store.MACHINE, thumbprint="00", usages=("1.2.3",), private_key=True
    )
    nameless = certificate("CN=b", "CN=c")
    first, second = chains.joined([plain, nameless, verbose])
    assert (first.subject, first.usages, first.private_key) == ("CN=a", ("1.2.3",), True)
    assert second == nameless


def test_the_name_of_an_authority_that_was_cut_off_proves_nothing() -> None:
    leaf = certificate("CN=client", "CN=Example Issuing CA, DC=corp, DC=example")
    assert chains.chains_to(leaf, "DC=example, DC=corp, CN=Example Is", []) is None
    root = certificate("CN=Example Issuing CA, DC=corp", "CN=Example Issuing CA, DC=corp")
    assert chains.chains_to(root, "CN=Another CA", []) is False
