"""Tables of patterns and lines as people and jobs write them: by every engine, what `re` finds and where it stands."""

from __future__ import annotations

import re
import time

import pytest
from parts.matching import compiled, expected, found, fresh, lines, pieces_of, scanned, seen

from reconciler.errors import ConfigurationError
from reconciler.logic.patterns import Rule, Tier, check, compile_set
from reconciler.logic.scanner import StreamScanner
from reconciler.model import Position

GENEROUS = 5.0

#: (pattern, line): the line may hold anything but its own end.
TABLE: list[tuple[str, str]] = [
    # numbers as training jobs print them
    (r"loss[:=]\s*([\d.]+)", "step 5 loss: 0.731 val_loss=0.9"),
    (r"loss=([-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)", "loss=-1.5e-07 loss=3. loss=+2"),
    (r"(\d+)\s*(it|samples)/s", "12 it/s, 900samples/s, 7 iter/s"),
    (r"Epoch (\d+)/(\d+)", "Epoch 3/10: Epoch 4/x Epoch 5/10"),
    (r"(?i)\bnan\b", "loss NaN nano banana nan"),
    (r"(\d+)%\|", " 45%|####    | 46%|"),
    (r"GPU (\d+): (\d+) ?C", "GPU 0: 84C GPU 1: 85 C"),
    (r"step=(\d+)(?:, lr=([\d.e-]+))?", "step=5 step=6, lr=1e-4"),
    # errors
    (r"CUDA out of memory|OutOfMemoryError", "torch.OutOfMemoryError: CUDA out of memory. Tried"),
    (r"^(\w+Error): (.*)$", "ValueError: a: b"),
    (r"^(\w+Error): (.*)$", " ValueError: indented"),
    (r"slurmstepd: error: (.+?) (?:CANCELLED|killed)", "slurmstepd: error: *** JOB 5 ON n1 CANCELLED AT 2026"),
    (r"(?P<lib>NCCL|MPI)_(?P<what>[A-Z_]+)", "NCCL_TIMEOUT then MPI_ABORT"),
    (r"\[(rank\d+)\]", "[rank0] [rank12] [rankx]"),
    # the order of alternatives
    ("a|ab|abc", "abc"),
    ("abc|ab|a", "abc"),
    ("(?:a|ab)(?:c|bcd)(d*)", "abcd"),
    ("(a|ab)(c|bcd)(d*)", "abcd"),
    ("x(?:|y)", "xy"),
    ("(foo|foobar)(bar)?", "foobar foobarbar"),
    # greedy and lazy
    ("<.+>", "<a><b>"),
    ("<.+?>", "<a><b>"),
    ("a{2,3}", "aaaaaaa"),
    ("a{2,3}?", "aaaaaaa"),
    ("(a*?)(a*)", "aaa"),
    ("a+?b", "aaab ab"),
    # empty matches
    ("", "ab"),
    ("x*", "axxb"),
    ("^", "ab"),
    ("$", "ab"),
    (r"\b", "ab cd"),
    (r"\B", "ab cd"),
    ("(a|)", "ba"),
    ("^$", ""),
    (".*", ""),
    ("a??", "aa"),
    # groups that took no part
    ("(a)|(b)|(c)", "cab"),
    ("(a)?(b)?c", "c ac bc abc"),
    ("(?:(a)|b)*", "ab"),
    ("(?:(a)|(b))+", "abab"),
    ("(a(b)?)+", "aba"),
    ("()x", "x"),
    # anchors
    ("^a", "aa"),
    ("a$", "aa"),
    (r"\Aa|a\Z", "aba"),
    ("^a$", "a"),
    ("(?m)^a$", "a"),
    ("^^a$$", "a"),
    (r"x\b", "x xy x"),
    # flags
    ("(?i)error", "ERROR Error eRRor"),
    ("(?i:e)rror", "Error ERROR error"),
    ("(?s)a.b", "a b axb"),
    ("(?x) a  b  # both", "ab a b"),
    ("(?i)[a-c]+", "AbCd"),
    ("(?i)[^a]", "aAb"),
    ("(?i:(?-i:A)b)", "Ab AB ab"),
    (r"(?i)error: (\S+)", "ERROR: é😀\u212a error: x"),
    (r"(?i)\D+", "a1😀b"),
    (r"(?i)\W", "\u212a\u017f\u0131k é_😀"),
    (r"(?i:\S)s", "\u212as \u017fS a\u00a0s"),
    ("(?i)🚀 done", "🚀 DONE 🚁 done"),
    ("(?i)[^🚀k]", "🚀🚁kK\u212a"),
    # classes
    (r"[^\s,]+", "a,b c\td"),
    (r"[\w.-]+@[\w-]+", "a.b-c@host x@y"),
    (r"[]a]+", "]a]"),
    (r"[^]]", "]a"),
    (r"[a\-z]+", "a-z b"),
    (r"[\d\s]+", "1 2 x 3"),
    (r"[\x41-\x43]+", "ABCD"),
    (r"\S+$", "the last"),
    (r"\D+", "a1b"),
    (r"\W", "é a"),
    (r"[^a]", "é"),
    (r".", "é😀"),
    (r"(.)(.)", "aé😀b"),
    (r"\w+", "aé٣b"),
    (r"\s", "a\u00a0b\u2003c\td"),
    ("é+", "éé e"),
    ("[à-é]", "aàéê"),
    ("😀|é", "x😀é"),
    # what needs backtracking
    (r"foo(?=bar)", "foobar foobaz"),
    (r"foo(?!bar)", "foobar foobaz"),
    (r"(?<=\$)\d+", "$5 6 $77"),
    (r"(?<![\d.])\d+", "1.5 22"),
    (r"(\w)\1", "aa bc dd"),
    (r"(?P<q>['\"]).*?(?P=q)", "'a' \"b'c\""),
    (r"(<)?a(?(1)>)", "<a> a <a"),
    (r"(?>a+)b", "aaab"),
    (r"a++b", "aab"),
    (r"(?=(\d+))", "12"),
    # characters with a meaning of their own
    (r"\.\*\?\+\(\)\[\]\{\}\|\^\$\\", r"x.*?+()[]{}|^$\y"),
    ("a{", "a{ a"),
    ("a{,2}b", "aab b a{,2}b"),
    (r"\t", "a\tb"),
    (r"\x00", "a\0b"),
    ("a/b#c\"d'e`f", "a/b#c\"d'e`f"),
]

