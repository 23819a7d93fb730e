"""What was made through the AWS endpoint, made ready to serve viewers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from emulator.app.function_logs import FunctionLogs
from emulator.aws.cloudfront.functions import code_of, store_arns
from emulator.edge.functions import CloudFrontFunction, EdgeFunction, LambdaFunction, StoreCopies
from emulator.errors import ConfigError, EdgeFunctionError, FailureKind
from emulator.project.identifiers import function_arn, lambda_arn
from emulator.project.made_by_api import AccountReader
from emulator.runtimes.cloudfront_functions.engine import CloudFrontFunctions
from emulator.runtimes.lambda_edge import LambdaFunctions, LoadedLambda
from emulator.stores.account import Account
from emulator.stores.lambda_packages import LambdaPackages
from emulator.values.account import Kind, Record
from emulator.values.distribution import Distribution
from emulator.values.functions import FunctionEvent, FunctionKind, FunctionRun
from emulator.values.lambda_edge import LambdaDeclaration, LambdaOrigin

# CloudFront's own sentence for a function that cannot run (facts/lambda-at-edge.md 5.2).
_NOT_RUN: Final = (
    "The Lambda function associated with the CloudFront distribution is invalid "
    "or doesn't have the required permissions."
)


@dataclass(frozen=True, slots=True)
class BrokenFunction:
    """A function that AWS would deploy as well, and that fails whenever it runs.

    Args:
        name: Its name.
        reason: Why it cannot run.
    """

    name: str
    reason: str

    async def run(
        self, event: FunctionEvent, *, include_body: bool, origin: LambdaOrigin | None = None
    ) -> FunctionRun:
        """Fail.

        Raises:
            EdgeFunctionError: Always.
        """
        raise EdgeFunctionError(FailureKind.LAMBDA_EXECUTION, _NOT_RUN, self.reason)


@dataclass(slots=True)
class AccountSite:
    """The account's part of a Site; what has not changed is kept loaded, and warm.

    Args:
        account: What was made through the endpoint.
        packages: The code of its Lambda functions.
        functions: The engine of CloudFront Functions.
        lambdas: The sandboxes of Lambda@Edge.
        copies: Where the edge's versions of stores are.
        logs: Keeps what functions write.
    """

    account: Account
    packages: LambdaPackages
    functions: CloudFrontFunctions
    lambdas: LambdaFunctions
    copies: StoreCopies
    logs: FunctionLogs
    _reader: AccountReader = field(init=False)
    _functions: dict[str, tuple[Record, CloudFrontFunction]] = field(default_factory=dict)
    _lambdas: dict[str, tuple[Record, EdgeFunction, LoadedLambda | None]] = field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        self._reader = AccountReader(self.account)

    def distributions(self) -> Sequence[Distribution]:
        """Every distribution of the account."""
        return self._reader.distributions()

    def edge_functions(self, distributions: Sequence[Distribution]) -> dict[str, EdgeFunction]:
        """LIVE functions, and the Lambda versions that a distribution names, by ARN."""
        live = {
            function_arn(record.id): self._function(record)
            for record in self.account.all(Kind.LIVE_FUNCTION)
        }
        named = {
            association.arn
            for distribution in distributions
            for behavior in distribution.behaviors
            for association in behavior.functions
            if association.kind is FunctionKind.LAMBDA_AT_EDGE
        }
        versions = {
            arn: self._lambda(record, arn)
            for record in self.account.all(Kind.LAMBDA_VERSION)
            if (arn := lambda_arn(record.id)) in named
        }
        self._forget(set(live), set(versions))
        return {**live, **versions}

    def _function(self, record: Record) -> CloudFrontFunction:
        arn = function_arn(record.id)
        before = self._functions.get(arn)
        if before is not None and before[0] is record:
            return before[1]
        runtime = record.document["FunctionConfig"]["Runtime"]
        loaded = self.functions.load(record.id, code_of(record), runtime)
        store = next(iter(store_arns(record)), "")
        logged = self.logs.logged(record.id, loaded)
        made = CloudFrontFunction(record.id, logged, store, self.copies)
        self._functions[arn] = (record, made)
        return made

    def _lambda(self, record: Record, arn: str) -> EdgeFunction:
        before = self._lambdas.get(arn)
        if before is not None and before[0] is record:
            return before[1]
        document = record.document
        name = document["FunctionName"]
        made: EdgeFunction
        loaded: LoadedLambda | None = None
        try:
            loaded = self.lambdas.load(
                LambdaDeclaration(
                    name=name,
                    handler=document["Handler"],
                    runtime=document["Runtime"],
                    package=self._package(document["CodeSha256"]),
                    timeout_s=document["Timeout"],
                    memory_mb=document["MemorySize"],
                    version=document["Version"],
                )
            )
            made = LambdaFunction(name, loaded)
        except ConfigError as error:
            made = BrokenFunction(name, str(error))
        self._lambdas[arn] = (record, made, loaded)
        return made

    def _package(self, sha256: str) -> Path:
        return self.packages.folder(sha256)

    def _forget(self, functions: set[str], lambdas: set[str]) -> None:
        for arn in [arn for arn in self._functions if arn not in functions]:
            del self._functions[arn]
        for arn in [arn for arn in self._lambdas if arn not in lambdas]:
            _, _, loaded = self._lambdas.pop(arn)
            if loaded is not None:
                # Requests under way keep their environment; idle ones end.
                self.lambdas.unload(loaded)
