"""What is deployed on this edge: an immutable whole that is swapped between two requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from emulator.edge.functions import EdgeFunction
from emulator.network.latency import ApiFront
from emulator.network.origins import OriginAddress, OriginTimeouts
from emulator.rules.viewer_request import host_name, serves_host
from emulator.values.distribution import Distribution
from emulator.values.lambda_edge import LambdaCustomOrigin, LambdaOrigin

_LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True, slots=True)
class OriginTarget:
    """Where one origin of a distribution really is.

    Args:
        address: Where it listens.
        region: The AWS Region that its distance is counted to.
        front: What stands before it at AWS.
        timeouts: CloudFront's patience with it.
        hides_missing: A bucket that CloudFront may not list: S3 answers 403 for a missing object.
    """

    address: OriginAddress
    region: str = "us-east-1"
    front: ApiFront = ApiFront.NONE
    timeouts: OriginTimeouts = field(default_factory=OriginTimeouts)
    hides_missing: bool = False


@dataclass(frozen=True, slots=True)
class Site:
    """Every distribution with its functions and origins.

    Args:
        distributions: The first one also answers to localhost and 127.0.0.1.
        functions: By ARN, as associations name them.
        origins: By distribution id and origin id.
        domains: By the domain name that a function may choose as origin.
    """

    distributions: tuple[Distribution, ...] = ()
    functions: Mapping[str, EdgeFunction] = field(default_factory=dict)
    origins: Mapping[tuple[str, str], OriginTarget] = field(default_factory=dict)
    domains: Mapping[str, OriginTarget] = field(default_factory=dict)

    def target_of(self, chosen: LambdaOrigin) -> OriginTarget | None:
        """Where an origin is that a function chose; None when nobody said so.

        A domain of this machine is where it says; others are those of the distributions' own
        origins, and those that localpop.toml names.
        """
        if isinstance(chosen, LambdaCustomOrigin) and chosen.domain_name == "localhost":
            address = OriginAddress("localhost", chosen.port, chosen.protocol == "https")
            return OriginTarget(address)
        return self.domains.get(chosen.domain_name)

    def distribution_for(self, host: str) -> Distribution | None:
        """The enabled distribution that a Host header names; None: CloudFront answers 403.

        The names of this machine stand for the first distribution, so that `curl localhost:8080`
        works without a Host header.
        """
        for distribution in self.distributions:
            if distribution.enabled and serves_host(distribution, host):
                return distribution
        name = host_name(host)
        if name in _LOCAL_NAMES or name.endswith(".localhost"):
            return next((one for one in self.distributions if one.enabled), None)
        return None
