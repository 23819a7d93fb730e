"""The state machines there are: the template's, and those made through the API."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from emulator.aws.cloudfront.control_plane import ACCOUNT_ID
from emulator.errors import ApiError, NotEmulated
from emulator.project.declarations import StateMachineDeclaration
from emulator.rules.asl_definition import check_definition, not_emulated
from emulator.stores.account import Account
from emulator.values.account import Kind, Record
from emulator.values.state_machines import MachineType, StateMachine

REGION: Final = "us-east-1"
# API reference, CreateStateMachine: a name has no white space and none of these.
_NAME: Final = re.compile(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80}")
_ARN: Final = re.compile(r"arn:aws:states:[a-z0-9-]+:\d{12}:stateMachine:([^:]{1,80})(?::(.+))?")


class Machines:
    """State machines by name.

    Args:
        account: Where those made through the API are kept.
        declared: Those of the template, as it is now.
        is_native: Whether localpop's own runner has to be able to run them.
    """

    def __init__(
        self,
        account: Account,
        declared: Callable[[], Sequence[StateMachineDeclaration]],
        *,
        is_native: bool,
    ) -> None:
        self._account, self._declared, self._is_native = account, declared, is_native
        self._values: dict[str, StateMachine] = {}

    def names(self) -> Sequence[str]:
        """Every name, the template's first."""
        made = [record.id for record in self._account.all(Kind.STATE_MACHINE)]
        return [*(one.name for one in self._declared()), *made]

    def record(self, name: str) -> Record | None:
        """What the account keeps of one; None for the template's."""
        return self._account.find(Kind.STATE_MACHINE, name)

    def find(self, name: str) -> StateMachine | None:
        """One state machine; None when there is none."""
        for declared in self._declared():
            if declared.name == name:
                return self._value(name, declared.definition, declared.kind, declared.role_arn)
        record = self.record(name)
        if record is None:
            return None
        document = record.document
        kind = MachineType(document["type"])
        return self._value(name, document["definition"], kind, document["roleArn"])

    def named(self, arn: str) -> StateMachine:
        """The state machine of an ARN.

        Raises:
            ApiError: 400, the ARN is none, or there is no such machine.
            NotEmulated: The ARN names a version or an alias.
        """
        match = _ARN.fullmatch(arn)
        if match is None:
            raise invalid_arn(arn)
        if match[2]:
            raise NotEmulated("A version or an alias of a state machine", where=arn)
        found = self.find(match[1])
        if found is None:
            raise ApiError(
                400, "StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'"
            )
        return found

    def is_declared(self, name: str) -> bool:
        """Whether the template has it."""
        return any(one.name == name for one in self._declared())

    def require_valid(self, definition: str) -> Mapping[str, Any]:
        """A definition, parsed.

        Raises:
            ApiError: 400 InvalidDefinition, with every diagnostic.
            NotEmulated: The native runner cannot do something in it.
        """
        parsed, diagnostics = check_definition(definition)
        if diagnostics:
            shown = ", ".join(f"'{one}'" for one in diagnostics)
            raise ApiError(400, "InvalidDefinition", f"Invalid State Machine Definition: {shown}")
        self._require_native(parsed)
        return parsed

    def _require_native(self, parsed: Mapping[str, Any]) -> None:
        if not self._is_native:
            return
        for location, what in not_emulated(parsed):
            raise NotEmulated(
                f'{what} by the native runner ([step_functions] runner = "interpreter" may do it)',
                where=location,
            )

    def _value(self, name: str, text: str, kind: MachineType, role_arn: str) -> StateMachine:
        kept = self._values.get(name)
        if kept is not None and (kept.text, kept.kind, kept.role_arn) == (text, kind, role_arn):
            return kept
        made = StateMachine(name, machine_arn(name), json.loads(text), text, kind, role_arn)
        self._require_native(made.definition)
        self._values[name] = made
        return made


def machine_arn(name: str) -> str:
    """A state machine's ARN."""
    return f"arn:aws:states:{REGION}:{ACCOUNT_ID}:stateMachine:{name}"


def require_name(name: str) -> None:
    """Refuse what cannot be the name of a state machine or an execution.

    Raises:
        ApiError: 400 InvalidName.
    """
    if not _NAME.fullmatch(name):
        raise ApiError(400, "InvalidName", f"Invalid Name: '{name[:100]}'")


def invalid_arn(arn: str) -> ApiError:
    """400 InvalidArn."""
    return ApiError(
        400,
        "InvalidArn",
        f"Invalid Arn: 'Invalid ARN prefix: {arn[:256]}'"
        if not arn.startswith("arn:aws:states:")
        else f"Invalid Arn: 'Resource type not valid in this context: {arn.split(':')[5][:80]}'"
        if arn.count(":") > 5
        else f"Invalid Arn: '{arn[:256]}'",
    )
