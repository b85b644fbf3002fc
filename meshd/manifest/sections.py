"""How a part of the language is declared, and how it is checked: a Section and its settings.

Sections are checked by pydantic's core, whose speed and errors they share. Pydantic's own classes
stay out: importing them takes longer than a small manifest may take in all
(docs/decisions/0006-sections-on-pydantic-core.md).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Self, Union, cast, get_args, get_origin

from pydantic_core import SchemaValidator, core_schema

Change = Literal["none", "rewire", "reload", "restart"]
"""What a change costs: nothing, new wiring of consumers, a reload in place, or a new process."""


@dataclass(frozen=True, eq=False)
class ScalarType:
    """A scalar: the function that reads it, what it is in words, and its JSON Schema."""

    read: Callable[[Any], Any]
    words: str = ""
    schema: dict[str, Any] = field(default_factory=dict[str, Any])
    may_be_interpolated: bool = True


@dataclass(frozen=True, eq=False)
class OneOf:
    """A union whose branch is chosen by the YAML shape, so that errors speak of one branch."""

    branches: dict[str, Any]


TEXT, LIST, MAPPING = "\0text", "\0list", "\0mapping"
"""Names of union branches in the paths of errors; no key of a manifest can be one of them."""

_REQUIRED: Any = object()


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One field of a section, as it was declared."""

    about: str
    change: Change
    key: str | None
    since: str
    later: bool
    default: Any
    written: Any
    annotation: Any = None

    @property
    def is_required(self) -> bool:
        """Whether a manifest must say it."""
        return self.default is _REQUIRED


def setting(  # noqa: PLR0913  (declarations are read by their keywords)
    default: Any = _REQUIRED,
    *,
    about: str,
    change: Change,
    key: str | None = None,
    since: str = "0.1.0",
    later: bool = False,
    written: str | None = None,
) -> Any:
    """Declare a field: what it means, what changing it costs, its YAML key, its first release.

    A field that is `later` is refused when it is set. `written` is the default as a manifest would
    say it, where that is not the value itself.
    """
    return Setting(
        about=f"{about} Not supported yet." if later else about,
        change=change,
        key=key,
        since=since,
        later=later,
        default=default,
        written=default if written is None else written,
    )


