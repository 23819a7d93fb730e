"""A function's code as quickjs-ng compiles it: one factory, called anew for each invocation.

`(function (modules) {'use strict'; <the code>; return handler})`: compiled once, it costs 0.3 us
more per call than a function that is kept, and gives each call a scope of its own
(facts/engines.md 1).
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
    parameters = ", ".join(f"$${name}" for name in (*MODULES, "watch"))
    # Imports are hoisted, as in njs.
    bound = "".join(f"const {each.name} = $${each.module};" for each in imports)
    return f"(function ({parameters}) {{'use strict';{bound}"


def factory_source(imports: tuple[Import, ...], body: str) -> str:
    """The factory as an expression; `body` is the code without its import statements."""
    return factory_head(imports) + body + _TAIL


_TAIL: Final = "\n;return typeof handler === 'function' ? handler : undefined;})"
# No JavaScript: a script that ends with it is parsed to its end and never run.
_NEVER_RUNS: Final = "\n@@"


@dataclass(frozen=True, slots=True)
class CompileError:
    """The first thing that quickjs-ng cannot compile.

    Args:
        line: From 1, where it stopped reading; one more than the code has when it missed something.
        column: From 1, in characters.
        message: In quickjs-ng's words.
    """

    line: int
    column: int
    message: str


def compile_error(imports: tuple[Import, ...], body: str, *, is_whole: bool) -> CompileError | None:
    """Compile without running, in strict mode.

    Code can be written so that it ends the factory and goes on outside it. So it is parsed with an
    end that keeps the script from running, whatever it holds; without that end only when it is
    known to be a whole program by itself.

    Args:
        imports: The modules that the code binds.
        body: The code without its import statements.
        is_whole: Whether a parser has found the code complete and balanced.
    """
    source = factory_source(imports, body)
    error = _first_error(imports, source + _NEVER_RUNS)
    if error is None or error.line < source.count("\n") + 2:
        return error
    return _first_error(imports, source) if is_whole else None


def _first_error(imports: tuple[Import, ...], source: str) -> CompileError | None:
    context = Context()
    context.set_time_limit(_COMPILE_LIMIT_S)
    try:
        context.eval(source)
    except JSException as error:
        message, _, rest = str(error).partition("\n")
        place = _PLACE.search(rest)
        line, column = (int(place[1]), int(place[2])) if place else (1, 1)
        if line == 1:
            column = max(1, column - len(factory_head(imports)))
        return CompileError(line, column, message.partition(": ")[2] or message)
    return None
