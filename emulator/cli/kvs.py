"""`localpop kvs`: key value stores, in AWS or in a running localpop, by files and by keys."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from emulator.app.settings import Overrides, current_settings
from emulator.deploy.key_values import (
    StoreClient,
    SyncResult,
    changes,
    compare,
    dump_pairs,
    find_store,
    import_pairs,
    read_pairs,
    sync,
)
from emulator.deploy.sdk import AwsTarget
from emulator.errors import ConfigError, LocalpopError
from emulator.project.template import inspect_templates
from emulator.quotas import MB, STORE_MAX_BYTES
from emulator.rules.key_value_store import StoreUpdate, contents_of

_EPILOG: Final = """\
examples:
  localpop kvs sync answers.json --dry-run     what would change; nothing does
  localpop kvs sync answers.json               write what differs, and only that
  localpop kvs sync answers.json --delete      and delete keys that the file does not name
  localpop kvs export answers.json             the store as a file; without a name to the terminal
  localpop kvs import answers.json --store new-answers     a new store from a file
  localpop kvs get u1_morning

A file is of AWS's form: {"data": [{"key": "…", "value": "…"}]}.

Where: whatever the SDK resolves. AWS_ENDPOINT_URL=http://local@127.0.0.1:4566 (or --endpoint-url)
is a running localpop; without it these commands speak to your AWS account. The first line they
print says which.
"""
_PROGRESS_EVERY_S: Final = 0.1
_PROGRESS_AFTER_S: Final = 0.7
_PROGRESS_LINES_EVERY_S: Final = 5.0


def add_commands(commands: Any) -> None:
    """Add `kvs` to the command's own commands."""
    kvs = commands.add_parser(
        "kvs",
        help="key value stores: sync, export and import files; list, get, put and delete keys",
        description="Key value stores, in AWS or in a running localpop.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    doing = kvs.add_subparsers(required=True, metavar="what")
    one = _add(doing, "sync", _sync, "make a store hold what a file says; only differences travel")
    one.add_argument("file", type=Path, metavar="FILE")
    one.add_argument("--dry-run", action="store_true", help="say what would change, change nothing")
    one.add_argument(
        "--delete",
        action="store_true",
        help="delete keys that the file does not name (else they are named, and stay)",
    )
    one = _add(doing, "export", _export, "write a store to a file")
    one.add_argument("file", type=Path, nargs="?", metavar="FILE", help="(the terminal)")
    one = _add(doing, "import", _import, "make a new store from a file")
    one.add_argument("file", type=Path, metavar="FILE")
    one.add_argument("--comment", default="", help="the new store's comment")
    one = _add(doing, "list", _list, "list keys and the sizes of their values")
    one.add_argument("prefix", nargs="?", default="", metavar="PREFIX", help="only keys with it")
    one = _add(doing, "get", _get, "print the value of a key")
    one.add_argument("key", metavar="KEY")
    one = _add(doing, "put", _put, "write one key")
    one.add_argument("key", metavar="KEY")
    one.add_argument("value", metavar="VALUE", help="its value; - reads it from standard input")
    one = _add(doing, "delete", _delete, "delete keys")
    one.add_argument("keys", nargs="+", metavar="KEY")


def _add(doing: Any, name: str, act: Any, words: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = doing.add_parser(name, help=words, description=words + ".")
    made.add_argument(
        "--store",
        default=os.environ.get("LOCALPOP_STORE", ""),
        metavar="NAME|ARN",
        help="the store (the template's, when it declares one)",
    )
    made.add_argument(
        "--endpoint-url",
        default="",
        metavar="URL",
        help="an endpoint in AWS's place (AWS_ENDPOINT_URL)",
    )
    made.set_defaults(act=act)
    return made


# --- files ----------------------------------------------------------------------------------------
def _sync(arguments: argparse.Namespace) -> int:
    wanted = read_pairs(arguments.file)
    store = _store(arguments)
    if arguments.dry_run:
        with _progress() as progress:
            difference = compare(wanted, store.pairs(progress))
        for line in changes(difference, delete=arguments.delete):
            print(line)
        gone = len(difference.unlisted) if arguments.delete else 0
        print(
            f"would add {len(difference.added):,}, change {len(difference.changed):,}, delete "
            f"{gone:,}; {difference.unchanged:,} already as in the file. Nothing was changed."
        )
        return 0
    started_s = time.monotonic()
    with _progress() as progress:
        result = sync(store, wanted, delete=arguments.delete, progress=progress)
    _summarize(result, time.monotonic() - started_s)
    return 0


def _summarize(result: SyncResult, took_s: float) -> None:
    print(
        f"added {result.added:,}, changed {result.changed:,}, deleted {result.deleted:,}; "
        f"{result.unchanged:,} already as in the file ({result.calls} UpdateKeys, {took_s:.1f} s)"
    )
    if result.conflicts:
        print(
            f"another writer was faster {result.conflicts} time(s); the store was compared "
            f"{result.passes} times"
        )
    if result.unlisted:
        shown = ", ".join(result.unlisted[:5]) + (", …" if len(result.unlisted) > 5 else "")
        print(
            f"{len(result.unlisted):,} key(s) are not in the file and stay: {shown} "
            "(--delete deletes them)"
        )


def _export(arguments: argparse.Namespace) -> int:
    store = _store(arguments, sys.stderr)
    with _progress() as progress:
        pairs = store.pairs(progress)
    text = dump_pairs(pairs)
    if arguments.file is None:
        print(text, end="")
    else:
        # Whole or not at all.
        draft = arguments.file.with_name(arguments.file.name + ".part")
        try:
            draft.write_text(text, encoding="utf-8")
            draft.replace(arguments.file)
        except OSError as error:
            raise ConfigError(f"{arguments.file} cannot be written: {error.strerror}.") from None
        print(f"{len(pairs):,} key(s) in {arguments.file}")
    if len(text.encode()) > STORE_MAX_BYTES:
        print(
            f"the file is larger than {STORE_MAX_BYTES // MB} MB: localpop kvs import takes it, "
            "AWS's import from S3 does not",
            file=sys.stderr,
        )
    return 0


def _import(arguments: argparse.Namespace) -> int:
    wanted = read_pairs(arguments.file)
    target = AwsTarget(arguments.endpoint_url)
    name = _store_name(arguments)
    if name.startswith("arn:"):
        raise ConfigError("A new store has no ARN yet.", mend="Name it: --store NAME")
    print(f"new store {name} at {target.describe()}")
    with _progress() as progress:
        store, result = import_pairs(
            target, name, wanted, comment=arguments.comment, progress=progress
        )
    print(f"{result.added:,} key(s), {contents_of(wanted).total_size_bytes:,} bytes: {store.arn}")
    return 0


# --- keys -----------------------------------------------------------------------------------------
def _list(arguments: argparse.Namespace) -> int:
    store = _store(arguments, sys.stderr)
    with _progress() as progress:
        pairs = store.pairs(progress)
    for key in sorted(pairs):
        if key.startswith(arguments.prefix):
            print(f"{key}  {len(pairs[key].encode()):,} B")
    contents = contents_of(pairs)
    share = 100 * contents.total_size_bytes / STORE_MAX_BYTES
    print(
        f"{len(pairs):,} key(s), {contents.total_size_bytes:,} bytes: {share:.1f} % of "
        f"{STORE_MAX_BYTES // MB} MB",
        file=sys.stderr,
    )
    return 0


def _get(arguments: argparse.Namespace) -> int:
    value = _store(arguments, sys.stderr).get(arguments.key)
    if value is None:
        print(f"localpop: there is no key {arguments.key!r}", file=sys.stderr)
        return 1
    print(value)
    return 0


def _put(arguments: argparse.Namespace) -> int:
    value = sys.stdin.read() if arguments.value == "-" else arguments.value
    store = _store(arguments)
    store.write(StoreUpdate(puts=((arguments.key, value),)), store.etag())
    print(f"written: {arguments.key}")
    return 0


def _delete(arguments: argparse.Namespace) -> int:
    store = _store(arguments)
    keys = dict.fromkeys(arguments.keys)
    store.write(StoreUpdate(deletes=tuple(keys)), store.etag())
    print(f"deleted: {', '.join(keys)}")
    return 0


# --- which store ----------------------------------------------------------------------------------
def _store(arguments: argparse.Namespace, out: Any = None) -> StoreClient:
    """The store, and where it is, said before anything happens to it."""
    target = AwsTarget(arguments.endpoint_url)
    store = find_store(target, _store_name(arguments))
    print(f"store {store.name} at {target.describe()}", file=out or sys.stdout)
    return store


def _store_name(arguments: argparse.Namespace) -> str:
    """What was said, or the one store of the project's template."""
    if arguments.store:
        return str(arguments.store)
    try:
        settings = current_settings(Overrides())
        declared = inspect_templates(settings.templates, settings.answers).declared
    except LocalpopError:
        raise ConfigError(
            "Which store? There is no template here that can be read.", mend="Say --store NAME."
        ) from None
    names = [store.name for store in declared.stores]
    if len(names) != 1:
        raise ConfigError(
            f"Which store? The template declares {', '.join(names) or 'none'}.",
            mend="Say --store NAME.",
        )
    return names[0]


# --- progress -------------------------------------------------------------------------------------
class _Progress:
    """One line on standard error that moves; in a log, a line now and then."""

    def __init__(self) -> None:
        self._moves = sys.stderr.isatty()
        self._next_s = time.monotonic() + _PROGRESS_AFTER_S
        self._shown = 0

    def __call__(self, doing: str, done: int, of: int) -> None:
        """Show it, when it is time."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        line = f"{doing}: {done:,} of {of:,} keys" if of else doing
        if self._moves:
            print(f"\r{line:<{self._shown}}", end="", file=sys.stderr, flush=True)
            self._shown = len(line)
            self._next_s = now_s + _PROGRESS_EVERY_S
        else:
            print(line, file=sys.stderr, flush=True)
            self._next_s = now_s + _PROGRESS_LINES_EVERY_S

    def end(self) -> None:
        """Clear the line."""
        if self._shown:
            print(f"\r{'':<{self._shown}}\r", end="", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _progress() -> Iterator[_Progress]:
    progress = _Progress()
    try:
        yield progress
    finally:
        progress.end()
