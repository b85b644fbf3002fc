"""Well-known functions of the standard library as plain data: a call of each and its answer.

They are in C and in Python, positional-only, with `*args`, with defaults that JSON cannot say, and
nearly all of them untyped. Where a function does not say what it takes, the manifest does.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    """A function, the arguments of a call, the answer, and what the manifest must add."""

    callable: str
    arguments: dict[str, Any]
    answer: Any
    more: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def tool(self) -> str:
        return self.callable.replace(":", "_").replace(".", "_")


def typed(result: str | None = None, **parameters: str) -> dict[str, Any]:
    """Return the part of a manifest that gives types to parameters and to the result."""
    said: dict[str, Any] = {"parameters": {name: {"type": t} for name, t in parameters.items()}}
    return said if result is None else {**said, "result": {"type": result}}


def described(**parameters: str) -> dict[str, Any]:
    """Return the part of a manifest that names the JSON types of parameters, in order."""
    return {"parameters": {name: {"schema": {"type": kind}} for name, kind in parameters.items()}}


TEXT = "to be or not to be"
CASES = [
    Case("math:sqrt", {"x": 2.25}, 1.5),
    Case("math:isqrt", {"n": 1000}, 31),
    Case("math:comb", {"n": 5, "k": 2}, 10),
    Case("math:floor", {"x": 2.9}, 2),
    Case("math:gcd", {"integers": [12, 18]}, 6),
    Case("math:isclose", {"a": 1.0, "b": 1.0 + 1e-12}, True),
    Case("math:hypot", {"x": 3, "y": 4}, 5.0, described(x="number", y="number")),
    Case("math:prod", {"iterable": [2, 3, 4]}, 24),
    Case("statistics:mean", {"data": [1, 2, 6]}, 3),
    Case("statistics:median", {"data": [3, 1, 2]}, 2),
    Case("statistics:stdev", {"data": [1, 3]}, 1.4142135623730951),
    Case("operator:add", {"a": 2, "b": 3}, 5),
    Case("builtins:abs", {"x": -3}, 3),
    Case("builtins:sorted", {"iterable": [3, 1, 2]}, [1, 2, 3]),
    Case("builtins:len", {"obj": [1, 2]}, 2),
    Case("builtins:sum", {"iterable": [1, 2, 3]}, 6),
    Case("builtins:divmod", {"x": 7, "y": 2}, [3, 1]),
    Case("builtins:round", {"number": 2.567, "ndigits": 1}, 2.6),
    Case("builtins:hex", {"number": 255}, "0xff"),
    Case("builtins:bin", {"number": 5}, "0b101"),
    Case("builtins:chr", {"i": 8364}, "€"),
    Case("builtins:ord", {"c": "€"}, 8364),
    Case("textwrap:wrap", {"text": TEXT, "width": 10}, ["to be or", "not to be"]),
    Case("textwrap:shorten", {"text": TEXT, "width": 12}, "to be [...]"),
    Case("textwrap:dedent", {"text": "  a\n  b"}, "a\nb"),
    Case("string:capwords", {"s": TEXT}, "To Be Or Not To Be"),
    Case("html:escape", {"s": "<a & b>"}, "&lt;a &amp; b&gt;"),
    Case("html:unescape", {"s": "&lt;"}, "<"),
    Case("shlex:split", {"s": "a 'b c'"}, ["a", "b c"]),
    Case("shlex:quote", {"s": "b c"}, "'b c'"),
    Case("re:escape", {"pattern": "a.b"}, "a\\.b"),
    Case("re:sub", {"pattern": "b", "repl": "c", "string": "abb"}, "acc"),
    Case("re:findall", {"pattern": "b.", "string": "babe"}, ["ba", "be"]),
    Case("fnmatch:fnmatch", {"name": "a.py", "pat": "*.py"}, True),
    Case("posixpath:basename", {"p": "/a/b.txt"}, "b.txt"),
    Case("posixpath:normpath", {"path": "/a/../b"}, "/b"),
    Case("urllib.parse:quote", {"string": "a b/c"}, "a%20b/c"),
    Case("urllib.parse:unquote", {"string": "a%20b"}, "a b"),
    Case("urllib.parse:urljoin", {"base": "http://a/b/", "url": "c"}, "http://a/b/c"),
    Case("urllib.parse:parse_qs", {"qs": "a=1&a=2"}, {"a": ["1", "2"]}),
    Case("json:dumps", {"obj": {"a": [1, None]}}, '{"a": [1, null]}'),
    Case("json:loads", {"s": '{"a": [1, null]}'}, {"a": [1, None]}),
    Case("calendar:isleap", {"year": 2028}, True),
    Case("calendar:monthrange", {"year": 2026, "month": 11}, [6, 30]),
    Case("colorsys:rgb_to_hsv", {"r": 1.0, "g": 0.0, "b": 0.0}, [0.0, 1.0, 1.0]),
    Case(
        "difflib:get_close_matches",
        {"word": "appel", "possibilities": ["ape", "apple"]},
        ["apple", "ape"],
    ),
    Case("unicodedata:name", {"chr": "€"}, "EURO SIGN", described(chr="string")),
    Case("unicodedata:normalize", {"form": "NFD", "unistr": "é"}, "e\u0301"),
    Case("bisect:bisect_left", {"a": [1, 3, 5], "x": 3}, 1),
    Case("heapq:nlargest", {"n": 2, "iterable": [1, 5, 3]}, [5, 3]),
    Case("keyword:iskeyword", {"s": "def"}, True, described(s="string")),
    Case("mimetypes:guess_type", {"url": "a.json"}, ["application/json", None]),
    Case("base64:b64encode", {"s": "YWJj"}, "WVdKag==", typed("bytes", s="bytes")),
    Case("binascii:crc32", {"data": "YWJj"}, 891568578, typed(data="bytes")),
    Case(
        "datetime:date.fromisoformat", {"day": "2026-11-23"}, "2026-11-23", described(day="string")
    ),
    Case("datetime:date.isoformat", {"self": "2026-11-23"}, "2026-11-23", typed(self="date")),
    Case(
        "uuid:uuid5",
        {"namespace": "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "name": "a"},
        "4f3f2898-69e3-5a0d-820a-c4e87987dbce",
        typed(namespace="uuid:UUID"),
    ),
    Case("ipaddress:ip_address", {"address": "127.0.0.1"}, "127.0.0.1"),
    Case("itertools:accumulate", {"iterable": [1, 2, 3]}, [1, 3, 6]),
    Case("builtins:max", {"values": [3, 9, 4]}, 9, described(values="array")),
    Case("builtins:pow", {"base": 3, "exp": 4, "mod": 5}, 1),
    Case("builtins:str.upper", {"self": "abc"}, "ABC"),
    Case("builtins:str.split", {"self": "a,b", "sep": ","}, ["a", "b"]),
    Case("builtins:int", {"text": "ff", "base": 16}, 255, described(text="string", base="integer")),
    Case("builtins:range", {"stop": 3}, [0, 1, 2], described(stop="integer")),
    Case("collections:Counter", {"iterable": "abba"}, {"a": 2, "b": 2}),
    Case("fractions:Fraction", {"numerator": "0.75"}, "3/4"),
    Case("fractions:Fraction.from_float", {"f": 0.5}, "1/2"),
    Case("decimal:Decimal.sqrt", {"self": "16"}, "4", typed("Decimal", self="Decimal")),
    Case("zlib:crc32", {"data": "YWJj"}, 891568578, typed(data="bytes")),
    Case("binascii:hexlify", {"data": "YWJj"}, "616263", typed("utf8", data="bytes")),
    Case(
        "os.path:join",
        {"a": "/srv", "p": ["data", "x.txt"]},
        "/srv/data/x.txt",
    ),
    Case(
        "os.path:commonprefix",
        {"m": ["interview", "internet"]},
        "inter",
    ),
    Case(
        "urllib.parse:urlparse",
        {"url": "https://a.example/b?c=d"},
        {"host": "a.example", "path": "/b"},
        {"result": {"select": {"host": "netloc", "path": "path"}}},
    ),
    Case("email.utils:parseaddr", {"addr": "Ada <ada@a.example>"}, ["Ada", "ada@a.example"]),
    Case(
        "datetime:datetime.strptime",
        {"text": "23 Nov 2026", "form": "%d %b %Y"},
        "2026-11-23T00:00:00",
        described(text="string", form="string"),
    ),
    Case("locale:normalize", {"localename": "de_AT"}, "de_AT.ISO8859-1"),
    Case("stat:filemode", {"mode": 0o100644}, "-rw-r--r--", described(mode="integer")),
    Case("string:Template", {"template": "$a"}, "$a", {"result": {"select": "template"}}),
]

ALLOWED = ("uuid:UUID", *(case.callable for case in CASES))
"""What the allow-list must hold for the calls: each function in its exact form."""
