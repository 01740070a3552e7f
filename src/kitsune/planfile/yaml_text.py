"""Reads YAML 1.2, without what makes one text mean two things: no anchors, aliases, merges or tags.

Works on the parser's events, so that the size and depth of what it builds are bounded while it is built.
"""

import re
import warnings
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StringMark
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.scanner import Scanner
from ruamel.yaml.tokens import TagToken

from kitsune.planfile.builder import Builder
from kitsune.planfile.scalars import resolve
from kitsune.planfile.source import Source

_AFTER_TAG = frozenset("\0 \t\r\n\x85\u2028\u2029,[]{}")
_WRITE_OUT = "write out what it stands for"

#: What the parser says -> what an operator can do about it.
_IN_WORDS = {
    "mapping values are not allowed": "a ': ' where no key can stand: put text with a colon in quotes, "
    "or line the key up with its neighbours",
    "could not find expected ':'": "a key without its ':', or text that is not indented deeper than its key",
    "found unexpected end of stream": "the file ends inside of quotes that were opened before",
    "expected <block end>": "not lined up with the lines above: the entries of one mapping or list "
    "start in one column",
    "expected the node content": "the file ends, or a bracket closes, where a value should stand",
    "found unknown escape character": "an unknown escape in double quotes: write \\\\ for a backslash, or use single quotes",
}


class _Scanner(Scanner):
    """A scanner that takes tags as they are.

    Every tag is refused later. The scanner's own decoding of a long one takes minutes.
    """

    def scan_tag(self) -> TagToken:
        """Return the token of a tag of any form."""
        start, length = self.reader.get_mark(), 0
        while self.reader.peek(length) not in _AFTER_TAG:
            length += 1
        self.reader.forward(length)
        return TagToken((None, "!"), start, self.reader.get_mark())


def read_yaml(source: Source) -> Builder:
    """Read a YAML file of one document.

    Raises:
        PlanUnreadable: Not YAML, more than one document, or beyond the limits.
    """
    builder = Builder(source)
    documents = 0
    offset = 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about a text that we judge ourselves
            for event in _parser().parse(source.text):
                offset = event.start_mark.index
                if isinstance(event, DocumentStartEvent):
                    documents += 1
                    _check_document(event, documents, source)
                else:
                    _add(event, builder, source)
    except MarkedYAMLError as error:
        raise _broken(error, source) from error
    except ReaderError as error:
        message = (
            f"a control character ({ord(source.text[error.position]):#04x}) has no place in YAML"
        )
        raise source.unreadable(message, error.position) from error
    except (ArithmeticError, LookupError, ValueError, TypeError, AttributeError) as error:
        # The parser's own mistakes, such as an escape beyond Unicode; all that is known is what came before.
        raise source.unreadable("cannot be read as YAML from here on", offset) from error
    if not documents:
        raise source.unreadable("the file is empty: a plan needs servers and steps", 0)
    return builder


def _parser() -> YAML:
    parser = YAML(typ="safe", pure=True)
    parser.Scanner = _Scanner
    return parser


def _check_document(event: Any, number: int, source: Source) -> None:
    if number > 1:
        raise source.unreadable(
            "a second document begins here: one file holds one plan", event.start_mark.index
        )
    if event.tags or (event.version and tuple(event.version) != (1, 2)):
        raise source.unreadable("plans are YAML 1.2 without directives: leave the % lines out", 0)


def _add(event: Any, builder: Builder, source: Source) -> None:
    if isinstance(event, MappingEndEvent | SequenceEndEvent):
        builder.close()
    elif isinstance(event, NodeEvent):
        at_key, offset = builder.expects_key, event.start_mark.index
        if at_key and not isinstance(event, ScalarEvent):
            raise source.unreadable("a key must be plain text", offset)
        if at_key:
            _add_key(event, builder, offset)
        _check_node(event, builder, offset)
        if not at_key:
            _add_value(event, builder, offset)


def _add_key(event: Any, builder: Builder, offset: int) -> None:
    merge = event.style is None and event.value == "<<"
    if merge:
        builder.refuse(f"a merge key (<<) is not part of a plan: {_WRITE_OUT}", offset)
        builder.hide_mapping()
    builder.key(event.value, offset, dropped=merge)


def _check_node(event: Any, builder: Builder, offset: int) -> None:
    if isinstance(event, AliasEvent):
        builder.refuse(
            f"an alias (*{event.anchor[:40]}) is not part of a plan: {_WRITE_OUT}", offset
        )
        builder.hide_next()
        return
    if event.anchor is not None:
        message = f"an anchor (&{event.anchor[:40]}) is not part of a plan: leave it out"
        builder.refuse(message, offset)
    if event.ctag is not None:
        message = (
            "a tag (a word that begins with !) is not part of a plan: leave it out, or quote it"
        )
        builder.refuse(message, offset)
        builder.hide_next()


def _add_value(event: Any, builder: Builder, offset: int) -> None:
    if isinstance(event, MappingStartEvent):
        builder.open({}, offset)
    elif isinstance(event, SequenceStartEvent):
        builder.open([], offset)
    elif isinstance(event, ScalarEvent) and event.style is None:
        before = builder.key_offset if event.value == "" else None
        builder.value(resolve(event.value), offset if before is None else before)
    elif isinstance(event, ScalarEvent):
        builder.value(_joined(event.value), offset)
    else:
        builder.value(None, offset)  # an alias, which is a problem already


def _joined(text: str) -> str:
    """Return text with surrogate pairs joined: JSON escapes a character beyond 16 bits as two, and JSON is YAML."""
    if text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _broken(error: MarkedYAMLError, source: Source) -> Exception:
    mark = error.problem_mark or error.context_mark
    offset = mark.index if isinstance(mark, StringMark) else 0
    problem = str(error.problem or error.context or "not YAML")
    if "'\\t'" in problem or _tab_before(source, offset):
        return source.unreadable("a tab in the indentation: YAML takes spaces only", offset)
    for said, words in _IN_WORDS.items():
        if problem.startswith(said):
            opened = error.context_mark if said.startswith("found unexpected end") else None
            at = opened.index if isinstance(opened, StringMark) else offset
            return source.unreadable(words, at)
    if problem.startswith("expected ',' or"):
        opened = source.place(error.context_mark.index).line if error.context_mark else "?"
        message = f"a comma or a closing bracket is missing here; it was opened in line {opened}"
        return source.unreadable(message, offset)
    if problem.endswith("that cannot start any token"):
        return source.unreadable(
            "text that begins with this character must stand in quotes", offset
        )
    return source.unreadable(f"not YAML: {problem}", offset)


def _tab_before(source: Source, offset: int) -> bool:
    line = source.text.rfind("\n", 0, offset) + 1
    indentation = re.match(r"[ \t]*", source.text[line:])
    return indentation is not None and "\t" in indentation[0]