class Section:
    """A mapping of the language: known keys only, besides those that begin with `x-`."""

    # What pydantic's core sets on what it makes.
    __slots__ = (
        "__dict__",
        "__pydantic_extra__",
        "__pydantic_fields_set__",
        "__pydantic_private__",
    )
    __pydantic_fields_set__: set[str]

    def __init__(self, **values: Any) -> None:
        """Make a section in code; what is left out has its default."""
        for name, declared in settings_of(type(self)).items():
            self.__dict__[name] = values.get(name, declared.default)
        object.__setattr__(self, "__pydantic_fields_set__", set(values))

    def __init_subclass__(cls) -> None:
        """Keep the declarations apart, so that an instance never shows one."""
        declared = {name: value for name, value in vars(cls).items() if isinstance(value, Setting)}
        _DECLARED[cls] = {
            name: Setting(**{**vars(value), "annotation": cls.__annotations__[name]})
            for name, value in declared.items()
        }
        for name in declared:
            delattr(cls, name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse changes: sections are values."""
        raise AttributeError(f"{type(self).__name__} cannot be changed")

    def __eq__(self, other: object) -> bool:
        """Compare by value."""
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        """Sections hold lists and dicts."""
        raise TypeError(f"unhashable type: {type(self).__name__}")

    def __repr__(self) -> str:
        """Show the values."""
        shown = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({shown})"

    @property
    def fields_set(self) -> set[str]:
        """The names of the fields that the manifest says."""
        return self.__pydantic_fields_set__

    @classmethod
    def known_keys(cls) -> dict[str, Setting]:
        """Return the settings by their YAML keys, in order of declaration."""
        return {declared.key or name: declared for name, declared in settings_of(cls).items()}

    @classmethod
    def read(cls, data: Any) -> Self:
        """Return the section that plain values describe.

        Raises:
            pydantic_core.ValidationError: with everything that is wrong.

        """
        return _validator(cls).validate_python(data)


_DECLARED: dict[type[Section], dict[str, Setting]] = {}


def settings_of(section: type[Section]) -> dict[str, Setting]:
    """Return the settings by the names of their fields."""
    return _DECLARED[section]


def shape(value: Any) -> str:
    """Name the branch of a union by the YAML shape of the value."""
    if isinstance(value, dict):
        return MAPPING
    return LIST if isinstance(value, list) else TEXT


def either(*, text: Any, **others: Any) -> Any:
    """Return a type that may be text, or else a `list=` or a `mapping=`, each of one type."""
    branches = {TEXT: text, **{f"\0{name}": kind for name, kind in others.items()}}
    return Annotated[Any, OneOf(branches)]


@cache
def section_in(annotation: Any) -> tuple[type[Section] | None, int]:
    """Return the section in a type, and how many lists and mappings of names are around it."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return (annotation, 0) if issubclass(annotation, Section) else (None, 0)
    around = 1 if get_origin(annotation) in {list, dict} else 0
    for part in parts_of(annotation):
        section, levels = section_in(part)
        if section is not None:
            return section, levels + around
    return None, 0


def parts_of(annotation: Any) -> list[Any]:
    """Return the types that a type is made of."""
    if get_origin(annotation) is Literal:
        return []
    parts: list[Any] = []
    for part in get_args(annotation):
        if isinstance(part, OneOf):
            parts.extend(part.branches.values())
        elif not isinstance(part, ScalarType):
            parts.append(part)
    return parts


@cache
def _validator(section: type[Section]) -> SchemaValidator:
    return SchemaValidator(_core(section))


def _core(annotation: Any) -> core_schema.CoreSchema:
    """Return the check of a type, in the terms of pydantic's core."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return _core_of_section(annotation)
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _core_of_annotated(parts[1])
    if origin is Literal:
        return core_schema.literal_schema(list(parts))
    if origin is list:
        return core_schema.list_schema(_core(parts[0]))
    if origin is dict:
        return core_schema.dict_schema(core_schema.str_schema(), _core(parts[1]))
    if origin in {Union, UnionType} and NoneType in parts:
        return core_schema.nullable_schema(_core(parts[0]))
    raise TypeError(f"no type of the language: {annotation}")


def _core_of_annotated(kind: ScalarType | OneOf) -> core_schema.CoreSchema:
    if isinstance(kind, ScalarType):
        return core_schema.no_info_plain_validator_function(kind.read)
    branches: dict[Any, Any] = {name: _core(branch) for name, branch in kind.branches.items()}
    return core_schema.tagged_union_schema(branches, discriminator=shape)


def _core_of_section(section: type[Section]) -> core_schema.CoreSchema:
    fields: dict[str, core_schema.ModelField] = {}
    for name, declared in settings_of(section).items():
        schema = _core(declared.annotation)
        if not declared.is_required:
            # Shared, since nothing changes sections; a plain `default=` would be copied each time.
            shared = partial(_same, declared.default)
            schema = core_schema.with_default_schema(schema, default_factory=shared)
        fields[name] = core_schema.model_field(schema, validation_alias=declared.key or name)
    known = core_schema.model_fields_schema(fields, extra_behavior="forbid")
    model = core_schema.model_schema(section, known)
    return core_schema.no_info_before_validator_function(_without_free_keys, model)


def _same(value: Any) -> Any:
    return value


def _without_free_keys(data: Any) -> Any:
    if not isinstance(data, dict):
        return data
    section = cast("dict[str, Any]", data)
    if any(key.startswith("x-") for key in section):
        return {key: value for key, value in section.items() if not key.startswith("x-")}
    return section
