"""The native module where there is one, Python where there is none or where it is asked for."""

import pytest

from throughway.net import offload


def test_the_variable_asks_for_python() -> None:
    pump = offload.choose({"THROUGHWAY_PURE": "1"})
    assert str(pump) == "pure: THROUGHWAY_PURE=1 is set"
    assert not pump.offload


def test_without_a_compiler_it_is_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offload, "native", None)
    assert str(offload.choose({})).startswith("pure: the native module was not built")


def test_the_native_module_is_taken_where_it_is() -> None:
    if offload.native is None:
        pytest.skip("the native module was not built")
    pump = offload.choose({"THROUGHWAY_PURE": "0"})
    assert pump.name == "native"
    assert pump.offload
