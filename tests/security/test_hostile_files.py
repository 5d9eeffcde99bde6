"""Files of watchers and conditions that try to run something, to eat memory or time, or to slip past a check.

A file is refused with its place, or says what it seems to say; nothing in it is ever constructed or run. A condition is
refused, cannot be told, or is true or false, whatever was captured.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from reconciler import app
from reconciler.errors import ConditionError
from reconciler.logic.conditions import compile_condition

ACTION = "actions: [{type: log_event, params: {message: m}}]\n"


def named(value: str) -> bytes:
    """Return a file that is good but for the name's value, maybe."""
    return f"name: {value}\npattern: x\n{ACTION}".encode()


def good(more: str) -> bytes:
    return named("w") + more.encode()


def acting(type_: str, params: str) -> bytes:
    return f"name: w\npattern: 'x (?P<v>.+)'\nactions: [{{type: {type_}, params: {params}}}]\n".encode()


REFUSED = [
    named("!!python/object/apply:os.system ['touch canary']"), named("!!python/name:os.system"), named("!foo bar"),
    named("!!binary aGk="), named("!!set {a}"), named("!!omap [a: 1]"), named("!include canary"), named("*zz"),
    named("&n [*n]"), named("~"), named("0x10"), named("[w]"),
    named('"a\\nb"'), named('"a\\x1b[2J"'), named('"\\ud800"'), named("w\nname: v"), named("w\n'name': v"),
    b"%TAG ! tag:yaml.org,2002:python/\n---\n" + named("!object/apply:os.system [touch canary]"),
    b"!!python/module:os {}\n", b"%YAML 9.9\n---\n" + named("w"), b"? [a]\n: b\n" + named("w"),
    named("w").replace(b"pattern", b"\tpattern"), named("w").replace(b"pattern", "p\u0430ttern".encode()),
    named("w").decode().encode("utf-16"), named("w") + b"\x00", named("w").replace(b"m}", b"\xe9}"),
    b"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b]\n" + named("w"),
    b"x: " + b"[" * 5000 + b"]" * 5000 + b"\n" + named("w"), b"{a: " * 3000, b"---\n{}\n" * 3000,
    named("w" * 2_000_000), b"k" * 2_000_000 + b": 1\n" + named("w"),
    good("interval_seconds: .inf\n"), good("interval_seconds: -1\n"), good("cooldown: .nan\n"),
    good("max_triggers: 99999999999999999999999\n"), good("max_triggers: true\n"), good("max_triggers: '3'\n"),
    good("jobs: {ids: [124_7]}\n"), good("jobs: {ids: ['1;touch canary']}\n"), good("jobs: {ids: ['../1']}\n"),
    good("jobs: {hosts: ['-oProxyCommand=x']}\n"), good("jobs: {hosts: ['a b']}\n"), good("mode: root\n"),
    good(f"condition: '{'1' * 501}'\n"), named("w").replace(b"pattern: x", b"pattern: " + b"x" * 1001),
    named("w").replace(b"pattern: x", b"pattern: '(?{system(1)})'"),
    acting("log_event", "{message: '" + "x" * 10_300 + "'}"), acting("evil", "{}"), acting("[run_command]", "{}"),
    acting("run_command", "{command: 'ls & touch canary'}"), acting("run_command", "{command: ls, env: {PATH: x}}"),
    acting("run_command", "{command: [sh, -c, x]}"), acting("run_command", "{command: ls, shell: true}"),
    acting("run_command", "{command: ls, timeout: -1}"), acting("resubmit", "{modifications: {'--export': ALL}}"),
    acting("resubmit", '{modifications: {time: "1\\n2"}}'), acting("resubmit", "{modifications: {time: [1]}}"),
    acting("signal_job", "{signal: KILL}"), acting("signal_job", "{signal: '9; touch canary'}"),
    acting("notify_email", "{to: $v}"), acting("notify_email", "{to: '-oQ/tmp'}"),
    acting("notify_slack", "{channel: 'http://evil'}"), acting("notify_slack", "{webhook: 'http://evil'}"),
    acting("notify", "{urls: ['json://evil']}"), acting("store_metric", "{name: '', value: 1}"),
]  # fmt: skip


@pytest.mark.parametrize("content", REFUSED, ids=range(len(REFUSED)))
def test_a_hostile_file_is_refused_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = app.parse(content, "w.yaml")
    assert not loaded.good
    assert all(problem.file == "w.yaml" and problem.message and problem.remedy for problem in loaded.problems)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["2020-01-01", "1:20", ".nan", "no", "${HOME}", "'{{7*7}}'"])
def test_what_looks_like_another_kind_of_value_is_the_text_that_it_is(name: str) -> None:
    (located,) = app.parse(named(name), "w.yaml").specs
    assert located.spec.name == name.strip("'")


