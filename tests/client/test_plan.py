"""What the client wants, for everything it can see."""

from hypothesis import given
from hypothesis import strategies as st

from throughway.client.plan import NOTHING, Observed, wanted
from throughway.model.status import Location

ADDRESS = "2001:db8:da:1000::5"


def test_inside_nothing_is_wanted_whatever_is_still_up() -> None:
    observed = Observed(
        location=Location.INSIDE,
        address=ADDRESS,
        infrastructure_up=True,
        intranet_up=True,
        user="alice@CORP.EXAMPLE.COM",
    )
    assert wanted(observed) == NOTHING


def test_outside_without_an_address_only_the_link_is_brought_up() -> None:
    plan = wanted(Observed(location=Location.OUTSIDE))
    assert plan.link
    assert plan.fail_closed
    assert not plan.infrastructure
    assert not plan.intranet


def test_infrastructure_needs_no_user() -> None:
    plan = wanted(Observed(location=Location.OUTSIDE, address=ADDRESS))
    assert plan.infrastructure
    assert not plan.intranet


def test_intranet_needs_a_user_and_the_infrastructure_tunnel_first() -> None:
    outside = {"location": Location.OUTSIDE, "address": ADDRESS, "user": "alice"}
    assert not wanted(Observed(**outside)).intranet  # type: ignore[arg-type]
    assert wanted(Observed(**outside, infrastructure_up=True)).intranet  # type: ignore[arg-type]
    assert wanted(Observed(**outside, intranet_up=True)).intranet  # type: ignore[arg-type]


@given(
    st.builds(
        Observed,
        location=st.sampled_from(Location),
        address=st.sampled_from(["", ADDRESS]),
        infrastructure_up=st.booleans(),
        intranet_up=st.booleans(),
        user=st.sampled_from(["", "alice"]),
    )
)
def test_never_in_plain_unless_inside(observed: Observed) -> None:
    plan = wanted(observed)
    assert plan.fail_closed is (observed.location is not Location.INSIDE)
    assert plan.names is plan.fail_closed
    assert not plan.intranet or plan.infrastructure
    assert not plan.infrastructure or plan.link
