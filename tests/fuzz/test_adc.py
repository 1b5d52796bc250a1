"""Any header where a certificate must be, any bytes where a hello must be: refused or judged."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.proto.iphttps.test_adc import CERTIFICATE, HAPROXY, NGINX, VERIFY
from tests.proto.iphttps.test_hello import OFFERS
from throughway.model.config import ADCConfig
from throughway.proto.iphttps.adc import (
    ADC,
    CERTIFICATE_PROBLEMS,
    FORGED,
    UNTRUSTED,
    ClientRefusedError,
    Verdict,
)
from throughway.proto.iphttps.hello import Offer, judge_hello


def distrust(_der: bytes) -> Verdict:
    return Verdict(subject="somebody", problem=UNTRUSTED, why="nobody is trusted here")


CAUTIOUS = ADC(config=ADCConfig(listen=(), addresses=()), judge=distrust)
latin = st.text(st.characters(max_codepoint=255), max_size=60)
certificates = st.one_of(latin, st.sampled_from((HAPROXY, NGINX, "")))
words = st.one_of(latin, st.sampled_from(("SUCCESS", "0", "NONE", "FAILED:certificate revoked")))


@given(st.lists(certificates, max_size=2), st.lists(words, max_size=2))
@example([HAPROXY], ["\u00b2"])
@example([HAPROXY], ["9" * 60])
def test_whatever_is_claimed_nobody_is_let_in_by_a_judge_who_trusts_nobody(
    certificate: list[str], verify: list[str]
) -> None:
    headers = {CERTIFICATE: tuple(certificate), VERIFY: tuple(verify)}
    with pytest.raises(ClientRefusedError) as caught:
        CAUTIOUS.identify(None, headers)
    assert caught.value.problem in {*CERTIFICATE_PROBLEMS, FORGED}
    assert caught.value.status in {400, 403}


offers = [data for data, _ in OFFERS.values()]


@given(
    st.one_of(
        st.binary(max_size=100),
        st.builds(
            lambda data, at, byte: data[: at % len(data)] + byte + data[at % len(data) + 1 :],
            st.sampled_from(offers),
            st.integers(0, 1000),
            st.binary(max_size=2),
        ),
    )
)
def test_a_judgement_once_made_stands(data: bytes) -> None:
    """More bytes change nothing: whoever peeks early sees what whoever peeks late does."""
    whole = judge_hello(data)
    for cut in range(len(data)):
        early = judge_hello(data[:cut])
        assert early in (Offer.UNFINISHED, whole)
