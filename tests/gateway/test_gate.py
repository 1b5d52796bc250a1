"""The gate of a gateway that asks nobody."""

import asyncio

from throughway.gateway.gate import Gate, OpenGate
from throughway.net.radius import Login


def test_an_open_gate_lets_everybody_in() -> None:
    gate: Gate = OpenGate()
    login = Login(principal="a@B", connection="intranet-c", address="2001:db8::1", unique_id=1)
    asyncio.run(gate.admit(login))
    gate.relayed(None)
    assert gate.withheld("client1.corp.example.com") is None
