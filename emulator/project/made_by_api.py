"""What was made through the AWS endpoint, read into the same values as a template's."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from emulator.errors import ConfigError
from emulator.project.api_shapes import config_from_api
from emulator.project.distributions import DistributionReader
from emulator.project.not_emulated import refuse_not_emulated
from emulator.project.policies import (
    read_cache_policy,
    read_origin_access_control,
    read_origin_request_policy,
    read_response_headers_policy,
)
from emulator.project.reading import Notes, Section
from emulator.rules.edge_lint import check_distribution
from emulator.rules.managed_policies import MANAGED_CACHE_POLICIES, MANAGED_ORIGIN_REQUEST_POLICIES
from emulator.rules.response_headers_policy import MANAGED_RESPONSE_HEADERS_POLICIES
from emulator.stores.account import Account
from emulator.values.account import Kind, Record
from emulator.values.distribution import (
    CachePolicy,
    Distribution,
    OriginAccessControl,
    OriginRequestPolicy,
    ResponseHeadersPolicy,
    TrustedKey,
)
from emulator.values.findings import Finding, Severity

_log = logging.getLogger(__name__)
_WHERE = "DistributionConfig"
_REFERRED = (
    Kind.CACHE_POLICY,
    Kind.ORIGIN_REQUEST_POLICY,
    Kind.RESPONSE_HEADERS_POLICY,
    Kind.ORIGIN_ACCESS_CONTROL,
    Kind.PUBLIC_KEY,
    Kind.KEY_GROUP,
)


@dataclass(frozen=True, slots=True)
class AccountReader:
    """Reads what was made through the AWS endpoint.

    Args:
        account: Where it is kept.
    """

    account: Account
    _read: dict[str, tuple[Record, tuple[int, ...], Distribution]] = field(default_factory=dict)

    def distributions(self) -> Sequence[Distribution]:
        """Every distribution of the account; what has not changed is read once."""
        records = self.account.all(Kind.DISTRIBUTION)
        referred = tuple(self.account.changes(kind) for kind in _REFERRED)
        for record in records:
            before = self._read.get(record.id)
            if before is None or before[0] is not record or before[1] != referred:
                document = record.document
                try:
                    read = self.distribution(
                        record.id, document["DomainName"], document["DistributionConfig"]
                    )
                except ConfigError as error:
                    # It could be read when it was made; an older localpop may have made it.
                    _log.warning("The distribution %s is not served: %s", record.id, error)
                    self._read.pop(record.id, None)
                    continue
                self._read[record.id] = (record, referred, read)
        for gone in self._read.keys() - {record.id for record in records}:
            del self._read[gone]
        return [self._read[record.id][2] for record in records if record.id in self._read]

    def distribution(
        self, identity: str, domain_name: str, config: Mapping[str, Any]
    ) -> Distribution:
        """One distribution.

        Args:
            identity: Its id.
            domain_name: Its domain name.
            config: Its DistributionConfig, in the API's form.

        Raises:
            ConfigError: It cannot be read; its first mistake.
        """
        notes = Notes()
        section = Section(config_from_api(config), _WHERE, notes)
        distribution = DistributionReader(self).read(section, identity, domain_name)
        _refuse(notes.found)
        return distribution

    def require_sound(self, distribution: Distribution) -> None:
        """Refuse what CloudFront would refuse, and what localpop's edge cannot do.

        Raises:
            ConfigError: In CloudFront's words where they are known.
            NotEmulated: It asks for what localpop lacks.
        """
        _refuse(check_distribution(distribution, _WHERE))
        refuse_not_emulated(distribution, _WHERE)

    # --- what a distribution refers to, as `distributions.Account` asks for it --------------

    def cache_policy(self, policy_id: str) -> CachePolicy | None:
        """A cache policy, managed or own."""
        config = self._config(Kind.CACHE_POLICY, policy_id)
        if config is None:
            return MANAGED_CACHE_POLICIES.get(policy_id)
        return read_cache_policy(config)

    def origin_request_policy(self, policy_id: str) -> OriginRequestPolicy | None:
        """An origin request policy, managed or own."""
        config = self._config(Kind.ORIGIN_REQUEST_POLICY, policy_id)
        if config is None:
            return MANAGED_ORIGIN_REQUEST_POLICIES.get(policy_id)
        return read_origin_request_policy(config)

    def response_headers_policy(self, policy_id: str) -> ResponseHeadersPolicy | None:
        """A response headers policy, managed or own."""
        config = self._config(Kind.RESPONSE_HEADERS_POLICY, policy_id)
        if config is None:
            return MANAGED_RESPONSE_HEADERS_POLICIES.get(policy_id)
        return read_response_headers_policy(config)

    def access_control(self, control_id: str) -> OriginAccessControl | None:
        """An origin access control."""
        config = self._config(Kind.ORIGIN_ACCESS_CONTROL, control_id)
        return None if config is None else read_origin_access_control(config, control_id)

    def trusted_keys(self, group_id: str) -> tuple[TrustedKey, ...] | None:
        """The public keys of a key group."""
        group = self.account.find(Kind.KEY_GROUP, group_id)
        if group is None:
            return None
        keys = (self.account.find(Kind.PUBLIC_KEY, key) for key in group.document["Items"])
        return tuple(TrustedKey(key.id, key.document["EncodedKey"]) for key in keys if key)

    def names(self, kind: str) -> list[str]:
        """The managed policies' names of a kind, for messages."""
        match kind:
            case "CachePolicy":
                return [policy.name for policy in MANAGED_CACHE_POLICIES.values()]
            case "OriginRequestPolicy":
                return [policy.name for policy in MANAGED_ORIGIN_REQUEST_POLICIES.values()]
            case _:
                return [policy.name for policy in MANAGED_RESPONSE_HEADERS_POLICIES.values()]

    def _config(self, kind: Kind, record_id: str) -> Section | None:
        record = self.account.find(kind, record_id)
        if record is None:
            return None
        return Section(config_from_api(record.document), f"{kind} {record_id}", Notes())


def _refuse(findings: Sequence[Finding]) -> None:
    for finding in findings:
        if finding.severity is Severity.ERROR:
            raise ConfigError(finding.what, where=finding.where, mend=finding.mend)