#: Put around the line: what terminals and other encodings add.
SURROUNDINGS = {
    "as it is": (b"", b""),
    "coloured": (b"\x1b[1;31m", b"\x1b[0m"),
    "after text of another encoding": (b"\xff\xe9 ", b""),
    "before half a character": (b"", b" \xe2\x96"),
    "behind a colour and a character": ("é\x1b[32m ".encode(), b"\x1b[K"),
}


@pytest.mark.parametrize("around", SURROUNDINGS, ids=str)
@pytest.mark.parametrize(("expression", "line"), TABLE)
def test_every_engine_finds_and_captures_what_re_does(expression: str, line: str, around: str) -> None:
    before, after = SURROUNDINGS[around]
    rules = [Rule(expression, ignore_echo=False)]
    data = b"other\n" + before + line.encode() + after + b"\nother\n"
    wanted = expected(rules, data)
    for hyperscan in (False, True):
        assert scanned(rules, data, hyperscan=hyperscan) == wanted


@pytest.mark.parametrize("hyperscan", [False, True])
def test_the_whole_table_in_one_set_finds_what_each_does_alone(hyperscan: bool) -> None:
    rules = [Rule(expression, ignore_echo=False) for expression in dict(TABLE)]
    data = "".join(f"{line}\r\n" for _, line in TABLE).encode()
    assert scanned(rules, data, hyperscan=hyperscan) == expected(rules, data)


@pytest.mark.parametrize("sizes", [(1,), (3, 1), (17,)])
def test_the_whole_table_is_found_however_the_bytes_arrive(sizes: tuple[int, ...]) -> None:
    rules = [Rule(expression, ignore_echo=False) for expression in dict(TABLE)]
    ends = ("\n", "\r\n", "\r")
    data = "".join(f"{line or '-'}{ends[at % 3]}" for at, (_, line) in enumerate(TABLE)).encode()
    stream = StreamScanner(compile_set(rules), Position())
    rows = [row for piece in pieces_of(data, sizes) for row in found(stream.feed(piece), stream.patterns)]
    assert rows + found(stream.finish(), stream.patterns) == expected(rules, data)
    assert (stream.position.offset, stream.position.line) == (len(data), len(lines(data)))


