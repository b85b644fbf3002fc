"""Every diagnostic code with its one-line meaning; codes are stable and never reused.

M1: syntax and shape of documents. M2: names, imports and callables. M3: wiring. M4: running.
"""

CODES: dict[str, str] = {
    # M10x: reading YAML
    # M12x: the shape of a document
    # M15x: interpolation and inputs
    # M19x: parts of the language that this release does not run yet
    # M20x: names across documents
    # M21x: what may be imported
    "M210": "a reference is not of the form `module:qualname`",
    "M211": "a module is neither below the import roots nor on the allow list",
    "M212": "a module has a name that the standard library or another package has already",
    "M213": "what a reference leads to comes from another package, or is reached through a module",
    "M214": "an import root is not a folder of the project's own code",
    "M215": "meshd.toml or `--allow` is wrong",
    "M216": "two agents in one process have different modules of one name",
    # M22x: loading callables
    "M220": "a module does not exist",
    "M221": "the import of a module raised",
    "M222": "something that a module imports is not installed",
    "M223": "a module or an object has no such attribute",
    "M224": "what a reference names cannot be called as it is",
    "M225": "an object cannot be made",
    "M226": "an agent has no object of this name",
    "M227": "a lifespan is not an async context manager over the agent's objects",
    # M24x: parameters and results of callables
    "M240": "a parameter cannot be described in JSON",
    "M241": "a parameter is left out because it cannot be described in JSON",
    "M242": "a type hint cannot be resolved",
    "M243": "`parameters` names a parameter that the callable does not have",
    "M244": "a need names a parameter that the callable does not have",
    "M245": "a hidden parameter has no default",
    "M246": "two parameters have one public name",
    "M247": "a type in a manifest is not a type for values",
    "M248": "a schema in a manifest is not a JSON Schema",
    "M249": "a default does not fit its parameter",
    "M250": "a parameter is both injected and described, or cannot be injected",
    "M251": "`select` is not a path",
    "M252": "the parameters of a callable are not known",
    "M253": "the URI of a resource does not fit its callable",
    # M30x: wiring
    "M301": "a required need that nothing provides",
    "M302": "a cycle of required needs",
    "M303": "an optional need that nothing provides",
    # M40x: running
    "M401": "an agent cannot listen on its address",
    "M402": "an agent's lifespan raised",
}