def test_what_the_attempts_begin_from_is_good() -> None:
    for content in (named("w"), good("mode: act\n"), acting("log_event", "{message: $v}")):
        assert app.parse(content, "w.yaml").good


BOMBS = [
    "(" * 240 + "1" + ")" * 240, "not " * 120 + "x", "-" * 480 + "1", "1<" * 240 + "1", "+".join(["x"] * 240),
    "x in " * 90 + "x", "1" * 499 + ">0", "int('9'*4000)>1", 'int(x+x+x+x)>1', '10**10**5>1', '2**(2**31)>1',
    '(2**999)**999>1', "float('1e308')*10>1", "x*int(n)=='a'", "x*999999999=='a'", '[1]*999999999', '(1,)*999999999',
    "x.replace('a',x*9)", 'x.format(x)', "'{0.__class__}'.format(x)", "f'{x}'", "'%s'%x", "'%9999999999d'%1",
    "'%*d'%(999999999,1)", 'x%x', 'lambda: 1', '(y:=1)', 'x.__class__', 'x[0].__class__', "getattr(x,'y')",
    "len('a'*10**9)>1", 'sum([1]*10**9)', 'max(range(10**9))', "str(9**9999)>'a'", 'round(1e308,-400)',
    'round(1.5, 10**9)', "'a'.ljust(10**9)", "'a'.zfill(10**9)", "'a'.center(10**9)", 'x.encode()', 'x.join(x)',
    '[y for y in x]', '{y for y in x}', '{y:y for y in x}', 'all(y for y in x)', '{**x}', '[*x]', 'print(x)',
    'open(x)', 'eval(x)', 'exec(x)', "__import__('os')", 'globals()', 'vars()', 'dir()', 'type(x)', 'id(x)',
    'hash(x)', 'breakpoint()', 'input()', 'exit()', 'help()', 'memoryview(x)', 'bytes(10**9)', 'bytearray(10**9)',
    'complex(x)', 'pow(9,9999999)', 'pow(2,2**30)>1', 'divmod(1,0)', '1/0', '1//0', '1%0', '1<<10**9', '1<<9999',
    '~0', '1 if x else 2', 'x if x else (x if x else x)', "x and " * 82 + "x", "x or " * 99 + "x", 'abs(-x)',
    'min(x)', 'sorted(x)', 'reversed(x)', 'enumerate(x)', 'zip(x,x)', 'map(int,x)', 'filter(None,x)', 'iter(x)',
    'next(x)', "re.match('(a+)+$',x)", "matches('(a+)+$',x)", "x=~'a'", '...', 'None', 'True', 'x==x==x==x', 'x is x',
    'x is not None', '*x', 'x;y', 'x\ny', 'x#y', 'import os', 'assert x', 'yield x', 'await x', 'async x', 'global x',
    'del x', 'return x', 'raise x', '\\', "'\\N{BULLET}'==x", "'\\x00'==x", "x=='\ud800'", '\U0001d4cd==1',
    '\uff58==1', '\uff10==0', '1_000>1', '0x10>1', '1e400>1', '1e-400>=0', 'nan>1', 'inf>1', "float('nan')>1",
    "float('inf')>float(n)", "int('\uff11\uff12')>1", "float('1_0')>1", '1j>0', "b'x'==x", "r'x'==x", "u'x'==x",
    "x[0]=='a'", 'x[10**9]', 'x[::-1]==x', 'x[0:10**9]', 'x.y.z', 'x()', 'x(x)', '(x)(x)', 'lower(x)',
    'x.lower().lower()', 'x.startswith(x)', "x.count('')>1", "x.split('')", 'x.upper()*int(n)',
    "str(float(n)**9)>'a'", 'int(n)**int(n)>1', 'int(n)**99>1', 'int(n)*int(n)*int(n)>1', 'float(n)**float(n)>1',
]  # fmt: skip
VALUES: list[dict[str, str | None]] = [
    {"x": "a" * 4096, "n": "999999999"},
    {"x": "9" * 4096, "n": "9" * 4000},
    {"x": None, "n": "1e308"},
    {"x": "(" * 4096, "n": "-"},
    {"x": "%99999999d%n{0.__class__}", "n": "nan"},
]


@pytest.mark.parametrize("text", BOMBS, ids=range(len(BOMBS)))
def test_a_condition_is_refused_or_true_or_false_or_cannot_be_told(text: str) -> None:
    with contextlib.suppress(ConditionError):
        condition = compile_condition(text)
        for values in VALUES:
            with contextlib.suppress(ConditionError):
                assert condition.holds(values) in (True, False)


def test_the_corpus_is_large() -> None:
    assert len(set(REFUSED)) >= 65
    assert len(set(BOMBS)) >= 140