@pytest.mark.parametrize(("expression", "line"), TABLE)
def test_a_match_stands_at_the_byte_where_its_text_does(expression: str, line: str) -> None:
    raw = line.encode()
    stream = StreamScanner(fresh([Rule(expression, ignore_echo=False)], hyperscan=False), Position())
    hits = stream.feed(b"before\n" + raw + b"\n")
    got = [m.offset for hit in hits if hit.line == 2 for m in stream.patterns.matches(0, hit)]
    assert got == [7 + len(line[: m.start()].encode()) for m in compiled(expression).finditer(line)]


@pytest.mark.parametrize(
    ("line", "offset"),
    [
        (b"v=5", 0),
        (b"\x1b[31mv=5\x1b[0m", 5),
        (b"a\x1b[1mb\x1b[0mv=5", 10),
        (b"\xc3\xa9\x1b[1mv=5", 6),
        (b"\xff\xfe\xfdv=5", 3),
        (b"\xe2\x96\x1b[1mv=5", 6),
        (b"\xf0\x9f\x98\x80v=5", 4),
        (b"\x1b]0;title\x07v=5", 10),
        (b"\x1bv=5", 1),
    ],
)
@pytest.mark.parametrize("expression", [r"v=(\d)", r"v=(\d)(?!x)", r"v=(\d)\s*$"])
@pytest.mark.parametrize("hyperscan", [False, True])
def test_an_offset_counts_colour_codes_and_foreign_bytes(
    expression: str, line: bytes, offset: int, hyperscan: bool
) -> None:
    stream = StreamScanner(fresh([Rule(expression)], hyperscan=hyperscan), Position(offset=1000, line=9))
    [hit] = stream.feed(line + b"\n")
    [match] = stream.patterns.matches(0, hit)
    assert (match.offset, match.line, match.groups) == (1000 + offset, 10, ("5",))
    assert seen(line).endswith(match.text)


@pytest.mark.parametrize("expression", [e for e, _ in TABLE])
def test_what_is_told_of_a_pattern_is_what_re_knows_of_it(expression: str) -> None:
    info, own = check(expression), compiled(expression)
    assert info.tier is not Tier.REFUSED
    assert (info.groups, set(info.names)) == (own.groups, set(own.groupindex))
    if own.search("") is not None:
        assert info.matches_empty


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        (r"foo(?=bar)", "look"),
        (r"(?<!x)foo", "look"),
        (r"(\w)\1", "reference"),
        (r"(?>a+)b", "atomic|possessive"),
        (r"a++b", "atomic|possessive"),
    ],
)
def test_a_slower_engine_is_chosen_for_a_reason_that_is_said(expression: str, reason: str) -> None:
    info = check(expression)
    assert info.tier is Tier.FALLBACK
    assert re.search(reason, info.reason), info.reason


@pytest.mark.parametrize("expression", ["(?i)[\u0178-😀]", "(?i)[^\U00010400-\U00010427]", r"(?i)[\Sa-\U0010ffff]"])
def test_a_range_of_which_re_folds_more_than_ascii_is_refused(expression: str) -> None:
    assert compiled("(?i)[\u0178-😀]").match("\xff")
    info = check(expression)
    assert (info.tier, "U+FFFF" in info.reason) == (Tier.REFUSED, True)


@pytest.mark.parametrize(
    "expression",
    [
        "(",
        ")",
        "[",
        "*a",
        "a**",
        "(?P<n>a)(?P<n>b)",
        "(?P<n",
        "(?<=a*)b",
        r"\1",
        "(?(2)a)",
        "a{3,1}",
        "[z-a]",
        "\\",
        "(?",
    ],
)
def test_what_re_refuses_is_refused_with_what_to_do(expression: str) -> None:
    with pytest.raises(re.error):
        compiled(expression)
    with pytest.raises(ConfigurationError, match=r"^pattern ") as caught:
        check(expression)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("expression", "line"),
    [
        ("(a+)+$", b"a" * 40 + b"!"),
        (r"(\d+)\s*(it|samples)/s", b"7" * 20_000),
        (r"(?=x)(a+)+$|^(b|b)*c", b"b" * 60),
        (r"(x|xx)+(?!x)y", b"x" * 2_000),
    ],
)
@pytest.mark.parametrize("hyperscan", [False, True])
def test_a_hostile_line_is_over_soon_and_the_next_is_met(expression: str, line: bytes, hyperscan: bool) -> None:
    begun = time.thread_time()
    rows = scanned([Rule(expression), Rule("^next$")], line + b"\nnext\n", hyperscan=hyperscan)
    assert time.thread_time() - begun < GENEROUS
    assert rows == [(2, len(line) + 1, 1, "next", ())]
