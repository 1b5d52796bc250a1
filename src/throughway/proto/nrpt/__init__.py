"""Names outside: the Name Resolution Policy Table and the stub resolver that obeys it."""

from throughway.proto.nrpt.query import Transport
from throughway.proto.nrpt.stub import Situation, Stub
from throughway.proto.nrpt.table import Table

__all__ = ["Situation", "Stub", "Table", "Transport"]
