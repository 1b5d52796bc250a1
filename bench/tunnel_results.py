"""What `make bench` has measured: the form of ``bench/results/tunnel.json``, checked on reading."""

import math
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

RESULTS = Path(__file__).parent / "results" / "tunnel.json"


@dataclass(frozen=True, slots=True)
class Measure:
    """One kind of figure."""

    title: str
    unit: str
    higher_is_better: bool = True


MEASURES = {
    "tcp-1-up": Measure("one TCP stream, up", "Mbit/s"),
    "tcp-1-down": Measure("one TCP stream, down", "Mbit/s"),
    "tcp-4-up": Measure("four TCP streams, up", "Mbit/s"),
    "tcp-4-down": Measure("four TCP streams, down", "Mbit/s"),
    "two-clients-up": Measure("two clients, a stream each, up", "Mbit/s"),
    "two-clients-down": Measure("two clients, a stream each, down", "Mbit/s"),
    "udp-1200-up": Measure("UDP of 1200 bytes, up", "packets/s"),
    "udp-1200-down": Measure("UDP of 1200 bytes, down", "packets/s"),
    "udp-200-up": Measure("UDP of 200 bytes, up", "packets/s"),
    "udp-200-down": Measure("UDP of 200 bytes, down", "packets/s"),
    "rtt-idle": Measure("round trip, idle", "ms", higher_is_better=False),
    "rtt-loaded-up": Measure("round trip under load, up", "ms", higher_is_better=False),
    "rtt-loaded-down": Measure("round trip under load, down", "ms", higher_is_better=False),
    "cpu-up": Measure("CPU time, up", "s/GB", higher_is_better=False),
    "cpu-down": Measure("CPU time, down", "s/GB", higher_is_better=False),
    "handshakes": Measure("handshakes", "1/s"),
    "memory-idle": Measure("memory of an idle session", "KiB", higher_is_better=False),
}

CANDIDATES = {
    "plain-tls": "plain TLS",
    "native": "throughway native",
    "pure": "throughway pure",
    "softether": "SoftEther",
    "wireguard-go": "wireguard-go",
    "ocserv": "ocserv",
    "openvpn": "OpenVPN-TCP",
    "native-1x2": "native, one worker, two clients",
    "native-2": "native, two workers, two clients",
    "pure-1x2": "pure, one worker, two clients",
    "pure-2": "pure, two workers, two clients",
    "esp": "ESP alone",
    "path": "IP-HTTPS and ESP, native",
    "path-pure": "IP-HTTPS and ESP, pure",
}
PEERS = ("softether", "wireguard-go", "ocserv", "openvpn")


class ResultsError(ValueError):
    """The results cannot be read: which file, where in it, and why."""


def _known_candidate(name: str) -> str:
    if name not in CANDIDATES:
        raise ValueError(f"{name!r} is none of {', '.join(CANDIDATES)}")
    return name


def _known_measure(name: str) -> str:
    if name not in MEASURES:
        raise ValueError(f"{name!r} is none of {', '.join(MEASURES)}")
    return name


class Part(BaseModel):
    """A part of the file. Keys that nobody here reads may be in it."""

    model_config = ConfigDict(frozen=True)


class Machine(Part):
    """Where it was measured."""

    cores: int
    cpu: str
    memory: str
    system: str
    kernel: str


class Measurement(Part):
    """One figure of one candidate, a value a round; or why there is none."""

    candidate: Annotated[str, AfterValidator(_known_candidate)]
    measure: Annotated[str, AfterValidator(_known_measure)]
    unit: str
    values: tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...]
    why: str = ""

    @model_validator(mode="after")
    def _whole(self) -> "Measurement":
        unit = MEASURES[self.measure].unit
        if self.unit != unit:
            raise ValueError(f"{self.measure} of {self.candidate}: in {self.unit}, not in {unit}")
        if not self.values and not self.why:
            raise ValueError(f"{self.measure} of {self.candidate}: neither values nor why not")
        return self


class Results(Part):
    """One run of the benchmark."""

    schema_: Literal[1] = Field(alias="schema")
    taken: str
    command: str = "make bench"
    rounds: Annotated[int, Field(ge=1)]
    seconds: float
    machine: Machine
    congestion_control: str
    load: float | str | None = None
    versions: dict[str, str]
    settings: dict[str, str]
    measurements: tuple[Measurement, ...]

    @model_validator(mode="after")
    def _each_once(self) -> "Results":
        seen = set[tuple[str, str]]()
        for one in self.measurements:
            key = (one.candidate, one.measure)
            if key in seen:
                raise ValueError(f"{one.measure} of {one.candidate} is there twice")
            seen.add(key)
        return self

    def find(self, candidate: str, measure: str) -> Measurement | None:
        """Return a measurement, or None where it is not spoken of."""
        for one in self.measurements:
            if (one.candidate, one.measure) == (candidate, measure):
                return one
        return None

    def median(self, candidate: str, measure: str) -> float | None:
        """Return the median over the rounds, or None where nothing was measured."""
        one = self.find(candidate, measure)
        return median(one.values) if one and one.values else None

    def why_not(self, candidate: str, measure: str) -> str:
        """Say why there is no value."""
        one = self.find(candidate, measure)
        return one.why if one else "not in the run"

    def spread(self, one: Measurement) -> float:
        """Return how far the rounds lie apart, as a share of the median."""
        middle = median(one.values) if one.values else 0.0
        return (max(one.values) - min(one.values)) / middle if middle else math.nan


def parse(text: str, source: str = "tunnel.json") -> Results:
    """Return the results which a file's text holds."""
    try:
        return Results.model_validate_json(text)
    except ValidationError as error:
        told = [f"{_place(one['loc'])}: {one['msg']}" for one in error.errors()]
        raise ResultsError("\n".join(f"{source}: {line}" for line in told)) from None


def load(path: Path = RESULTS) -> Results:
    """Return the results of a file."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ResultsError(f"{path.name}: {error}") from error
    return parse(text, path.name)


def _place(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "the file"
