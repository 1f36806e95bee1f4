"""Request bodies and query strings as msgspec structs; what is wrong is named by its field."""

import re
import types
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any, TypeVar, Union, dataclass_transform, get_args, get_origin

import msgspec

from aerostat.kit.errors import BadRequest
from aerostat.kit.http.microversion import Version

T = TypeVar("T")


@dataclass_transform(kw_only_default=True, field_specifiers=(msgspec.field,))
class Body(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Base of request bodies: keyword fields, unknown ones refused."""


@dataclass_transform(kw_only_default=True, field_specifiers=(msgspec.field,))
class Open(msgspec.Struct, kw_only=True):
    """Base of bodies that keep the attributes they do not declare, in `extra`."""

    extra: dict[str, Any] = {}


@dataclass_transform(kw_only_default=True, field_specifiers=(msgspec.field,))
class Loose(msgspec.Struct, kw_only=True):
    """Base of bodies whose unknown fields are passed over."""


def since(version: str) -> msgspec.Meta:
    """Mark a field with the microversion that added it: `Annotated[str, since("2.19")]`."""
    return msgspec.Meta(extra={"since": version})


def until(version: str) -> msgspec.Meta:
    """Mark a field with the last microversion that had it: `Annotated[str, until("2.56")]`."""
    return msgspec.Meta(extra={"until": version})


def text(least: int, most: int) -> Any:
    """A string of `least` to `most` characters."""
    return Annotated[str, msgspec.Meta(min_length=least, max_length=most)]


def decode(raw: bytes) -> Any:
    """Return the JSON document in `raw`, whose text has no NUL. Raises: BadRequest."""
    try:
        doc = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as why:
        raise BadRequest("The body is not valid JSON.", detail=str(why)) from why
    if b"\\u0000" in raw:
        _check_text(doc, "")
    return doc


def read(raw: bytes, kind: type[T]) -> T:
    """Return the JSON document in `raw` as `kind`. Raises: BadRequest, naming the field."""
    what: Any = kind
    if not _plain(what) or b"\\u0000" in raw:
        return convert(decode(raw), kind)
    try:
        found: T = _decoder(what).decode(raw)
    except msgspec.ValidationError as why:
        raise _explain(why) from why
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as why:
        raise BadRequest("The body is not valid JSON.", detail=str(why)) from why
    return found


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


@cache
def _plain(kind: Any) -> bool:
    """Tell whether no part of `kind` is `Open`, so that nothing has to be gathered."""
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return True
    inner = _shape(kind)[1].values()
    return not issubclass(kind, Open) and all(_plain(one) for found in inner for one in found)


def _check_text(part: Any, path: str) -> None:
    """Raises: BadRequest, naming the field with a NUL: no database stores it as text."""
    if isinstance(part, str) and "\0" in part:
        raise no_nul(path or "body")
    if isinstance(part, list):
        for number, item in enumerate(part):
            _check_text(item, f"{path}[{number}]")
    if isinstance(part, dict):
        for name, value in part.items():
            _check_text(name, path)
            _check_text(value, f"{path}.{name}".lstrip("."))


def no_nul(field: str) -> BadRequest:
    """Return the fault about text with a NUL (U+0000)."""
    said = "Text must not contain the character U+0000."
    return BadRequest(f"Invalid input for field/attribute {field}. {said}", field=field)


def convert(doc: Any, kind: type[T], version: Version | None = None, *, strict: bool = True) -> T:
    """Return `doc` as `kind`. Raises: BadRequest, naming the field."""
    if version is not None:
        check_since(doc, kind, version)
    try:
        return msgspec.convert(gather(doc, kind), kind, strict=strict)
    except msgspec.ValidationError as why:
        raise _explain(why) from why


def gather(doc: Any, kind: Any) -> Any:
    """Return `doc` with what an `Open` part of `kind` does not declare moved to its `extra`."""
    if not isinstance(doc, dict) or not (isinstance(kind, type) and issubclass(kind, Body | Open)):
        return doc
    known, inner = _shape(kind)
    if issubclass(kind, Open):
        rest = {name: value for name, value in doc.items() if name not in known}
        doc = {**{name: doc[name] for name in known if name in doc}, "extra": rest}
    if not any(name in doc for name in inner):
        return doc
    return {
        name: gather(value, inner[name][0]) if name in inner else value
        for name, value in doc.items()
    }


@cache
def _shape(kind: type) -> tuple[frozenset[str], dict[str, list[type]]]:
    """Return the fields that `kind` declares, and the structs that are in some of them."""
    fields = {f.encode_name: f.type for f in msgspec.structs.fields(kind)}
    inner = {name: found for name, hint in fields.items() if (found := _structs(hint))}
    return frozenset(fields.keys() - {"extra"}), inner


_AT = re.compile(r" - at `(?P<path>[^`]*)`$")
_QUOTED = re.compile(r"field `(?P<name>[^`]+)`")


def _explain(why: msgspec.ValidationError) -> BadRequest:
    found = _AT.search(str(why))
    path = found["path"].removeprefix("$").lstrip(".") if found else ""
    said = _AT.sub("", str(why))
    named = _QUOTED.search(said)
    field = f"{path}.{named['name']}".lstrip(".") if named else path
    if "unknown field" in said and named:
        said = f"Additional properties are not allowed ('{named['name']}' was unexpected)"
    elif "missing required field" in said and named:
        said = f"'{named['name']}' is a required property"
    return BadRequest(f"Invalid input for field/attribute {field or 'body'}. {said}", field=field)


def check_since(doc: Any, kind: Any, version: Version) -> None:
    """Refuse fields of `doc` that came after `version`, or went before it. Raises: BadRequest."""
    for struct in _structs(kind):
        if isinstance(doc, dict):
            for name, (added, last, inner) in _fields(struct).items():
                if name not in doc:
                    continue
                if (added is not None and version < added) or (last is not None and version > last):
                    raise BadRequest(
                        f"Invalid input for field/attribute {name}. Additional properties are "
                        f"not allowed ('{name}' was unexpected)",
                        field=name,
                    )
                for item in doc[name] if isinstance(doc[name], list) else (doc[name],):
                    check_since(item, inner, version)


_Fields = dict[str, tuple[Version | None, Version | None, Any]]
_field_cache: dict[type, _Fields] = {}


def _fields(struct: type) -> _Fields:
    if struct not in _field_cache:
        info: Any = msgspec.inspect.type_info(struct)
        hints = {f.name: f.type for f in msgspec.structs.fields(struct)}
        _field_cache[struct] = {
            f.encode_name: (
                _edge_of(hints[f.name], "since"),
                _edge_of(hints[f.name], "until"),
                hints[f.name],
            )
            for f in info.fields
        }
    return _field_cache[struct]


def _edge_of(hint: Any, edge: str) -> Version | None:
    for part in _walk(hint):
        for meta in getattr(part, "__metadata__", ()):
            if isinstance(meta, msgspec.Meta) and meta.extra and edge in meta.extra:
                return Version.parse(meta.extra[edge])
    return None


def _walk(hint: Any) -> list[Any]:
    out = [hint]
    if get_origin(hint) in (Union, types.UnionType, Annotated):
        for inner in get_args(hint):
            out += _walk(inner)
    return out


def _structs(hint: Any) -> list[type]:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return [hint]
    if get_origin(hint) in (Union, types.UnionType, Annotated, list, tuple):
        return [s for inner in get_args(hint) for s in _structs(inner)]
    return []


class Query:
    """A query string: names may repeat; the last one counts where one is wanted.

    Raises: BadRequest, naming a parameter with a NUL.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Sequence[str]]) -> None:
        self._values = values
        for name, found in values.items():
            if "\0" in name or any("\0" in value for value in found):
                raise no_nul(name.replace("\0", "\N{REPLACEMENT CHARACTER}"))

    def get(self, name: str, default: str | None = None) -> str | None:
        found = self._values.get(name)
        return found[-1] if found else default

    def all(self, name: str) -> list[str]:
        return list(self._values.get(name, ()))

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def names(self) -> list[str]:
        return list(self._values)

    def items(self) -> list[tuple[str, list[str]]]:
        return [(name, list(values)) for name, values in self._values.items()]

    def flag(self, name: str, default: bool = False) -> bool:
        """Return a boolean parameter. Raises: BadRequest."""
        found = self.get(name)
        return default if found is None else parse_bool(found, name)

    def number(self, name: str, default: int | None = None, *, least: int = 0) -> int | None:
        """Return an integer parameter. Raises: BadRequest."""
        found = self.get(name)
        if found is None:
            return default
        if not found.lstrip("-").isdecimal() or int(found) < least:
            raise BadRequest(f"{name} must be an integer of at least {least}.", field=name)
        return int(found)


_TRUE = {"1", "t", "true", "on", "y", "yes"}
_FALSE = {"0", "f", "false", "off", "n", "no"}


def parse_bool(value: object, field: str) -> bool:
    """Parse a boolean as oslo.utils does in strict mode. Raises: BadRequest."""
    word = str(value).strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise BadRequest(f"'{value}' is not a valid boolean for {field}.", field=field)
