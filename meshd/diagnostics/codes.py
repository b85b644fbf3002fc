"""Every diagnostic code with its one-line meaning; codes are stable and never reused.

M1: syntax and shape of documents. M2: names, imports and callables. M3: wiring. M4: running.
"""

CODES: dict[str, str] = {
    # M10x: reading YAML
    "M100": "a file is not there or cannot be read",
    "M101": "a path leads to no manifest",
    "M102": "a file is too large",
    "M103": "a file is not UTF-8, or has a character that may not stand in it",
    "M104": "anyone may write a manifest",
    "M105": "the text is not YAML",
    "M106": "a tag or directive",
    "M107": "a key that is no plain string, or a merge key",
    "M108": "a key is there twice",
    "M109": "an alias without its anchor, or inside of it",
    "M110": "a number that JSON cannot hold",
    "M111": "a document is nested too deep, or too large with its aliases expanded",
    "M119": "there are more problems than are shown",
    # M12x: the shape of a document
    "M120": "an unknown key",
    "M121": "a required key is missing",
    "M122": "a value of the wrong type or form",
    "M123": "an unknown kind or version of the language",
    "M124": "a document is not a mapping",
    # M13x: values that cannot work where they stand
    "M131": "a host that cannot be listened on",
    "M132": "a port that does not exist",
    "M133": "a name that cannot name an object",
    "M134": "a secret is not in exactly one place",
    "M136": "a timeout that leaves no time",
    "M137": "a name that cannot name an environment variable",
    "M138": "a heartbeat that is too fast or too slow",
    "M139": "an address that cannot be advertised",
    "M140": "an address that cannot be a registry's",
    "M141": "an environment variable that is read before an agent can set it",
    "M142": "a value that no environment variable can hold",
    # M15x: interpolation and inputs
    "M150": "`${…}` that is no interpolation",
    "M151": "a required environment variable is not set",
    "M152": "a file to interpolate is not there or may not be read",
    # M19x: parts of the language that this release does not run yet
    "M190": "a setting is not supported yet",
    # M20x: names across documents
    "M200": "two agents have one name",
    "M201": "more than one document of kind `Mesh`",
    "M202": "two tools of an agent have one name",
    "M203": "two resources of an agent have one address",
    "M204": "two prompts of an agent have one name",
    "M205": "a name that cannot be used where it stands",
    "M206": "two agents listen on one port",
    "M207": "a version constraint that cannot be understood",
    "M208": "a tag that is not well-formed",
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
    # M23x: agents that share a process
    "M230": "agents that share a process have different numbers of replicas",
    "M231": "agents that share a process set an environment variable differently",
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
