"""Reads a run_command line into its shape (`command_line`), with the grammar of tree-sitter-bash.

Called by `command`. Every node of the syntax tree that is not named here is refused, and so is every byte that belongs
to no node: what the grammar knows and we do not cannot slip through. Captured values stand in the text as placeholders
that no shell syntax is made of, wherever they stand, quotes included.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from reconciler.logic.command_line import (
    Atom,
    Captured,
    CommandSyntaxError,
    Line,
    Pipeline,
    Redirect,
    Simple,
    Substitution,
    Text,
    Word,
)

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

MAX_CHARACTERS = 10_000
MAX_DEPTH = 5  # of $( ) in $( )
MAX_COMMANDS = 50

_OPEN, _CLOSE = "\ue000", "\ue001"  # private use: no shell gives them a meaning
_PLACE = re.compile(f"{_OPEN}(\\d+){_CLOSE}")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]")
_REDIRECTS: Mapping[str, Literal[">", ">>", "<"]] = {">": ">", ">>": ">>", "<": "<"}
#: What the grammar sees of bytes beyond ASCII: a character of words without a meaning, as they are to a shell. Its
#: scanner hands characters to C's `isalnum`, which reads outside its table for large ones and ends the process
#: (https://github.com/tree-sitter/tree-sitter-bash/issues/337).
_MASK = bytes(byte if byte < 0x80 else ord(",") for byte in range(256))
#: None of these has a place in an unquoted word; the grammar keeps them out, and this does not rely on it.
_SHELL_CHARACTERS = frozenset("$`\"'&|;<>(){}#\\ \t")


def read_line(parts: Sequence[str | Captured]) -> Line:
    """Return the shape of a line given as written text and places for values. Raises CommandSyntaxError."""
    captured = [part for part in parts if isinstance(part, Captured)]
    numbers = iter(range(len(captured)))
    text = "".join(_written(p) if isinstance(p, str) else f"{_OPEN}{next(numbers)}{_CLOSE}" for p in parts).strip(
        " \t\n"
    )
    if _CONTROL.search(text):
        raise CommandSyntaxError("a line break or control character: write one line, with && or ; between commands")
    if len(text) > MAX_CHARACTERS:
        raise CommandSyntaxError(f"longer than {MAX_CHARACTERS} characters")
    if not text:
        raise CommandSyntaxError("there is no command")
    source = text.encode()
    root = _parser().parse(source.translate(_MASK)).root_node
    if root.has_error:
        raise CommandSyntaxError("this is no complete shell line")
    reader = _Reader(source, captured)
    try:
        line = reader.line(reader.inside(root, 0, len(source)), 0)
    except RecursionError:  # the grammar nests a chain of `&&` as deep as it is long
        raise CommandSyntaxError(f"more than {MAX_COMMANDS} commands, or nested too deep") from None
    if sum(1 for _ in line.commands()) > MAX_COMMANDS:
        raise CommandSyntaxError(f"more than {MAX_COMMANDS} commands")
    return line


def _written(text: str) -> str:
    if _OPEN in text or _CLOSE in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise CommandSyntaxError("a character that no command needs (private use or half of a pair)")
    return text


@cache
def _parser() -> Parser:
    # Imported when the first run_command is met: most watchers have none, and every start would pay for it.
    import tree_sitter_bash
    from tree_sitter import Language, Parser

    return Parser(Language(tree_sitter_bash.language()))


class _Reader:
    """Walks one syntax tree; one method for each kind of node that is allowed."""

    def __init__(self, source: bytes, captured: Sequence[Captured]) -> None:
        self._source = source
        self._captured = captured

    def line(self, nodes: Sequence[Node], depth: int) -> Line:
        """Read what a program, or the inside of a `$(...)`, consists of."""
        pipelines: list[Pipeline] = []
        operators: list[Literal["&&", ";"]] = []
        expected = True  # a command is expected next, not an operator
        for child in nodes:
            if child.type == ";" and not expected:
                expected = True
                operators.append(";")
            elif child.is_named and expected:
                expected = False
                inner = self._statement(child, depth)
                pipelines += inner.pipelines
                operators += inner.operators
            else:
                raise self._refusal(child)
        if not pipelines:
            raise CommandSyntaxError("there is no command")
        return Line(tuple(pipelines), tuple(operators[: len(pipelines) - 1]))

    def _statement(self, node: Node, depth: int) -> Line:
        if node.type == "list":
            return self._list(node, depth)
        if node.type == "redirected_statement":
            return self._redirected(node, depth)
        return Line((self._pipeline(node, depth),))

    def _list(self, node: Node, depth: int) -> Line:
        left, operator, right = self._exactly(node, 3)
        if operator.type != "&&":
            raise self._refusal(operator)
        first, second = self._statement(left, depth), self._statement(right, depth)
        return Line(first.pipelines + second.pipelines, (*first.operators, "&&", *second.operators))

    def _redirected(self, node: Node, depth: int) -> Line:
        # The grammar wraps a whole pipeline or list where the redirection, in every shell, is the last command's.
        body, *redirects = self._children(node)
        line = self._statement(body, depth)
        *before, last = line.pipelines
        *pipe, command = last.commands
        added = tuple(self._redirect(child, depth) for child in redirects)
        command = Simple(command.words, command.redirects + added)
        return Line((*before, Pipeline((*pipe, command))), line.operators)

    def _pipeline(self, node: Node, depth: int) -> Pipeline:
        if node.type == "command":
            return Pipeline((self._command(node, depth),))
        if node.type != "pipeline":
            raise self._refusal(node)
        commands: list[Simple] = []
        for index, child in enumerate(self._children(node)):
            if index % 2:
                if child.type != "|":
                    raise self._refusal(child)
            else:
                commands += self._piped(child, depth).commands
        return Pipeline(tuple(commands))

    def _piped(self, node: Node, depth: int) -> Pipeline:
        line = self._statement(node, depth)
        if len(line.pipelines) != 1:
            raise self._refusal(node)
        return line.pipelines[0]

    def _command(self, node: Node, depth: int) -> Simple:
        words: list[Word] = []
        redirects: list[Redirect] = []
        for child in self._children(node):
            if child.type == "file_redirect":
                redirects.append(self._redirect(child, depth))
            elif child.type == "command_name":
                words.append(self._word(self._exactly(child, 1)[0], depth))
            else:
                words.append(self._word(child, depth))
        if not words:
            raise self._refusal(node)
        return Simple(tuple(words), tuple(redirects))

    def _redirect(self, node: Node, depth: int) -> Redirect:
        if node.type != "file_redirect":
            raise self._refusal(node)
        children = self._children(node)
        number = self._text(children.pop(0)) if children[0].type == "file_descriptor" else None
        operator, *targets = children
        if len(targets) != 1 or number not in (None, "0", "1", "2"):
            raise self._refusal(node)
        if number is None and re.search(rb"(?:\A|\s)\d+\Z", self._source[: node.start_byte]):
            raise self._refusal(node)  # to a shell, a number that touches it is its descriptor; 0 the grammar overlooks
        descriptor = None if number is None else int(number)
        if operator.type == ">&":
            if self._text(targets[0]) not in ("1", "2"):
                raise self._refusal(node)
            return Redirect(descriptor, ">&", int(self._text(targets[0])))
        if (kind := _REDIRECTS.get(operator.type)) is None:
            raise self._refusal(operator)
        return Redirect(descriptor, kind, self._word(targets[0], depth))

    def _word(self, node: Node, depth: int) -> Word:
        word = Word(tuple(_joined(self._atoms(node, depth))))
        first = word.atoms[0] if word.atoms else None
        if isinstance(first, Text) and not first.quoted and first.text.startswith("~"):
            raise CommandSyntaxError(f"{word!s:.80} begins with ~, which is not expanded: write the path")
        return word

    def _atoms(self, node: Node, depth: int) -> Iterator[Atom]:
        """Yield what a word is made of. `concatenation` glues its parts, so there must be nothing between them."""
        if node.type in ("word", "number"):
            if node.child_count:
                raise self._refusal(node)
            yield from self._plain(self._text(node))
        elif node.type == "raw_string":
            yield from self._places(self._text(node)[1:-1], lambda text: text)
        elif node.type == "string":
            yield from self._string(node, depth)
        elif node.type == "command_substitution":
            yield self._substitution(node, depth)
        elif node.type == "concatenation":
            if any(left.end_byte != right.start_byte for left, right in pairwise(node.children)):
                raise self._refusal(node)
            for child in node.children:
                yield from self._atoms(child, depth)
        else:
            raise self._refusal(node)

    def _plain(self, text: str) -> Iterator[Atom]:
        """Yield the atoms of unquoted text: what a backslash escapes is quoted, the rest may hold globs."""
        for piece in re.split(r"(\\.)", text):
            if piece.startswith("\\") and len(piece) == 2 and piece[1] != _OPEN:
                yield from self._places(piece[1:], lambda escaped: escaped)
                continue
            if strange := _SHELL_CHARACTERS.intersection(piece):
                raise CommandSyntaxError(f"{min(strange)!r} in {self._shown(text)!r}: quote it")
            yield from self._places(piece, lambda written: written, quoted=False)

    def _string(self, node: Node, depth: int) -> Iterator[Atom]:
        """Yield the atoms of a double-quoted string; white space between its nodes is part of it."""
        start, end = node.start_byte + 1, node.end_byte - 1
        for child in node.children[1:-1]:
            if child.type in ("string_content", "$"):  # a dollar that begins nothing
                continue
            if child.type != "command_substitution":
                raise self._refusal(child)
            yield from self._quoted(start, child.start_byte)
            yield self._substitution(child, depth)
            start = child.end_byte
        yield from self._quoted(start, end)

    def _quoted(self, start: int, end: int) -> Iterator[Atom]:
        text = self._slice(start, end)
        if re.search(r"(?<!\\)(?:\\\\)*(?:[`\"]|\$[\w{(\[*@#?$!-])", text):
            raise CommandSyntaxError(f"a backtick, dollar or quote inside {self._shown(text)!r}")
        yield from self._places(text, lambda part: re.sub(r'\\([$`"\\])', r"\1", part))

    def _substitution(self, node: Node, depth: int) -> Substitution:
        if depth >= MAX_DEPTH:
            raise CommandSyntaxError(f"$( ) nested deeper than {MAX_DEPTH}")
        if not self._text(node).startswith("$("):
            raise CommandSyntaxError("backticks: write $(...)")
        return Substitution(self.line(self._children(node)[1:-1], depth + 1))

    def _places(self, text: str, decode: Callable[[str], str], *, quoted: bool = True) -> Iterator[Atom]:
        """Yield written text and the captured values that stand in it."""
        for index, piece in enumerate(_PLACE.split(text)):
            if index % 2:
                yield self._captured[int(piece)]
            elif piece or (quoted and not text):
                yield Text(decode(piece), quoted)

    def inside(self, node: Node, start: int, end: int) -> list[Node]:
        """Return the node's children; refuse where more than blanks lies beside them: the grammar passed over it."""
        children = list(node.children)
        ends = [start, *(child.end_byte for child in children)]
        starts = [*(child.start_byte for child in children), end]
        for left, right in zip(ends, starts, strict=True):
            if self._source[left:right].strip(b" \t"):
                raise self._refusal(node)
        return children

    def _children(self, node: Node) -> list[Node]:
        return self.inside(node, node.start_byte, node.end_byte)

    def _exactly(self, node: Node, count: int) -> list[Node]:
        children = self._children(node)
        if len(children) != count:
            raise self._refusal(node)
        return children

    def _text(self, node: Node) -> str:
        return self._slice(node.start_byte, node.end_byte)

    def _slice(self, start: int, end: int) -> str:
        try:
            return self._source[start:end].decode()
        except UnicodeDecodeError as error:
            raise CommandSyntaxError("a character that the grammar takes apart: quote it") from error

    def _shown(self, text: str) -> str:
        return _PLACE.sub(lambda place: self._captured[int(place[1])].written, text)

    def _refusal(self, node: Node) -> CommandSyntaxError:
        what = self._shown(self._source[node.start_byte : node.end_byte].decode(errors="replace"))
        kind = node.type.replace("_", " ")
        return CommandSyntaxError(
            f"{what[:80]!r}" + (f" ({kind})" if node.is_named else "") + " is not allowed in a command"
        )


def _joined(atoms: Iterator[Atom]) -> Iterator[Atom]:
    """Yield the atoms with neighbouring texts of one kind made one, and no empty text but in an empty word."""
    waiting: Text | None = None
    alone = True
    for atom in atoms:
        if isinstance(atom, Text) and (waiting is None or atom.quoted == waiting.quoted or not waiting.text):
            waiting = Text((waiting.text if waiting else "") + atom.text, atom.quoted)
            continue
        if waiting is not None and waiting.text:
            yield waiting
        waiting = atom if isinstance(atom, Text) else None
        alone = False
        if waiting is None:
            yield atom
    if waiting is not None and (waiting.text or alone):
        yield waiting
