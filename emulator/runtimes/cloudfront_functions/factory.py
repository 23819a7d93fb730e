"""A function's code as quickjs-ng compiles it: one factory, called anew for each invocation.

`(function (modules) {'use strict'; <the code>; return handler})`: compiled once, it costs 0.3 us more per
call than a function that is kept, and gives each call a scope of its own (facts/engines.md 1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from quickjs import Context, JSException

MODULES: Final = ("cloudfront", "crypto", "querystring", "buffer")
"""What `import x from '…'` finds; AWS's own samples import `crypto` beside `cloudfront`."""

_COMPILE_LIMIT_S: Final = 1.0
_PLACE: Final = re.compile(r"<input>:(\d+):(\d+)")


@dataclass(frozen=True, slots=True)
class Import:
    """One default import that the engine resolves: `import cf from 'cloudfront'`."""

    name: str
    module: str


def factory_head(imports: tuple[Import, ...]) -> str:
    """What stands before the code, on its first line, so that no line moves."""
    parameters = ", ".join(f"$${module}" for module in MODULES)
    # Imports are hoisted, as in njs.
    bound = "".join(f"const {each.name} = $${each.module};" for each in imports)
    return f"(function ({parameters}) {{'use strict';{bound}"


def factory_source(imports: tuple[Import, ...], body: str) -> str:
    """The factory as an expression; `body` is the code without its import statements."""
    tail = "\n;return typeof handler === 'function' ? handler : undefined;})"
    return factory_head(imports) + body + tail


def compile_error(imports: tuple[Import, ...], body: str) -> tuple[int, int, str] | None:
    """Compile without running: (line, column, the engine's message), or None when it compiles."""
    context = Context()
    context.set_time_limit(_COMPILE_LIMIT_S)
    try:
        context.eval(factory_source(imports, body))
    except JSException as error:
        message, _, rest = str(error).partition("\n")
        place = _PLACE.search(rest)
        line, column = (int(place[1]), int(place[2])) if place else (1, 1)
        if line == 1:
            column = max(1, column - len(factory_head(imports)))
        return line, column, message.partition(": ")[2] or message
    return None
